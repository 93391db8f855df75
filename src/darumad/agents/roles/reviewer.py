"""The reviewer's agent: is a result what was asked for? Gate by gate; what nobody could judge stays unknown."""

import asyncio
from collections.abc import Mapping, Sequence

from darumad.agents import artifacts
from darumad.agents.artifacts import Looked
from darumad.agents.roles import judge
from darumad.agents.roles.conduct import Conduct, found_before_spending, invalid_item
from darumad.agents.roles.judge import JUDGED, NEVER_JUDGED, Exhibit
from darumad.agents.schemas import SchemaUnusable, violations
from darumad.agents.template import SHIPPED_WITH, Template, TemplateOf, ToolFailed
from darumad.agents.template_file import SpawnRefused
from darumad.errors import Problem
from darumad.names import Role
from darumad.values import changed
from darumad.work.codec import review_to_json
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


class ReviewerAgent:
    """Looks with its own eyes first: at the files as they are on disk now, then, if there is one, through a model.

    A review that is asked for directly has no template: nothing of it can be computed, so a model judges every gate.
    """

    resources_version = None
    """See `work.ports.Agent`."""

    def __init__(self, template_of: TemplateOf) -> None:
        self._template_of = template_of
        self._conduct = Conduct("reviewer")

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """The review of `context.work`, or of what an item for the reviewer hands in, as `data`.

        A review that finds faults is a review that succeeded.
        """
        return await self._conduct.run(item, context, find=found_before_spending, work=self._work)

    async def _work(self, item: WorkItem, context: Context) -> WorkResult:
        if item.role is Role.REVIEWER:
            return await _asked_for(item, context)
        if context.work is None:
            return invalid_item(Problem("/input", "there is no finished work to review"))
        template = self._template(item.agent)
        try:
            review = await self._look(template, item, context)
        except SchemaUnusable as error:
            return invalid_item(Problem("/output_schema", str(error)))
        if context.complete.model is not None:
            review = await judge.judge(item, context, review, _made(context.work))
        return _told(_open(review, template, modelled=context.complete.model is not None), context, template.ref)

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
        required = _required(template.required_gates, item)
        review = Review(gates={}, required=required)
        if template.check:
            review = template.review_handed_back(await template.check(item, context))
        if not required <= review.required:
            review = changed(review, required=review.required | required)
        review = _against_schema(review, item, context)
        return await _for_unfinished(review, context)


def opening(item: WorkItem, turns: tuple[Message, ...]) -> ModelRequest:
    """What a model is asked for the review of what `item` hands in, without what was uploaded with it. Pure."""
    return judge.opening(item, turns, _blank(item), Exhibit(data=item.input, texts=_texts(item)))


async def _asked_for(item: WorkItem, context: Context) -> WorkResult:
    """The review of what `item` hands in. No template narrows it: every gate counts that a model can judge.

    Raises:
        ModelFailed: no model judged it (`model_not_found` where there is none): a canned verdict is no review.
    """
    exhibit = await asyncio.to_thread(_handed_in, item, context)
    review = await judge.judge(item, context, _blank(item), exhibit)
    return _told(_open(review, None, modelled=True), context, "reviewer")


def _blank(item: WorkItem) -> Review:
    return Review(gates={}, required=_required(JUDGED, item))


def _handed_in(item: WorkItem, context: Context) -> Exhibit:
    """What is to be reviewed: the artifact, and the texts and files that came with it. Never call it on the loop."""
    places = (file for each in context.uploads.values() for file in (each, *sorted(each.rglob("*"))) if file.is_file())
    return Exhibit(
        data=item.input,
        files=[str(each.relative_to(context.place)) for each in places],
        texts=_texts(item),
    )


def _texts(item: WorkItem) -> Mapping[str, str]:
    return {each.name: each.text for each in item.inputs if each.text is not None}


def _made(work: WorkResult) -> Exhibit:
    return Exhibit(text=work.text, data=work.data, files=[each.name for each in work.artifacts])


def _told(review: Review, context: Context, by: str) -> WorkResult:
    return WorkResult(
        stop_reason=StopReason.COMPLETED,
        data=review_to_json(review),
        model=context.complete.model or "offline",
        template=by,
        resources_version=SHIPPED_WITH,
    )


def _required(required: frozenset[Gate], item: WorkItem) -> frozenset[Gate]:
    """These gates, and those the item itself asks for: that its requirements are met, that its tests pass."""
    if item.requirements:
        required |= {Gate.INTENT_SATISFIED}
    if item.tests:
        required |= {Gate.TESTS_PASSING}
    return required


def _open(review: Review, template: Template | None, *, modelled: bool) -> Review:
    """`review` with a word on each required gate that nobody could judge: who might have."""
    undecided = review.undecided
    if not undecided:
        return review
    gates = dict(review.gates)
    for gate in undecided:
        said = review.finding(gate).issues or (_why_open(gate, template, modelled=modelled),)
        gates[gate] = Finding(Verdict.UNKNOWN, said)
    return changed(review, gates=gates)


def _why_open(gate: Gate, template: Template | None, *, modelled: bool) -> str:
    left = "nothing checks what is handed in" if template is None else _left_by_the_check_of(template)
    if gate in NEVER_JUDGED:
        return f"{left}, and no model can tell"
    return f"{left}, and {'the model could not tell' if modelled else 'no model judged it'}"


def _left_by_the_check_of(template: Template) -> str:
    return f"the check of {template.ref} leaves it unknown" if template.check else f"{template.ref} has no check"


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
    made, workspace = context.work.artifacts, context.place
    looked = await asyncio.to_thread(lambda: [artifacts.look_through(workspace, each) for each in made])
    return _with(review, Gate.NO_ANTIPATTERNS, _marks_in(looked))


def _marks_in(looked: Sequence[Looked]) -> Finding:
    """What is not there is claimed only of texts, and of those only where every one was read to its end."""
    marks = tuple(f"no_antipatterns: unfinished: {mark}" for each in looked for mark in each.marks)
    if marks:
        return Finding(Verdict.FAIL, marks)
    unread = tuple(f"not looked through: {each.unread}" for each in looked if each.unread is not None)
    seen = any(each.whole for each in looked) and not unread
    return Finding(Verdict.PASS if seen else Verdict.UNKNOWN, unread)


def _with(review: Review, gate: Gate, finding: Finding) -> Review:
    gates = {**review.gates, gate: finding}
    return changed(review, gates=gates, required=review.required | {gate})
