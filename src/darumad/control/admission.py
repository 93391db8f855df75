"""Admission: from what a caller sent to an item that the journal may accept. Each refusal names the field."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from darumad.agents.schemas import problems_of
from darumad.control.daemon import Daemon, Definition
from darumad.control.desk import Ask
from darumad.control.uploads import is_here
from darumad.control.wire import BudgetAsked, EditRequest, InputAsked, MessageAsked, SubmitRequest
from darumad.errors import Problem, Refused, no_agent, pointer
from darumad.journal.requests import NewItem
from darumad.names import SLUG, AgentName, Capability, ItemId, Millis, Stage
from darumad.values import Value, changed
from darumad.work.canonical import digest_of_sent
from darumad.work.challenge import Challenge, challenge_of
from darumad.work.item import NO_LIMITS, Input, Limits, WorkItem
from darumad.work.model import Message
from darumad.work.states import ParkReason, ScheduleReason, WorkState
from darumad.work.validation import ONE_SOURCE, STAGES_OF, Findings, agent_errors, expired, validate

_STAGES: Mapping[str, Stage] = {
    "plan": Stage.PLANNING,
    "optimize": Stage.OPTIMIZING,
    "execute": Stage.EXECUTING,
    "review": Stage.REVIEWING,
    **{stage.value: stage for stage in Stage},
}
_UNTOLD: Mapping[str, Any] = {"description": "stands for one that is refused by itself, and breaks no rule"}


class Admitted(Value):
    """An item for the journal to accept, and the `warnings` for its caller.

    `unmet` is what the daemon cannot meet now: it refuses the item, unless the item was accepted before. `at` is the
    JSON pointer of the item in the body of its request.
    """

    new: NewItem
    warnings: tuple[str, ...]
    unmet: tuple[Problem, ...]
    at: str

    @property
    def names_paths(self) -> bool:
        """Whether any input is a path that the daemon itself reads."""
        return any(each.path is not None for each in self.new.item.inputs)


class Admission:
    """Admits the items of one request. What they share, the clock and the definitions, is looked up once."""

    def __init__(self, daemon: Daemon, ask: Ask) -> None:
        self._daemon = daemon
        self._by = ask.peer.by
        self._correlation_id = ask.request.correlation_id
        self._now = daemon.clock.wall()
        self._known = daemon.definitions()
        self._definitions: dict[AgentName, Definition] = {}

    def admit(self, request: SubmitRequest, sent: Mapping[str, Any], key: str | None = None, at: str = "") -> Admitted:
        """The item that was sent, checked as a whole and ready for the journal.

        Args:
            request: the item, checked field by field.
            sent: the JSON that it came as, of which its digest is made.
            key: its id, if it has none of its own.
            at: its JSON pointer in the body.

        Raises:
            Refused: every field that is wrong, by its JSON pointer.
        """
        definition = self._definition_or_all_that_is_wrong(request, sent, at)
        item = _item(request, definition, request.id or self._name(key))
        findings = validate(item)
        unmet = tuple(self._not_offered(request, definition, at)) if request.requires else ()
        if findings.errors or request.inputs or request.output_schema is not None:
            self._check(request, findings, unmet, at)
        asked = challenge_of(item, complete_by_form=definition.complete_by_form)
        questions = asked.questions if asked.stands else ()
        state, reason, run_at = _beginning(item, questions, self._now)
        new = NewItem(
            item=item,
            digest=_digest(sent, at),
            state=state,
            reason=reason,
            run_at=run_at,
            questions=questions,
            submitted_by=self._by,
            correlation_id=self._correlation_id,
        )
        return Admitted(new, (*_guessed(request, definition), *_doubts(findings, asked)), unmet, at)

    def rest(self, sent: Mapping[str, Any], told: Sequence[Problem], at: str = "") -> Sequence[Problem]:
        """What the rules say of the other fields of an item than those that were `told` of: all in one round.

        Nothing where its role is among those, or nobody has that role: what an item must be hangs on it.
        """
        wrong = {each.pointer.removeprefix(at).split("/")[1] for each in told if each.pointer.startswith(f"{at}/")}
        hang = {"requires"} if "agent" in wrong else set()
        if "role" in wrong or ("agent" in wrong and "agent" not in sent):
            return ()
        sound = {**_UNTOLD, **{name: value for name, value in sent.items() if name not in wrong | hang}}
        try:
            found: Sequence[Problem] = self.admit(SubmitRequest.model_validate(sound), sound, None, at).unmet
        except Refused as refused:
            found = refused.problems
        return tuple(each for each in found if each.pointer.removeprefix(at).split("/")[1] not in wrong)

    def _definition_or_all_that_is_wrong(self, request: SubmitRequest, sent: Mapping[str, Any], at: str) -> Definition:
        try:
            return self._definition(request, at)
        except Refused as refused:
            raise Refused(
                refused.message, problems=[*refused.problems, *self.rest(sent, refused.problems, at)]
            ) from None

    def _name(self, key: str | None) -> ItemId:
        """The key if there is one, even an empty one: with a new id a repeat would be another item."""
        return ItemId(self._daemon.new_id() if key is None else key)

    def _definition(self, request: SubmitRequest, at: str) -> Definition:
        """The definition that is to run the item: the one it names, or the built-in one of its role.

        Raises:
            Refused: there is no such agent, its role is another, or it is at another version than the one named.
        """
        asked = request.role.value if request.agent is None else request.agent
        named, _, version = asked.partition("@")
        name = AgentName(named)
        found = self._definitions.get(name) or self._known.get(name)
        if found is None:
            raise _refused(at + pointer("agent"), no_agent(name, self._known))
        for problem in agent_errors(asked):
            raise _refused(at + problem.pointer, problem.detail)
        if found.role is not request.role:
            whose = f"takes items for the {found.role.value}, and this is one for the {request.role.value}"
            mend = f"leave the agent out, or say role `{found.role.value}`"
            raise _refused(at + pointer("agent"), f"{name} {whose}: {mend}")
        if version and found.version not in {None, version}:
            raise _refused(at + pointer("agent"), f"{name} is at version {found.version}; leave the version out")
        self._definitions[name] = found
        return found

    def _check(self, request: SubmitRequest, findings: Findings, unmet: Sequence[Problem], at: str) -> None:
        wrong = findings.errors or problems_of(request.output_schema)
        problems = [Problem(_where(each, request, at), each.detail) for each in wrong]
        problems += _wrong_uploads(request, self._daemon.upload_dir, at)
        if problems:
            raise Refused("the item is not valid", problems=[*problems, *unmet])

    def _not_offered(self, request: SubmitRequest, definition: Definition, at: str) -> Iterator[Problem]:
        """What the item requires and its agent does not offer. No other agent is chosen instead."""
        for index, word in enumerate(request.requires):
            if word not in definition.offers and SLUG.fullmatch(word):
                yield Problem(at + pointer("requires", index), self._who_offers(word, definition.name))

    def _who_offers(self, word: Capability, name: AgentName) -> str:
        others = sorted(other for other, each in self._known.items() if word in each.offers)
        if others:
            return f"agent {name} does not offer {word}; name one as `agent` that does: {', '.join(others)}"
        return f"no agent offers {word}; let the settings say who does in `agents.NAME.offers`, and restart the daemon"


def _where(problem: Problem, request: SubmitRequest, at: str) -> str:
    """The field of `problem` as the caller wrote it. An item without an id takes that from the header's key."""
    by_key = request.id is None and problem.pointer == pointer("id")
    return "Idempotency-Key" if by_key else at + problem.pointer


