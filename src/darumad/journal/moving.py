"""Moves and steps of held items.

Fenced: what comes under an older fence or of another stage changes nothing but its cost.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.events import WorkStaleResult
from darumad.journal.batch import Batch
from darumad.journal.dependents import doom, settle
from darumad.journal.encoding import dump, dump_or_null, sha256
from darumad.journal.requests import APPLIED, STALE, Answer, Move, Moved, Step
from darumad.names import Fence, ItemId
from darumad.work.result import Usage
from darumad.work.states import UNFINISHED, WorkState

Applied = Mapping[ItemId, tuple[int, Fence]]
"""The row and the fence that holds now, of each item that was moved."""
_UNUSED = Usage()


def move(batch: Batch, moves: Sequence[Move]) -> list[Answer]:
    """At most one move an item; the writer puts a second one into the next round."""
    batch.run_if_any("keep_results", [_result(each) for each in moves if each.to is WorkState.SUCCEEDED])
    rows = batch.run_if_any("go_on", [_going_on(each) for each in moves if each.to is WorkState.RUNNING])
    rows += batch.run_if_any("move", [_leaving(each) for each in moves if each.to is not WorkState.RUNNING])
    applied: Applied = {uid: (row, fence) for uid, row, fence in rows}
    done = [each for each in moves if each.item in applied]
    _keep(batch, done, applied)
    batch.run_if_any("book_attempts", [_booked(each, applied) for each in moves if _books(each, applied)])
    left = [(applied[each.item][0], each.outcome or each.to.value) for each in done if each.to is not WorkState.RUNNING]
    batch.run_if_any("close_holds", left)
    for each in moves:
        batch.record(each.facts if each.item in applied else [_stale(each, f"a move to {each.to}")])
    settled = _settle(batch, done, applied)
    return [_answer(each, applied, settled) for each in moves]


def step(batch: Batch, steps: Sequence[Step]) -> list[Answer]:
    """At most one step an item; a further one goes into the next round."""
    rows = batch.run("keep_steps", [(each.item, *_step(each)) for each in steps])
    applied = {uid for uid, _ in rows}
    batch.run_if_any("clear_suspicion", [uid for uid, blamed in rows if blamed])
    anew = [each for each in steps if each.anew and each.item in applied]
    batch.run_if_any("drop_steps_behind", [(each.item, each.attempt, each.stage.value, each.seq) for each in anew])
    batch.record(_stale(each, f"step {each.seq}") for each in steps if each.item not in applied)
    return [APPLIED if each.item in applied else STALE for each in steps]


def _answer(each: Move, applied: Applied, settled: Mapping[int, list[ItemId]]) -> Answer:
    if each.item not in applied:
        return STALE
    row, fence = applied[each.item]
    return Moved(each.item, fence, tuple(settled.get(row, ())))


def _settle(batch: Batch, done: Iterable[Move], applied: Applied) -> Mapping[int, list[ItemId]]:
    ended = [each for each in done if each.to not in UNFINISHED]
    batch.unfinished -= len(ended)
    won = [applied[each.item][0] for each in ended if each.to is WorkState.SUCCEEDED]
    lost = [applied[each.item][0] for each in ended if each.to is not WorkState.SUCCEEDED]
    return {**settle(batch, won), **doom(batch, lost)}


def _keep(batch: Batch, done: Sequence[Move], applied: Applied) -> None:
    """What the applied moves bring with them: steps, the stage's output, questions and feedback."""
    batch.run_if_any(
        "keep_steps_of_moves", [(applied[each.item][0], *_step(step)) for each in done for step in each.steps]
    )
    batch.run_if_any(
        "keep_outputs",
        [
            (applied[each.item][0], each.attempt, each.from_stage.value, each.fence, dump(each.output))
            for each in done
            if each.output is not None
        ],
    )
    batch.run_if_any(
        "correspond",
        [
            (applied[each.item][0], dump(each.questions), "[]", dump([each.feedback] if each.feedback else []))
            for each in done
            if each.questions or each.feedback
        ],
    )


def _result(each: Move) -> tuple[Any, ...]:
    body = dump(each.result)
    return each.item, each.fence, each.from_stage.value, body, sha256(body)


def _going_on(each: Move) -> tuple[Any, ...]:
    return (
        each.item, each.fence, each.from_stage.value, each.stage.value, each.holder,
        _progress(each), dump_or_null(each.error),
    )  # fmt: skip


def _leaving(each: Move) -> tuple[Any, ...]:
    return (
        each.item, each.fence, each.from_stage.value, each.to.value, each.stage.value, each.reason, each.run_at,
        int(each.fence_up), int(each.ends_attempt), int(each.keep_rank),
        each.failures, each.crashes, each.delays, each.parks, each.reviews,
        _progress(each), dump_or_null(each.error),
    )  # fmt: skip


def _progress(each: Move) -> int:
    return int(each.output is not None or bool(each.steps))


def _step(each: Step) -> tuple[Any, ...]:
    return (
        each.attempt, each.stage.value, each.seq, each.fence, each.kind, each.input_digest, dump(each.output),
    )  # fmt: skip


def _books(each: Move, applied: Applied) -> bool:
    return each.usage != _UNUSED or (each.ends_attempt and each.item in applied)


def _booked(each: Move, applied: Applied) -> tuple[Any, ...]:
    """What the move used, and how the attempt ended if it did. Of a stale one only the usage counts."""
    ends = each.ends_attempt and each.item in applied
    used = each.usage
    error = dump_or_null(each.error) if ends else None
    return (
        each.item, each.attempt, int(ends), each.outcome or each.to.value, error,
        used.input_tokens, used.output_tokens, used.cached_tokens, used.calls, used.nano_usd,
    )  # fmt: skip


def _stale(each: Move | Step, what: str) -> WorkStaleResult:
    stage = each.from_stage if isinstance(each, Move) else each.stage
    return WorkStaleResult(each.item, stage, what)
