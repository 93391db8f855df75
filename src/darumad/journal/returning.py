"""Items that go back: those whose holder is gone, those whose time has come, and those whose time is over."""

from collections.abc import Iterable, Sequence

from darumad.events import WorkReady, WorkRescued
from darumad.journal.batch import Batch
from darumad.journal.deaths import Death, convict, expire
from darumad.journal.requests import APPLIED, Answer, Promoted, PromoteDue, Rescue, Rescued, SetBack
from darumad.journal.sql import SQL
from darumad.names import Fence, ItemId
from darumad.values import Value
from darumad.work.blame import CLEAR, LifeEnd, Suspicion, after_life, is_killer


class Running(Value):
    """A running row, as a rescue finds it. `stepped`: it has a step or a stage's output under its present fence."""

    row: int
    uid: ItemId
    fence: Fence
    holder: str
    stage: str
    suspicion: Suspicion
    stepped: bool


def rescue(batch: Batch, asked: Sequence[Rescue]) -> list[Answer]:
    """Nobody works on them, the process lives: nobody is to blame, and the fence alone is the price."""
    return [_rescue(batch, each) for each in asked]


def rescue_all(batch: Batch, end: LifeEnd) -> tuple[ItemId, ...]:
    """At boot: whatever still runs was held by a life that is over. What keeps killing the process dies here."""
    rows = [(each, CLEAR if each.stepped else after_life(each.suspicion, end)) for each in _running(batch)]
    back = [(each, suspicion) for each, suspicion in rows if not is_killer(suspicion.crashes)]
    _put_back(batch, back)
    convict(batch, [_killer(each, suspicion) for each, suspicion in rows if is_killer(suspicion.crashes)])
    return tuple(each.uid for each, _ in back)


def promote_due(batch: Batch, asked: Sequence[PromoteDue]) -> list[Answer]:
    """Once for all who ask in one batch."""
    expire(batch)
    promoted = batch.run("promote_due", ())
    batch.record(WorkReady(uid, "its time came") for (uid,) in promoted)
    return [Promoted(len(promoted), batch.db.value(SQL["next_due"]))] * len(asked)


def set_back(batch: Batch, asked: Sequence[SetBack]) -> list[Answer]:
    """One after the other: each goes by where the one before it put things."""
    for each in asked:
        batch.run("set_back", (), by=each.by_ms, at=each.at, right=each.right, wrong=each.wrong)
    return [APPLIED] * len(asked)


def _rescue(batch: Batch, asked: Rescue) -> Rescued:
    gone = [
        each for each in _running(batch) if (each.uid, each.fence) not in asked.live and each.holder not in asked.taken
    ]
    _put_back(batch, [(each, each.suspicion) for each in gone])
    return Rescued(tuple(each.uid for each in gone))


def _running(batch: Batch) -> list[Running]:
    return [
        Running(
            row, uid, fence, holder, stage, Suspicion(barren=lives, suspect=bool(suspect), crashes=crashes), stepped
        )
        for row, uid, fence, holder, stage, crashes, lives, suspect, stepped in batch.db.all(SQL["running"])
    ]


def _put_back(batch: Batch, rows: Iterable[tuple[Running, Suspicion]]) -> None:
    back = list(rows)
    batch.run_if_any("rescue", [(each.row, held.barren, int(held.suspect), held.crashes) for each, held in back])
    batch.run_if_any("close_holds", [(each.row, "rescued") for each, _ in back])
    batch.record(WorkRescued(each.uid, each.holder, each.stage) for each, _ in back)


def _killer(each: Running, held: Suspicion) -> Death:
    said = f"the daemon died {held.crashes} times while this item was the one suspect that ran"
    return Death(each.row, "handler_crashed", said, held.crashes)
