"""The reviewer's agent: is a result what was asked for? Gate by gate; what nobody could judge stays unknown."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from darumad.agents import artifacts
from darumad.agents.loading import SpawnRefused
from darumad.agents.roles.conduct import Conduct, found_before_spending, invalid_item
from darumad.agents.roles.judge import NEVER_JUDGED, judge
from darumad.agents.schemas import SchemaUnusable, violations
from darumad.agents.template import Template, ToolFailed
from darumad.errors import Problem
from darumad.values import changed
from darumad.work.codec import review_to_json
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

TemplateOf = Callable[[str], Template]
"""The template of the agent definition so named."""


class ReviewerAgent:
    """Looks with its own eyes first: at the files as they are on disk now, then, if there is one, through a model."""

    def __init__(self, template_of: TemplateOf) -> None:
        self._template_of = template_of
        self._conduct = Conduct("reviewer")

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """The review of `context.work` as `data`. A review that finds faults is a review that succeeded."""
        return await self._conduct.run(item, context, find=found_before_spending, work=self._work)

    async def _work(self, item: WorkItem, context: Context) -> WorkResult:
        if context.work is None:
            return invalid_item(Problem("/input", "there is no finished work to review"))
        template = self._template(item.agent)
        try:
            review = await self._look(template, item, context)
        except SchemaUnusable as error:
            return invalid_item(Problem("/output_schema", str(error)))
        if context.complete.model is not None:
            review = await judge(item, context, review)
        review = _open(review, template, modelled=context.complete.model is not None)
        return WorkResult(
            stop_reason=StopReason.COMPLETED,
            data=review_to_json(review),
            model=context.complete.model or "offline",
            template=template.ref,
        )

    def _template(self, agent: str) -> Template:
        """The template the work was made by.

        Its file may have been broken since then: that is no crash of the reviewer.
        """
        try:
            return self._template_of(agent)
        except SpawnRefused as error:
            raise ToolFailed(str(error)) from error

    async def _look(self, template: Template, item: WorkItem, context: Context) -> Review:
        """What can be judged without a model."""
        required = _required(template, item)
        review = Review(gates={}, required=required)
        if template.check:
            review = template.handed_back(await template.check(item, context), Review, "check")
        if not required <= review.required:
            review = changed(review, required=review.required | required)
        review = _against_schema(review, item, context)
        return await _for_unfinished(review, context)


def _required(template: Template, item: WorkItem) -> frozenset[Gate]:
    """The template's gates, and those the item itself asks for: that its requirements are met, that its tests pass."""
    required = template.required_gates
    if item.requirements:
        required |= {Gate.INTENT_SATISFIED}
    if item.tests:
        required |= {Gate.TESTS_PASSING}
    return required


def _open(review: Review, template: Template, *, modelled: bool) -> Review:
    """`review` with a word on each required gate that nobody could judge: who might have."""
    undecided = review.undecided
    if not undecided:
        return review
    gates = dict(review.gates)
    for gate in undecided:
        said = review.finding(gate).issues or (_why_open(gate, template, modelled=modelled),)
        gates[gate] = Finding(Verdict.UNKNOWN, said)
    return changed(review, gates=gates)


def _why_open(gate: Gate, template: Template, *, modelled: bool) -> str:
    left = f"the check of {template.ref} leaves it unknown" if template.check else f"{template.ref} has no check"
    if gate in NEVER_JUDGED:
        return f"{left}, and no model can tell"
    return f"{left}, and {'the model could not tell' if modelled else 'no model judged it'}"


def _against_schema(review: Review, item: WorkItem, context: Context) -> Review:
    """Data that breaks the schema is incorrect; data that keeps it is not thereby correct."""
    if item.output_schema is None or context.work is None:
        return review
    broken = tuple(f"output_schema: {each}" for each in violations(item.output_schema, context.work.data))
    return _with(review, Gate.CORRECTNESS, Finding(Verdict.FAIL, broken)) if broken else review


async def _for_unfinished(review: Review, context: Context) -> Review:
    """Marks of unfinished work in the artifacts, where the gate is required and the template's check left it open."""
    asked = Gate.NO_ANTIPATTERNS in review.required and review.finding(Gate.NO_ANTIPATTERNS).verdict is Verdict.UNKNOWN
    if not asked or context.work is None or not context.work.artifacts:
        return review
    names = [each.name for each in context.work.artifacts]
    marks = await asyncio.to_thread(artifacts.unfinished, context.workspace, names)
    issues = tuple(f"no_antipatterns: unfinished: {each}" for each in marks)
    return _with(review, Gate.NO_ANTIPATTERNS, Finding(Verdict.FAIL if issues else Verdict.PASS, issues))


def _with(review: Review, gate: Gate, finding: Finding) -> Review:
    gates: Mapping[Gate, Any] = {**review.gates, gate: finding}
    return changed(review, gates=gates, required=review.required | {gate})
