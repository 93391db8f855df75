"""Moves and steps of held items.

Both are fenced: one that comes under an older fence, or from another stage, changes nothing.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from darumad.errors import DarumaError
from darumad.events import WorkStaleResult
from darumad.journal.accepting import accept
from darumad.journal.batch import Batch
from darumad.journal.conversing import keep
from darumad.journal.dependents import doom, settle
from darumad.journal.encoding import WORDS, dump, dump_or_null, load, sha256
from darumad.journal.requests import APPLIED, STALE, Accept, Answer, Audit, DropSteps, Move, Moved, Step
from darumad.names import Fence, ItemId
from darumad.work.states import UNFINISHED, WorkState

Rows = Mapping[ItemId, int]
"""The row of each item."""
_UNBOUNDED = sys.maxsize
"""The bound of the queue does not hold for the items of a plan: they were let in with their goal."""


def move(batch: Batch, moves: Sequence[Move]) -> list[Answer]:
    """Carry out moves, at most one for each item: the writer puts a second one into the next round.

    The answer is `Moved`, `STALE`, or the error of a plan that was not accepted.
    """
    rows, held = _standing(batch, moves)
    refused = _planned(batch, [each for each in moves if each.plan and each.item in held])
    applied = held - refused.keys()
    done = [each for each in moves if each.item in applied]
    leaving = [each for each in done if each.follows.to is not WorkState.RUNNING]
    batch.run_if_any(
        "keep_results", [_result(each, rows) for each in leaving if each.follows.to is WorkState.SUCCEEDED]
    )
    batch.run_if_any("go_on", [_going_on(each, rows) for each in done if each.follows.to is WorkState.RUNNING])
    batch.run_if_any("move", [_leaving(each, rows) for each in leaving])
    _keep(batch, done, rows)
    batch.run_if_any("end_attempts", [_ending(each, rows) for each in done if each.follows.ends_attempt])
    batch.run_if_any("close_holds", [(rows[each.item], _outcome(each)) for each in leaving])
    for each in moves:
        if each.item not in refused:
            batch.record(each.facts if each.item in applied else [_stale(each, f"a move to {each.follows.to}")])
    keep(batch, [each for each in leaving if each.exchange is not None], rows)
    settled = _settle(batch, leaving, rows)
    return [
        Moved(each.item, Fence(each.fence + each.follows.fence_up), tuple(settled.get(rows[each.item], ())))
        if each.item in applied
        else refused.get(each.item, STALE)
        for each in moves
    ]


def step(batch: Batch, steps: Sequence[Step]) -> list[Answer]:
    """Keep steps, at most one for each item: the writer puts a second one into the next round."""
    rows = batch.run("keep_steps", [(each.item, *_step(each)) for each in steps])
    applied = {uid for uid, _ in rows}
    batch.run_if_any("clear_suspicion", [uid for uid, blamed in rows if blamed])
    _keep_prompts(batch, [each for each in steps if each.item in applied])
    batch.record(_stale(each, f"step {each.seq}") for each in steps if each.item not in applied)
    return [APPLIED if each.item in applied else STALE for each in steps]


def drop_steps(batch: Batch, asked: Sequence[DropSteps]) -> list[Answer]:
    """Delete recorded steps, before the first that takes another walk may run."""
    rows = [(each.item, each.fence, each.attempt, WORDS[each.stage], each.seq) for each in asked]
    applied = {uid for (uid,) in batch.run("drop_steps", rows)}
    batch.record(_stale(each, f"another walk from step {each.seq}") for each in asked if each.item not in applied)
    return [APPLIED if each.item in applied else STALE for each in asked]


def _standing(batch: Batch, moves: Sequence[Move]) -> tuple[Rows, frozenset[ItemId]]:
    """The rows of the items to be moved, and which of them are held under the fence and in the stage of their move."""
    asked = [(each.item, each.fence, WORDS[each.from_stage]) for each in moves]
    rows: dict[ItemId, int] = {}
    stale: list[ItemId] = []
    for found, otherwise in batch.run("standing_of_held", asked):
        rows |= load(found)
        stale += load(otherwise)
    return rows, frozenset(rows.keys() - stale)


def _planned(batch: Batch, moves: Sequence[Move]) -> Mapping[ItemId, DarumaError]:
    """Accept the items that these moves plan, as sub-work of their goals; the error of each plan that is refused."""
    if not moves:
        return {}
    audits = [
        Audit(by="daemon", action="plan", target=each.item, request_id=each.plan[0].correlation_id or "")
        for each in moves
    ]
    accepts = [
        Accept(items=each.plan, audit=audit, max_unfinished=_UNBOUNDED)
        for each, audit in zip(moves, audits, strict=True)
    ]
    answers = zip(moves, accept(batch, accepts), strict=True)
    return {each.item: answer for each, answer in answers if isinstance(answer, DarumaError)}


def _settle(batch: Batch, leaving: Sequence[Move], rows: Rows) -> Mapping[int, list[ItemId]]:
    won = [rows[each.item] for each in leaving if each.follows.to is WorkState.SUCCEEDED]
    lost = [
        rows[each.item]
        for each in leaving
        if each.follows.to is not WorkState.SUCCEEDED and each.follows.to not in UNFINISHED
    ]
    batch.unfinished -= len(won) + len(lost)
    return {**settle(batch, won), **doom(batch, lost).of}


def _keep(batch: Batch, done: Sequence[Move], rows: Rows) -> None:
    """Keep what the applied moves bring with them: steps, the stage's output, questions and feedback."""
    steps = [step for each in done for step in each.steps]
    batch.run_if_any("keep_steps_of_moves", [(rows[each.item], *_step(each)) for each in steps])
    _keep_prompts(batch, steps)
    batch.run_if_any(
        "keep_outputs",
        [
            (rows[each.item], each.attempt, WORDS[each.from_stage], each.fence, dump(each.output))
            for each in done
            if each.output is not None
        ],
    )
    batch.run_if_any("correspond", [row for each in done for row in _correspondence(each, rows)])


