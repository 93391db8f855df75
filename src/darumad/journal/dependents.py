"""What the end of an item does to those that wait on it and to its sub-work, in the transaction of that end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from darumad.events import Fact, WorkCancelled, WorkDead, WorkParked, WorkReady, WorkRevived, WorkScheduled
from darumad.journal.batch import Batch
from darumad.names import Fence, ItemId
from darumad.work.states import ScheduleReason, WorkState

Settled = Mapping[int, list[ItemId]]
"""By the row of the item that ended: the dependents this settled."""


_Fell = tuple[int, ItemId, int]
"""An item that fell, by its row and its id, and the row of the one it fell with."""


@dataclass(slots=True)
class Fallen:
    """What fell with items that ended without success: `of` each of them, by its row, all that did.

    That is: the dependents that `died`, the sub-work that was `cancelled`, and who held of it what ran (`running`).
    """

    of: dict[int, list[ItemId]] = field(default_factory=dict)
    died: list[ItemId] = field(default_factory=list)
    cancelled: list[ItemId] = field(default_factory=list)
    running: list[tuple[ItemId, str, Fence]] = field(default_factory=list)


def settle(batch: Batch, succeeded: Sequence[int]) -> Settled:
    """Dependents for which the last unfinished dependency was among `succeeded` go on."""
    settled: dict[int, list[ItemId]] = {}
    if not any(waits for (waits,) in batch.run_if_any("any_dependents", succeeded)):
        return settled
    for uid, state, reason, run_at, because in batch.run("settle_dependents", succeeded):
        settled.setdefault(because, []).append(uid)
        batch.record([_went_on(uid, WorkState(state), reason, run_at)])
    return settled


def doom(batch: Batch, ended: Sequence[int], by: str = "daemon") -> Fallen:
    """Dependents of items that ended without success die, their sub-work is cancelled, and so on with those.

    A level at a time, each item once; `by` is who ended the first.
    """
    fallen = Fallen()
    root_of = {row: row for row in ended}
    level: Sequence[int] = ended
    while level:
        rows = [*_doomed(batch, level, fallen), *_cancelled(batch, level, by, fallen)]
        for row, uid, because in rows:
            root_of[row] = root_of[because]
            fallen.of.setdefault(root_of[row], []).append(uid)
        batch.unfinished -= len(rows)
        level = [row for row, *_ in rows]
    return fallen


def _doomed(batch: Batch, level: Sequence[int], fallen: Fallen) -> list[_Fell]:
    rows = batch.run("doom_dependents", level)
    batch.record([WorkDead(uid, agent, phase, attempt, error) for _, uid, agent, phase, attempt, error, _ in rows])
    fallen.died += [uid for _, uid, *_ in rows]
    return [(row, uid, because) for row, uid, *_, because in rows]


def _cancelled(batch: Batch, level: Sequence[int], by: str, fallen: Fallen) -> list[_Fell]:
    rows = batch.run("unfinished_below", level)
    end(batch, [row for row, *_ in rows])
    batch.record(
        [WorkCancelled(uid, by, f"it is sub-work of {top}, which is {state}") for _, uid, _, _, _, top, state in rows]
    )
    fallen.cancelled += [uid for _, uid, *_ in rows]
    fallen.running += [(uid, holder, fence) for _, uid, holder, fence, *_ in rows if holder]
    return [(row, uid, because) for row, uid, _, _, because, *_ in rows]


def end(batch: Batch, rows: Sequence[int]) -> None:
    """These are cancelled, whoever holds them."""
    batch.run_if_any("cancel", rows)
    batch.run_if_any("close_attempts", rows, outcome="cancelled")
    batch.run_if_any("close_holds", [(row, "cancelled") for row in rows])


def revive(batch: Batch, released: Mapping[int, ItemId], by: str) -> tuple[ItemId, ...]:
    """Dependents that died of the death of `released` wait again, and theirs.

    Not those that another lost item holds. What is lost of an item's needs is counted once, and from then on told off.
    """
    revived: list[ItemId] = []
    lost: dict[int, int] = {}
    level: Sequence[int] = list(released)
    while below := batch.run_if_any("dead_dependents", level):
        lost |= {row: lost[row] - back for row, _, back in below if row in lost}
        lost |= dict(batch.run_if_any("lost_needs", [row for row, *_ in below if row not in lost]))
        rows = [(row, uid) for row, uid, _ in below if not lost[row]]
        batch.run_if_any("release", [(row, WorkState.WAITING.value, 1) for row, _ in rows])
        batch.record(WorkRevived(uid, by) for _, uid in rows)
        batch.unfinished += len(rows)
        revived += [uid for _, uid in rows]
        level = [row for row, _ in rows]
    return tuple(revived)


def _went_on(uid: ItemId, state: WorkState, reason: str | None, run_at: int | None) -> Fact:
    if state is WorkState.PARKED:
        return WorkParked(uid, str(reason), None)
    if state is WorkState.SCHEDULED:
        return WorkScheduled(uid, ScheduleReason.DELAY, int(run_at or 0), None)
    return WorkReady(uid, "its dependencies succeeded")
