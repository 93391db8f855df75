"""What follows when a stage ends: one pure function over the table in `causes`.

The orchestrator asks `what_follows` and acts on the answer; the journal stores it in one transaction. Time and chance
come in as arguments.
"""

from collections.abc import Callable, Mapping
from typing import Any

from darumad.names import Millis, Seconds, Stage
from darumad.values import Value, changed
from darumad.work.backoff import OUTAGE, RETRY, Backoff
from darumad.work.blame import is_killer
from darumad.work.causes import ENDS, TOLD_AS, Course, cause_of, review_of
from darumad.work.error_context import Site, compact
from darumad.work.gates import Review, in_order
from darumad.work.item import WorkRecord
from darumad.work.kinds import KINDS
from darumad.work.result import Failure, StopReason, WorkResult
from darumad.work.states import ParkReason, ScheduleReason, WorkState

SHORTEST, LONGEST = Seconds(1), Seconds(7 * 86_400)
"""Seconds: what becomes of a wait that somebody asked for, however short or long."""

UNDECIDED = "GateUndecided"
"""The error type of a review that left a required gate unknown."""

_S, _C = StopReason, Course

_WITHOUT_A_MODEL = frozenset({_C.WAIT_OUT, _C.PROVIDER_DOWN, _C.PARK_PROVIDER, _C.PARK_BUDGET, _C.TRY_AGAIN})
"""What an optimizer's failure spares its item: the context is built without a model instead."""

_OF_THE_TEMPLATE = frozenset({"agent_crashed", "child_died", "loop_held"})
"""What is no failure of an item once its template is known to do it to others too."""


class Next(Value, kw_only=True):
    """What becomes of an item whose stage ended; the fields of a move that the rules decide.

    The counters are added to the record's. `degraded`: the optimizer failed, so the next stage gets a context that was
    built without a model. `keep_rank` is False for a retry after a failure: it queues anew. `moves` is False where
    nothing is to be stored at all.
    """

    to: WorkState
    stage: Stage
    reason: str | None = None
    run_at: Millis | None = None
    fence_up: bool = False
    ends_attempt: bool = False
    outcome: str = ""
    failures: int = 0
    crashes: int = 0
    delays: int = 0
    parks: int = 0
    reviews: int = 0
    keep_rank: bool = True
    degraded: bool = False
    moves: bool = True
    error: Mapping[str, Any] | None = None
    feedback: Mapping[str, Any] | None = None
    questions: tuple[str, ...] = ()


class _Ending(Value, kw_only=True):
    """Everything that a rule may look at."""

    record: WorkRecord
    stage: Stage
    result: WorkResult
    stages: tuple[Stage, ...]
    now: Millis
    rng_unit: float
    backoff: Backoff
    template_held: bool
    cause: str

    @property
    def following(self) -> Stage | None:
        """The stage after this one; None after the last."""
        index = self.stages.index(self.stage) + 1
        return self.stages[index] if index < len(self.stages) else None

    @property
    def failure(self) -> Failure:
        """What the result says went wrong, under the kind it was judged by."""
        kind = UNDECIDED if self.cause == "gate_undecided" else ""
        said = self.result.error or Failure(kind="", message=self.result.text or _sentence(self), error_type=kind)
        return changed(said, kind=TOLD_AS.get(self.cause, self.cause))

    @property
    def outcome(self) -> str:
        """The stop reason to tell: the result's own, unless the rules found a cause that it does not know."""
        own = self.result.stop_reason
        found = own is _S.COMPLETED or self.cause not in KINDS
        return (ENDS[self.cause].stop_reason if found else own).value


def what_follows(  # noqa: PLR0913 - each is named at the call, and each is a fact of its own
    record: WorkRecord,
    stage: Stage,
    result: WorkResult,
    *,
    stages: tuple[Stage, ...],
    now: Millis,
    rng_unit: float,
    backoff: Backoff = RETRY,
    template_held: bool = False,
) -> Next:
    """What becomes of `record`, held in `stage`, now that the stage ended with `result`.

    Args:
        record: the item as it stood before; its counters are those of earlier ends.
        stage: the stage that ended; one of `stages`.
        result: how it ended. In `reviewing` its `data` is a review as `codec.review_to_json` writes it: its verdict
            is derived anew from the gates, and a review that cannot be read is a `schema_violation`, never a pass.
        stages: the item's walk, in order.
        now: wall milliseconds.
        rng_unit: chance for the backoff's jitter, 0.0 to 1.0.
        backoff: the wait after a failure; the item's own `backoff` takes the place of its first.
        template_held: the agent's template is held (`blame.holds_template`, `blame.holds_the_loop`).

    Raises:
        ValueError: `stage` is none of `stages`.
    """
    ending = _Ending(
        record=record,
        stage=stage,
        result=result,
        stages=stages,
        now=now,
        rng_unit=rng_unit,
        backoff=backoff,
        template_held=template_held,
        cause=cause_of(result, stage, stages),
    )
    return _unless_expired(_TAKEN[_course(ending)](ending), ending)