def _doubts(findings: Findings, asked: Challenge) -> tuple[str, ...]:
    """The warnings for the caller, each once."""
    if not findings.warnings and not asked.issues:
        return ()
    doubts = [f"{each.pointer.removeprefix('/')}: {each.detail}" for each in findings.warnings]
    return tuple(dict.fromkeys([*doubts, *(issue.says for issue in asked.issues)]))


def edited(item: WorkItem, request: EditRequest, now: Millis) -> WorkItem:
    """`item` with the changes that `request` asks for.

    Raises:
        Refused: every field that would be wrong, by its JSON pointer.
    """
    said = {name: getattr(request, name) for name in request.model_fields_set - {"id"}}
    if "budget" in said:
        said["budget"] = _limits(request.budget)
    after = changed(item, **said)
    problems = [*validate(after).errors, *expired(said.get("expires_at"), now)]
    if problems:
        raise Refused("the item would not be valid", problems=problems)
    return after


def _limits(asked: BudgetAsked) -> Limits:
    if not asked.model_fields_set:
        return NO_LIMITS
    return Limits(nano_usd=asked.usd, tokens=asked.tokens, calls=asked.calls)


def _item(request: SubmitRequest, definition: Definition, name: ItemId) -> WorkItem:
    """The item that was asked for. Most fields are taken as they are; these few have another form inside."""
    fields = {
        **vars(request),
        "id": name,
        "agent": definition.name,
        "stages": _stages(request, definition),
        "messages": tuple(map(_message, request.messages)) if request.messages else (),
        "inputs": tuple(map(_input, request.inputs)) if request.inputs else (),
        "budget": _limits(request.budget),
    }
    return WorkItem(**fields)


