"""From what follows an end to the move that carries it out: pure.

The rule itself stands in `work.ends`; here it gets its facts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from darumad.bridge import Done
from darumad.errors import DarumaError, Unavailable
from darumad.events import (
    Fact,
    PlanCreated,
    WorkChallenged,
    WorkDead,
    WorkExpired,
    WorkInterrupted,
    WorkParked,
    WorkRetried,
    WorkReviewFailed,
    WorkScheduled,
    WorkStageChanged,
    WorkSucceeded,
)
from darumad.journal.requests import Held, Move, NewItem
from darumad.names import Fence, Millis, Stage
from darumad.values import changed
from darumad.work.blame import after_step
from darumad.work.canonical import digest
from darumad.work.codec import item_to_json, plan_from_json, result_to_json
from darumad.work.conversation import exchange_of
from darumad.work.ends import Next, in_line
from darumad.work.item import WorkItem, WorkRecord
from darumad.work.plan import sub_items
from darumad.work.result import Failure, StopReason, WorkResult
from darumad.work.states import ParkReason, WorkState


def move_of(  # noqa: PLR0913 - each is named at the call, and each is a fact of its own
    done: Done,
    follows: Next,
    *,
    holder: str | None,
    resources_version: str | None = None,
    now: Millis,
    new_id: Callable[[], str],
) -> Move:
    """The move that carries out `follows`: into `holder` when the next stage has a slot, ready for one otherwise."""
    record = done.held.record
    plan = _planned(done, follows, new_id)
    if follows.to is WorkState.RUNNING and holder is None:
        follows = in_line(follows, record, now)
    return Move(
        item=record.item.id,
        fence=record.fence,
        attempt=record.attempt,
        from_stage=record.stage,
        follows=follows,
        holder=holder if follows.to is WorkState.RUNNING else None,
        resources_version=resources_version,
        output=output_of(done, follows),
        steps=done.steps,
        result=_final(done, now, plan) if follows.to is WorkState.SUCCEEDED else None,
        exchange=exchange_of(record.item, _work(done)) if follows.to is WorkState.SUCCEEDED else None,
        facts=(*_planning(record, plan), *_facts(done, follows, holder, now)),
        plan=plan,
    )


def unplanned(done: Done, why: DarumaError) -> Done:
    """The end of a planning whose items were not accepted: for want of room, or through no fault of the goal.

    What kept it from them is that its time is over, of which it dies, or our own doing.
    """
    kind = "no_room" if isinstance(why, Unavailable) else "handler_crashed"
    failure = Failure(kind=kind, message=str(why), error_type=type(why).__name__)
    return changed(done, result=WorkResult(stop_reason=StopReason.INTERRUPTED, error=failure))


def output_of(done: Done, follows: Next) -> Any:
    """What this stage leaves for the next: the brief, the finished work, or the review.

    None when it did not do its work.
    """
    stage, result = done.held.record.stage, done.result
    if follows.degraded:
        return done.brief
    if not result.success:
        return None
    return result_to_json(result) if stage is Stage.EXECUTING else result.data


def held_next(done: Done, move: Move, fence: Fence, holder: str) -> Held:
    """The held item as its next stage begins, at its new slot."""
    held = done.held
    got_on = done.record if move.output is None else after_step(done.record)
    record = changed(got_on, stage=move.follows.stage, holder=holder, fence=fence)
    brief = move.output if move.from_stage is Stage.OPTIMIZING else held.brief
    work = done.result if move.from_stage is Stage.EXECUTING else held.work
    return changed(held, record=record, steps=(), brief=brief, work=work)


def _work(done: Done) -> WorkResult:
    """What the item came to: where it was reviewed, the work that was."""
    held = done.held
    return held.work if held.record.stage is Stage.REVIEWING and held.work is not None else done.result


def _planned(done: Done, follows: Next, new_id: Callable[[], str]) -> tuple[NewItem, ...]:
    """The items that a goal was broken up into; none of what was no goal, or is not planned yet."""
    record = done.held.record
    if record.stage is not Stage.PLANNING or follows.to is not WorkState.SUCCEEDED:
        return ()
    items = sub_items(record.item, plan_from_json(done.result.data), new_id)
    return tuple(
        NewItem(
            item=each,
            digest=digest(item_to_json(each)),
            origin=record.origin,
            submitted_by=record.submitted_by,
            correlation_id=record.correlation_id,
        )
        for each in items
    )


def _planning(record: WorkRecord, plan: Sequence[NewItem]) -> tuple[Fact, ...]:
    return (PlanCreated(record.item.id, tuple(each.item.id for each in plan)),) if plan else ()


def _final(done: Done, now: Millis, plan: Sequence[NewItem]) -> Mapping[str, Any]:
    record, work = done.held.record, _work(done)
    return {
        **result_to_json(work),
        **({"data": {"items": [_told(each.item) for each in plan]}} if plan else {}),
        "item_id": record.item.id,
        "attempt": record.attempt,
        "success": True,
        "review": None if work is done.result else done.result.data,
        "finished_at": now,
    }


def _told(item: WorkItem) -> Mapping[str, Any]:
    """An item of a plan, under the id that it got."""
    shown = ("id", "description", "phase", "priority", "depends_on", "requirements", "success_criteria")
    return {name: value for name, value in item_to_json(item).items() if name in shown}


def _facts(done: Done, follows: Next, holder: str | None, now: Millis) -> tuple[Fact, ...]:  # noqa: PLR0911 - one return a state
    record = done.held.record
    item, attempt, error = record.item.id, record.attempt, _sentence(follows, done.result)
    match follows.to:
        case WorkState.RUNNING:
            return (WorkStageChanged(item, follows.stage, attempt, holder),)
        case WorkState.READY:
            return (_ready_fact(record, follows, done),)
        case WorkState.SUCCEEDED:
            return (_succeeded(done, now),)
        case WorkState.SCHEDULED:
            later = WorkScheduled(item, str(follows.reason), follows.run_at or now, error)
            return (WorkRetried(item, follows.outcome, attempt), later) if follows.ends_attempt else (later,)
        case WorkState.PARKED if follows.reason == ParkReason.CHALLENGE:
            return (WorkChallenged(item, follows.questions),)
        case WorkState.PARKED:
            return (WorkParked(item, str(follows.reason), error),)
        case WorkState.DEAD if follows.outcome == StopReason.EXPIRED:
            return (WorkExpired(item, record.item.agent, record.item.phase),)
        case WorkState.DEAD:
            return (WorkDead(item, record.item.agent, record.item.phase, attempt, error or follows.outcome),)
        case _:
            return ()


def _ready_fact(record: WorkRecord, follows: Next, done: Done) -> Fact:
    if follows.feedback is not None:
        return WorkReviewFailed(record.item.id, tuple(follows.feedback.get("issues", ())), record.attempt)
    if done.result.success:
        return WorkStageChanged(record.item.id, follows.stage, record.attempt, None)
    return WorkInterrupted(record.item.id, _sentence(follows, done.result) or follows.outcome)


def _succeeded(done: Done, now: Millis) -> WorkSucceeded:
    record = done.held.record
    model = (done.held.work or done.result).model
    took = now - (record.started_at or now)
    return WorkSucceeded(record.item.id, record.item.agent, record.item.phase, record.attempt, model, took)


def _sentence(follows: Next, result: WorkResult) -> str | None:
    """What went wrong, as the rules judged it: a review that nobody could make is no error of the result's own."""
    if follows.error is not None:
        return str(follows.error.get("message"))
    if result.success:
        return None
    return result.error.message if result.error is not None else result.stop_reason.value
