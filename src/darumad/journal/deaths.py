"""Deaths that no move brings: of what is past its time, of what kills the process, and of what cannot be read."""

from collections.abc import Sequence
from typing import NamedTuple

from darumad.events import WorkDead, WorkExpired
from darumad.journal.batch import Batch
from darumad.journal.dependents import doom
from darumad.journal.encoding import dump


class Death(NamedTuple):
    """Why the running item of this row is dead, as its error says it. `crashes`, unless they are as they were."""

    row: int
    kind: str
    why: str
    crashes: int | None = None


def expire(batch: Batch) -> None:
    """Whatever is past its time and not running is dead, and so are those that wait on it."""
    rows = batch.run("expire", ())
    batch.record(WorkExpired(uid, agent, phase) for _, uid, agent, phase in rows)
    batch.unfinished -= len(rows)
    ended = [row[0] for row in rows]
    if ended:
        batch.run("close_attempts", ended, outcome="expired")
        doom(batch, ended)


def convict(batch: Batch, deaths: Sequence[Death]) -> None:
    """These are dead, and so are those that wait on them: whoever held them would fail again and again."""
    said = {each.row: each for each in deaths}
    rows = batch.run_if_any(
        "convict", [(each.row, each.crashes, dump({"kind": each.kind, "message": each.why})) for each in deaths]
    )
    batch.run_if_any("close_attempts", list(said), outcome="interrupted")
    batch.run_if_any("close_holds", [(row, "convicted") for row in said])
    batch.unfinished -= len(rows)
    batch.record(WorkDead(uid, agent, phase, attempt, said[row].why) for row, uid, agent, phase, attempt in rows)
    doom(batch, list(said))