def _correspondence(each: Move, rows: Rows) -> Iterator[tuple[Any, ...]]:
    asked, feedback = each.follows.questions, each.follows.feedback
    if asked or feedback:
        yield rows[each.item], dump(asked), "[]", dump([feedback] if feedback else [])


def _keep_prompts(batch: Batch, steps: Iterable[Step]) -> None:
    rows = [
        (each.item, each.attempt, WORDS[each.stage], each.seq, dump_or_null(each.asked))
        for each in steps
        if each.asked is not None
    ]
    batch.run_if_any("keep_prompts", rows)


def _result(each: Move, rows: Rows) -> tuple[Any, ...]:
    body = dump(each.result)
    return rows[each.item], each.fence, body, sha256(body)


def _going_on(each: Move, rows: Rows) -> tuple[Any, ...]:
    return (
        rows[each.item], WORDS[each.follows.stage], each.holder, _progress(each), dump_or_null(each.follows.error),
        each.resources_version,
    )  # fmt: skip


def _leaving(each: Move, rows: Rows) -> tuple[Any, ...]:
    what = each.follows
    return (
        rows[each.item], WORDS[what.to], WORDS[what.stage], what.reason, what.run_at,
        int(what.fence_up), int(what.ends_attempt), int(what.keep_rank),
        what.failures, what.crashes, what.delays, what.parks, what.reviews,
        _progress(each), dump_or_null(what.error),
    )  # fmt: skip


def _progress(each: Move) -> int:
    return int(each.output is not None or bool(each.steps))


def _step(each: Step) -> tuple[Any, ...]:
    return (
        each.attempt, WORDS[each.stage], each.seq, each.fence, each.kind, each.input_digest, dump(each.output),
    )  # fmt: skip


def _ending(each: Move, rows: Rows) -> tuple[Any, ...]:
    return rows[each.item], each.attempt, _outcome(each), dump_or_null(each.follows.error)


def _outcome(each: Move) -> str:
    return each.follows.outcome or WORDS[each.follows.to]


def _stale(each: Move | Step | DropSteps, what: str) -> WorkStaleResult:
    stage = each.from_stage if isinstance(each, Move) else each.stage
    return WorkStaleResult(each.item, stage, what)