def goes_on_degraded(result: WorkResult, stage: Stage, stages: tuple[Stage, ...]) -> bool:
    """Whether the end of an optimizer spares its item: the next stage gets a context that was built without a model."""
    if stage is not Stage.OPTIMIZING or stage is stages[-1]:
        return False
    return ENDS[cause_of(result, stage, stages)].course in _WITHOUT_A_MODEL


def in_line(following: Next, record: WorkRecord, now: Millis) -> Next:
    """`following` when its next stage has no free slot: ready for it, with its rank and attempt kept.

    An item past its `expires_at` does not go back into the line; it is dead.
    """
    waiting = changed(following, to=WorkState.READY, reason="slot")
    return waiting if not _expired(record, now) else _dead_of_time(record, following.stage)


def _course(ending: _Ending) -> Course:
    """The course of the cause's row, as the stage and what is known of the provider and template have it."""
    if goes_on_degraded(ending.result, ending.stage, ending.stages):
        return _C.GO_ON_DEGRADED
    course = ENDS[ending.cause].course
    if course is _C.PROVIDER_DOWN:
        course = _C.TRY_AGAIN if _its_own(ending.result.error) else _C.WAIT_OUT
    if ending.template_held and ending.cause in _OF_THE_TEMPLATE:
        return _C.PARK_TEMPLATE
    if course is not _C.TRY_AGAIN:
        return course
    finished_work = ending.stage is Stage.REVIEWING and Stage.EXECUTING in ending.stages
    return _C.REVIEW_AGAIN if finished_work else course


def _its_own(failure: Failure | None) -> bool:
    """Whether a provider's failure is the item's: the target answers others, and its circuit is closed."""
    return failure is not None and failure.target_answered and not failure.circuit_open


# --- the courses ----------------------------------------------------------------------------------------------------


_SUCCEEDED = {
    each: Next(to=WorkState.SUCCEEDED, stage=each, ends_attempt=True, outcome=_S.COMPLETED.value) for each in Stage
}
_RUNNING = {each: Next(to=WorkState.RUNNING, stage=each) for each in Stage}
"""What most ends lead to, made once: it depends on the stage alone."""


def _go_on(ending: _Ending) -> Next:
    following = ending.following
    return _SUCCEEDED[ending.stage] if following is None else _RUNNING[following]


def _go_on_degraded(ending: _Ending) -> Next:
    return changed(_go_on(ending), degraded=True, error=_error(ending))


def _wait_out(ending: _Ending) -> Next:
    failure = ending.result.error
    told = failure.retry_after if failure else None
    wait = OUTAGE.delay(ending.record.delays, ending.rng_unit) if told is None else min(max(SHORTEST, told), LONGEST)
    return Next(
        to=WorkState.SCHEDULED,
        stage=ending.stage,
        reason=ScheduleReason.OUTAGE.value,
        run_at=_after(ending.now, wait),
        outcome=ending.outcome,
        delays=1,
        error=_error(ending),
    )


def _try_again(ending: _Ending) -> Next:
    if ending.record.failures + 1 >= ending.record.item.max_attempts:
        return changed(_die(ending), failures=1)
    return _failed(ending, ending.stages[0])


def _review_again(ending: _Ending) -> Next:
    if ending.record.failures + 1 >= ending.record.item.max_attempts:
        parked = _park(ending, ParkReason.CONFLICT)
        return changed(parked, ends_attempt=True, failures=1)
    return _failed(ending, Stage.REVIEWING)


def _failed(ending: _Ending, stage: Stage) -> Next:
    """A new attempt at `stage`, after a wait and with a new place in the line."""
    own = ending.record.item.backoff
    backoff = ending.backoff if own is None else changed(ending.backoff, first=own)
    return Next(
        to=WorkState.SCHEDULED,
        stage=stage,
        reason=ScheduleReason.BACKOFF.value,
        run_at=_after(ending.now, backoff.delay(ending.record.failures, ending.rng_unit)),
        ends_attempt=True,
        outcome=ending.outcome,
        failures=1,
        keep_rank=False,
        error=_error(ending),
    )


def _send_back(ending: _Ending) -> Next:
    data = ending.result.data
    feedback = data if isinstance(data, Mapping) else {"issues": [ending.failure.message]}
    if ending.record.reviews + 1 > ending.record.item.max_reviews:
        return changed(_die(ending), reviews=1, feedback=feedback)
    return Next(
        to=WorkState.READY,
        stage=ending.stages[0],
        reason=_S.REVIEW_REJECTED.value,
        ends_attempt=True,
        outcome=ending.outcome,
        reviews=1,
        error=_error(ending),
        feedback=feedback,
    )


def _park(ending: _Ending, reason: ParkReason) -> Next:
    return Next(
        to=WorkState.PARKED,
        stage=ending.stage,
        reason=reason.value,
        fence_up=True,
        outcome=ending.outcome,
        parks=1,
        error=_error(ending),
    )


