"""Admission: from what a caller sent to an item that the journal may accept. Each refusal names the field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darumad.control.house import Definition, House
from darumad.control.uploads import is_here
from darumad.control.wire import BudgetAsked, EditRequest, InputAsked, SubmitRequest, pointer
from darumad.errors import Problem, Refused, did_you_mean
from darumad.journal.requests import NewItem
from darumad.names import AgentName, ItemId, Millis, NanoUsd, Role, Seconds, Stage
from darumad.work.canonical import digest_of_sent
from darumad.work.challenge import Challenge, challenge_of
from darumad.work.item import Input, Limits, WorkItem
from darumad.work.states import ParkReason, ScheduleReason, WorkState
from darumad.work.validation import STAGES_OF, Findings, validate

_STAGES: Mapping[str, Stage] = {
    "plan": Stage.PLANNING,
    "optimize": Stage.OPTIMIZING,
    "execute": Stage.EXECUTING,
    "review": Stage.REVIEWING,
    **{stage.value: stage for stage in Stage},
}


_NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One item as it came: checked field by field, and as the JSON it was, which makes its digest.

    `at` is its place in the body, `key` its id if it names none, `by` who sent it.
    """

    request: SubmitRequest
    json: Mapping[str, Any]
    by: str
    key: str | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An item to accept, and what its caller should know about it."""

    new: NewItem
    warnings: tuple[str, ...]


def admit(sent: Sent, house: House) -> Admitted:
    """What was sent as the journal takes it.

    Raises:
        Refused: every field that is wrong, by its JSON pointer.
    """
    request, at = sent.request, sent.at
    definition = _definition(request, house.definitions(), at)
    item = _item(request, definition, ItemId(request.id or sent.key or house.new_id()))
    findings = validate(item)
    problems = [Problem(at + each.pointer, each.detail) for each in findings.errors]
    if request.inputs:
        problems += _missing_uploads(request, house.upload_dir, at)
    if problems:
        raise Refused("the item is not valid", problems=problems)
    asked = challenge_of(item, complete_by_form=definition.complete_by_form)
    questions = asked.questions if asked.stands else ()
    state, reason, run_at = _beginning(item, questions, house.clock.wall())
    new = NewItem(
        item=item,
        digest=_digest(sent),
        state=state,
        reason=reason,
        run_at=run_at,
        questions=questions,
        submitted_by=sent.by,
    )
    return Admitted(new, _doubts(findings, asked))


def _doubts(findings: Findings, asked: Challenge) -> tuple[str, ...]:
    """What the caller should know, each once."""
    if not findings.warnings and not asked.issues:
        return ()
    doubts = [f"{each.pointer.removeprefix('/')}: {each.detail}" for each in findings.warnings]
    return tuple(dict.fromkeys([*doubts, *(issue.says for issue in asked.issues)]))


def edited(item: WorkItem, request: EditRequest) -> WorkItem:
    """`item` as it is to be.

    Raises:
        Refused: every field that would be wrong, by its JSON pointer.
    """
    said = {name: getattr(request, name) for name in request.model_fields_set - {"id"}}
    if request.budget is not None:
        said["budget"] = _limits(request.budget)
    after = replace(item, **said)
    problems = [Problem(each.pointer, each.detail) for each in validate(after).errors]
    if problems:
        raise Refused("the item would not be valid", problems=problems)
    return after


def _limits(asked: BudgetAsked) -> Limits:
    if not asked.model_fields_set:
        return _NO_LIMITS
    return Limits(nano_usd=None if asked.usd is None else NanoUsd(asked.usd), tokens=asked.tokens, calls=asked.calls)


def _definition(request: SubmitRequest, known: Mapping[AgentName, Definition], at: str) -> Definition:
    """The definition that runs the item: the one named, else its role's own."""
    name = request.agent or request.role.value
    definition = known.get(AgentName(name))
    if definition is None:
        hint = did_you_mean(name, known)
        raise Refused(
            "the item is not valid", problems=[Problem(at + pointer("agent"), f"no agent is called {name}{hint}")]
        )
    return definition


def _item(request: SubmitRequest, definition: Definition, name: ItemId) -> WorkItem:
    return WorkItem(
        id=name,
        description=request.description,
        phase=request.phase,
        priority=request.priority,
        role=request.role,
        agent=definition.name,
        stages=_stages(request, definition),
        input=request.input,
        lane=request.lane,
        depends_on=tuple(map(ItemId, request.depends_on)),
        requirements=request.requirements,
        success_criteria=request.success_criteria,
        constraints=request.constraints,
        tech_stack=request.tech_stack,
        tests=request.tests,
        inputs=tuple(map(_input, request.inputs)),
        output_schema=request.output_schema,
        timeout=_optional_seconds(request.timeout),
        idle_timeout=_optional_seconds(request.idle_timeout),
        backoff=_optional_seconds(request.backoff),
        max_attempts=request.max_attempts,
        max_reviews=request.max_reviews,
        run_at=None if request.run_at is None else Millis(request.run_at),
        expires_at=None if request.expires_at is None else Millis(request.expires_at),
        budget=_limits(request.budget),
        challenge=request.challenge,
        labels=request.labels,
    )


def _input(asked: InputAsked) -> Input:
    return Input(name=asked.name, media_type=asked.media_type, text=asked.text, upload=asked.upload)


def _stages(request: SubmitRequest, definition: Definition) -> tuple[Stage, ...]:
    if request.stages is not None:
        return tuple(_STAGES[each] for each in request.stages)
    return definition.stages if request.role is Role.EXECUTOR else STAGES_OF[request.role]


def _optional_seconds(value: float | None) -> Seconds | None:
    return None if value is None else Seconds(value)


def _missing_uploads(request: SubmitRequest, uploads: Path, at: str) -> Sequence[Problem]:
    """What is wrong with the inputs that only this machine can tell: an upload that is not there."""
    return [
        Problem(at + pointer("inputs", index, "upload"), "nothing was uploaded under this digest; upload it first")
        for index, each in enumerate(request.inputs)
        if each.upload is not None and not is_here(uploads, each.upload)
    ]


def _beginning(item: WorkItem, questions: tuple[str, ...], now: Millis) -> tuple[WorkState, str | None, Millis | None]:
    """The state an item is accepted in, why, and when it is due."""
    if questions:
        return WorkState.PARKED, ParkReason.CHALLENGE.value, None
    if item.run_at is not None and item.run_at > now:
        return WorkState.SCHEDULED, ScheduleReason.DELAY.value, item.run_at
    return WorkState.READY, None, None


def _digest(sent: Sent) -> str:
    try:
        return digest_of_sent(sent.json)
    except TypeError as error:
        problem = Problem(sent.at or "/", f"holds what is no JSON: {error}")
        raise Refused("the item is not valid", problems=[problem]) from None
