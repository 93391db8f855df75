"""A journal under a wound clock, and short words for what the tests ask of it."""

import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from darumad.events import Fact, Recorded, WorkSucceeded
from darumad.journal import (
    Accept,
    Accepted,
    Audit,
    Cancel,
    Claim,
    Claimed,
    Held,
    Journal,
    Move,
    NewItem,
    Note,
    Program,
    Reader,
    Release,
    Slot,
    Step,
)
from darumad.names import AgentName, ItemId, Offer, Seconds, Stage
from darumad.work.codec import usage_to_json
from darumad.work.ends import Next
from darumad.work.item import WorkItem
from darumad.work.lanes import Lane
from darumad.work.result import UNUSED
from darumad.work.states import WorkState
from tests.kit.clock import FakeClock
from tests.kit.house import eventually

WITHIN = Seconds(20.0)
AGEING = Seconds(600.0)
PREPARE, DO, REVIEW = Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING
_OF_NEXT = frozenset(Next.__slots__)
AUDIT = Audit(by="uid:1000", action="test", target="an item")


class Desk:
    """One directory, the journal that is open in it, and everything it published."""

    def __init__(self, directory: Path, clock: FakeClock, *, ballast: int = 0, low_water: int = 0) -> None:
        self.directory = directory
        self.sizes = {"ballast": ballast, "low_water": low_water}
        self.lanes = dict[str, Lane]()
        self.offers: Sequence[Offer] = ()
        self.program = Program("1.0")
        self.clock = clock
        self.published: list[Recorded] = []
        self.fatal: list[Exception] = []
        self._journal: Journal | None = None

    def open(self, *, start: bool = True) -> "Desk":
        self._journal = Journal.open(
            self.directory,
            clock=self.clock,
            node="here",
            publish=self.published.extend,
            tally=None,
            ageing=AGEING,
            program=self.program,
            on_fatal=self.fatal.append,
            **self.sizes,
            lanes=self.lanes,
            offers=self.offers,
        )
        if start:
            self._journal.start()
        return self

    def close(self) -> None:
        if self._journal is not None:
            assert self._journal.close(WITHIN)

    def die(self) -> None:
        """The process dies: the boot never says that it stopped. Nothing is written after this."""
        journal = self.journal
        assert journal._writer.close(WITHIN)
        journal._reader.close()
        journal._booted.db.close()
        journal._lock.close()
        self._journal = None

    @property
    def journal(self) -> Journal:
        assert self._journal is not None
        return self._journal

    @property
    def reader(self) -> Reader:
        return self.journal.reader()

    def call(self, request: Any) -> Any:
        return self.journal.call(request, WITHIN)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Straight to the writer's connection, once the writer rests: behind an answer it looks after the log."""
        eventually(lambda: self.journal.health().batch_age is None)
        return self.journal._booted.db.all(statement, values)

    def work_of(self, act: Callable[[], Any]) -> int:
        """What the writer's connection works for `act`, in thousands of the steps of SQLite's own machine."""
        connection, steps = self.journal._booted.db._connection, count()
        connection.set_progress_handler(lambda: next(steps) < 0, 1000)
        act()
        connection.set_progress_handler(None, 0)
        return next(steps)

    # --- short words ------------------------------------------------------------------------------------------------

    def submit(self, *items: NewItem | str, max_unfinished: int = 1000) -> Accepted:
        new = tuple(each if isinstance(each, NewItem) else new_item(each) for each in items)
        answer = self.call(Accept(items=new, audit=AUDIT, max_unfinished=max_unfinished))
        assert isinstance(answer, Accepted)
        return answer

    def claim(self, stage: Stage = PREPARE, count: int = 1, agent: str = "*", **more: Any) -> tuple[Held, ...]:
        slots = tuple(Slot(AgentName(agent), stage, f"actor/{n + 1}#1") for n in range(count))
        answer = self.call(Claim(slots=slots, **more))
        assert isinstance(answer, Claimed)
        return answer.held

    def claim_one(self, stage: Stage = PREPARE, **more: Any) -> Held:
        (held,) = self.claim(stage, **more)
        return held

    def cancel(self, *items: str) -> Any:
        return self.call(Cancel(items=tuple(map(ItemId, items)), reason="enough", audit=AUDIT))

    def release(self, *items: str, answers: Sequence[str] = ()) -> Any:
        return self.call(Release(items=tuple(map(ItemId, items)), audit=AUDIT, answers=tuple(answers)))

    def succeed(self, held: Held, **more: Any) -> Any:
        return self.call(success(held, **more))

    def kill(self, held: Held) -> Any:
        return self.call(move(held, WorkState.DEAD, ends_attempt=True, outcome="refused", error={"kind": "refusal"}))

    def state(self, item: str) -> WorkState:
        return self.record(item).state

    def record(self, item: str) -> Any:
        record = self.reader.record(ItemId(item))
        assert record is not None
        return record

    def events(self, item: str | None = None) -> list[str]:
        return [each.type for each in self.reader.events(0, item=item)]


def new_item(item: str, *, needs: Sequence[str] = (), digest: str = "d", **more: Any) -> NewItem:
    fields = {name: more.pop(name) for name in list(more) if name in WorkItem.__struct_fields__}
    if "run_at" in more or "run_at" in fields:
        more["run_at"] = fields.get("run_at")
    fields.setdefault("description", f"do {item}")
    work = WorkItem(id=ItemId(item), depends_on=tuple(map(ItemId, needs)), **fields)
    return NewItem(item=work, digest=digest, **more)


def move(held: Held, to: WorkState, stage: Stage | None = None, **more: Any) -> Move:
    """`more` are fields of the move, and of what follows."""
    record = held.record
    if to is WorkState.RUNNING:
        more.setdefault("holder", "actor/9#1")
    decided = {name: more.pop(name) for name in tuple(more) if name in _OF_NEXT}
    given = {"fence": record.fence, "from_stage": record.stage, **more}
    follows = Next(to=to, stage=stage or record.stage, **decided)
    return Move(item=record.item.id, attempt=record.attempt, follows=follows, **given)


MADE = {"text": "done", "usage": usage_to_json(UNUSED)}
"""The result of an item that ended by `success` and paid nothing."""


def success(held: Held, **more: Any) -> Move:
    facts: tuple[Fact, ...] = (WorkSucceeded(held.record.item.id, "executor", "implementation", 1, "offline", 5),)
    given = {"result": {"text": "done"}, "ends_attempt": True, "outcome": "completed", "facts": facts, **more}
    return move(held, WorkState.SUCCEEDED, **given)


def step(held: Held, seq: int = 0, **more: Any) -> Step:
    record = held.record
    given = {
        "fence": record.fence,
        "attempt": record.attempt,
        "stage": record.stage,
        "kind": "model",
        "input_digest": "in",
        "output": {"said": seq},
        **more,
    }
    return Step(item=record.item.id, seq=seq, **given)


class Gate:
    """Holds the writer inside an answer, so that what is posted meanwhile is one batch."""

    def __init__(self, desk: Desk) -> None:
        self._opened, entered = threading.Event(), threading.Event()

        def hold(_: Any) -> None:
            entered.set()
            self._opened.wait(20)

        desk.journal.post(Note(facts=()), hold)
        assert entered.wait(20)

    def open(self) -> None:
        self._opened.set()