def _input(asked: InputAsked) -> Input:
    return Input(name=asked.name, media_type=asked.media_type, text=asked.text, upload=asked.upload, path=asked.path)


def _message(asked: MessageAsked) -> Message:
    return Message(role=asked.role, text=asked.text)


def _stages(request: SubmitRequest, definition: Definition) -> tuple[Stage, ...]:
    if request.stages is not None:
        return tuple(_STAGES[each] for each in request.stages)
    return definition.stages or STAGES_OF[definition.role]


def _guessed(request: SubmitRequest, definition: Definition) -> Iterator[str]:
    """The warning for whose item walks stages that neither its caller nor its agent named."""
    if request.stages is None and not definition.stages:
        name, walk = definition.name, ", ".join(STAGES_OF[definition.role])
        untold = f"the template of {name} was never loaded, so nobody knows which it has, and the item walks {walk}"
        yield f"stages: {untold}; name them, or submit the item once `daruma agents show {name}` does"


def _wrong_uploads(request: SubmitRequest, uploads: Path, at: str) -> Iterator[Problem]:
    """What is wrong with the uploads that an item names: one that has a path as well, or that is not there."""
    for index, each in enumerate(request.inputs):
        if each.upload is not None and each.path is not None:
            yield Problem(at + pointer("inputs", index), ONE_SOURCE)
        elif each.upload is not None and not is_here(uploads, each.upload):
            detail = "nothing was uploaded under this digest; upload it first"
            yield Problem(at + pointer("inputs", index, "upload"), detail)


def _beginning(item: WorkItem, questions: tuple[str, ...], now: Millis) -> tuple[WorkState, str | None, Millis | None]:
    """The state an item is accepted in, why, and when it is due; one with questions, once they are answered."""
    due = item.run_at if item.run_at is not None and item.run_at > now else None
    if questions:
        return WorkState.PARKED, str(ParkReason.CHALLENGE), due
    if due is not None:
        return WorkState.SCHEDULED, str(ScheduleReason.DELAY), due
    return WorkState.READY, None, None


def _digest(sent: Mapping[str, Any], at: str) -> str:
    try:
        return digest_of_sent(sent)
    except TypeError as error:
        raise _refused(at or "/", f"holds what is no JSON: {error}") from None


def _refused(field: str, detail: str) -> Refused:
    return Refused("the item is not valid", problems=[Problem(field, detail)])