def _park_asked(ending: _Ending) -> Next:
    """Parked for what the agent asks: `data` may name a reason and questions; without them it is a challenge."""
    asked = ending.result.data if isinstance(ending.result.data, Mapping) else {}
    named = asked.get("reason")
    reason = ParkReason(named) if named in _ASKED else ParkReason.CHALLENGE
    questions = asked.get("questions", ())
    listed = questions if isinstance(questions, list | tuple) else ()
    return changed(_park(ending, reason), questions=tuple(str(each) for each in listed))


def _die(ending: _Ending) -> Next:
    return Next(
        to=WorkState.DEAD,
        stage=ending.stage,
        ends_attempt=True,
        reason=ending.outcome,
        outcome=ending.outcome,
        error=_error(ending),
    )


def _cancel(ending: _Ending) -> Next:
    return Next(
        to=WorkState.CANCELLED,
        stage=ending.stage,
        fence_up=True,
        ends_attempt=True,
        outcome=ending.outcome,
        error=_error(ending),
    )


def _crash(ending: _Ending) -> Next:
    if is_killer(ending.record.crashes + 1):
        outcome = _S.AGENT_CRASHED.value
        return changed(_die(ending), crashes=1, reason=outcome, outcome=outcome)
    return changed(_put_back(ending), crashes=1, error=_error(ending))


def _put_back(ending: _Ending) -> Next:
    outcome = _S.INTERRUPTED.value
    return Next(to=WorkState.READY, stage=ending.stage, reason=outcome, outcome=outcome)


def _stay(ending: _Ending) -> Next:
    return Next(to=WorkState.RUNNING, stage=ending.stage, moves=False)


_ASKED = tuple(
    each.value for each in (ParkReason.CHALLENGE, ParkReason.APPROVAL, ParkReason.QUESTION, ParkReason.CHILDREN)
)
"""What an agent itself may wait for. A tuple, for it is looked up with whatever the agent said."""
_TAKEN: Mapping[Course, Callable[[_Ending], Next]] = {
    _C.GO_ON: _go_on,
    _C.GO_ON_DEGRADED: _go_on_degraded,
    _C.WAIT_OUT: _wait_out,
    _C.TRY_AGAIN: _try_again,
    _C.REVIEW_AGAIN: _review_again,
    _C.SEND_BACK: _send_back,
    _C.PARK_PROVIDER: lambda ending: _park(ending, ParkReason.PROVIDER),
    _C.PARK_BUDGET: lambda ending: _park(ending, ParkReason.BUDGET),
    _C.PARK_CONFLICT: lambda ending: _park(ending, ParkReason.CONFLICT),
    _C.PARK_TEMPLATE: lambda ending: _park(ending, ParkReason.TEMPLATE),
    _C.PARK_ASKED: _park_asked,
    _C.DIE: _die,
    _C.CANCEL: _cancel,
    _C.CRASH: _crash,
    _C.PUT_BACK: _put_back,
    _C.STAY: _stay,
}


# --- what they share ------------------------------------------------------------------------------------------------


def _unless_expired(following: Next, ending: _Ending) -> Next:
    """`following`, or death where an item past its `expires_at` would go back to ready or scheduled."""
    returns = following.to in {WorkState.READY, WorkState.SCHEDULED}
    return _dead_of_time(ending.record, ending.stage) if returns and _expired(ending.record, ending.now) else following


def _expired(record: WorkRecord, now: Millis) -> bool:
    expires_at = record.item.expires_at
    return expires_at is not None and now >= expires_at


def _dead_of_time(record: WorkRecord, stage: Stage) -> Next:
    failure = Failure(kind="expired", message="the item was not done by its expires_at")
    return Next(
        to=WorkState.DEAD,
        stage=stage,
        reason=_S.EXPIRED.value,
        ends_attempt=True,
        outcome=_S.EXPIRED.value,
        error=compact(failure, record.item, Site(agent=record.holder or "")),
    )


def _after(now: Millis, seconds: float) -> Millis:
    return Millis(now + round(seconds * 1000))


def _error(ending: _Ending) -> Mapping[str, Any]:
    return compact(ending.failure, ending.record.item, Site(agent=ending.record.holder or ""))


def _left_open(review: Review) -> str:
    """Each gate that nobody judged, with what the review says of who might have."""
    said = {gate: "; ".join(review.finding(gate).issues) for gate in in_order(review.undecided)}
    silent = [gate.value for gate, why in said.items() if not why]
    told = [f"{gate.value} ({why})" for gate, why in said.items() if why]
    return "; ".join([*([f"no model judged {', '.join(silent)}"] if silent else []), *told])


def _sentence(ending: _Ending) -> str:
    """What to say where the result itself says nothing of what was wrong."""
    review = review_of(ending.result.data) if ending.stage is Stage.REVIEWING else None
    if ending.cause == "gate_undecided" and review is not None:
        return f"{_left_open(review)}: a required gate that is unknown is no pass"
    if ending.cause == "review_rejected" and review is not None:
        return "; ".join(review.issues)
    known = KINDS.get(ending.cause)
    return known.hints[0] if known else ending.cause
