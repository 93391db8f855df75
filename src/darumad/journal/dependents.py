"""What the end of an item does to those that wait on it, in the transaction of that end."""

from collections.abc import Mapping, Sequence

from darumad.events import Fact, WorkDead, WorkParked, WorkReady, WorkRevived, WorkScheduled
from darumad.journal.batch import Batch
from darumad.names import ItemId
from darumad.work.states import ScheduleReason, WorkState

Settled = Mapping[int, list[ItemId]]
"""By the row of the item that ended: the dependents this settled."""


def settle(batch: Batch, succeeded: Sequence[int]) -> Settled:
    """Dependents for which the last unfinished dependency was among `succeeded` go on."""
    settled: dict[int, list[ItemId]] = {}
    if not any(waits for (waits,) in batch.run_if_any("any_dependents", succeeded)):
        return settled
    for uid, state, reason, run_at, because in batch.run("settle_dependents", succeeded):
        settled.setdefault(because, []).append(uid)
        batch.record([_went_on(uid, WorkState(state), reason, run_at)])
    return settled


def doom(batch: Batch, ended: Sequence[int]) -> Settled:
    """Dependents of items that ended without success die, and theirs of them: a level at a time, each item once."""
    doomed: dict[int, list[ItemId]] = {}
    root_of = {row: row for row in ended}
    level: Sequence[int] = ended
    while rows := batch.run_if_any("doom_dependents", level):
        for row, uid, agent, phase, attempt, error, because in rows:
            root_of[row] = root_of[because]
            doomed.setdefault(root_of[row], []).append(uid)
            batch.record([WorkDead(uid, agent, phase, attempt, error)])
        batch.unfinished -= len(rows)
        level = [row for row, *_ in rows]
    return doomed


def revive(batch: Batch, released: Mapping[int, ItemId], by: str) -> tuple[ItemId, ...]:
    """Dependents that died of the death of `released` live again, and theirs.

    Not those that another lost item holds.
    """
    revived: list[ItemId] = []
    level: Sequence[int] = list(released)
    while rows := batch.run_if_any("revivable_dependents", level):
        batch.run(
            "release", [(row, (WorkState.READY if done else WorkState.WAITING).value, 1) for row, _, done in rows]
        )
        batch.record(WorkRevived(uid, by) for _, uid, _ in rows)
        batch.unfinished += len(rows)
        revived += [uid for _, uid, _ in rows]
        level = [row for row, _, _ in rows]
    return tuple(revived)


def _went_on(uid: ItemId, state: WorkState, reason: str | None, run_at: int | None) -> Fact:
    if state is WorkState.PARKED:
        return WorkParked(uid, str(reason), None)
    if state is WorkState.SCHEDULED:
        return WorkScheduled(uid, ScheduleReason.DELAY, int(run_at or 0), None)
    return WorkReady(uid, "its dependencies succeeded")
