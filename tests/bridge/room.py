"""A bridge between a real loop and a real journal; its agents do what a test says, and its actor is a queue."""

import queue
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from darumad.agents import AgentDefinition
from darumad.bridge import (
    MEASURES,
    Bridge,
    BridgeHalf,
    BridgeLimits,
    Done,
    Ended,
    JournalLedger,
    Loops,
    LoopThread,
    Seat,
    Spawned,
    UnpackLimits,
    Workspaces,
)
from darumad.bus import Tally
from darumad.clock import SystemClock
from darumad.journal.commits import Commits
from darumad.journal.requests import Held
from darumad.names import ActorPath, AgentName, Incarnation, Role, Seconds
from darumad.values import changed
from darumad.work.allowance import Allowance
from darumad.work.item import WorkItem
from darumad.work.model import ModelReply, ModelRequest
from darumad.work.ports import Complete, Context, Owner
from darumad.work.result import StopReason, WorkResult
from tests.journal.desk import Desk, new_item

PATIENCE = 10.0
UNPACK_LIMITS = UnpackLimits(size=1 << 20, files=1000, spare=0)
Work = Callable[[WorkItem, Context], Awaitable[WorkResult]]


class Agent:
    """Does `work`, whatever it is."""

    resources_version: str | None = None

    def __init__(self, work: Work) -> None:
        self._work = work

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        return await self._work(item, context)


class Broker:
    """Answers each call by `answer`, and knows who was revoked, in order."""

    model: str | None = "scripted:model"

    def __init__(self) -> None:
        self.revoked: list[Owner] = []
        self.answer: Callable[[ModelRequest], Awaitable[ModelReply]] = _no_call

    def complete_for(self, owner: Owner, agent: str) -> Complete:
        return self

    async def __call__(self, request: ModelRequest) -> ModelReply:
        return await self.answer(request)

    def revoke(self, owner: Owner) -> None:
        self.revoked.append(owner)


class Room:
    """`reported` is what ended, `wrong` what the actor is told of that, `told` all else.

    `make` makes agents, and `make_for` what may wait.
    """

    def __init__(self, desk: Desk, directory: Path, stack: ExitStack, limits: Mapping[str, float]) -> None:
        clock = SystemClock()
        self.desk = desk
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.wrong: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self.reported: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self.signals: queue.SimpleQueue[tuple[str, str, int, Mapping[str, object]]] = queue.SimpleQueue()
        self.facts: list[object] = []
        self.tally = Tally(MEASURES)
        self.broker = Broker()
        self.work: Work = done
        self.make: Callable[[Role, AgentDefinition], Agent] = lambda role, definition: Agent(self._do)
        self.make_for: Callable[[Role, AgentDefinition], Awaitable[Agent]] = self._made
        self.loop = Loops(clock)
        self.loop.start()
        stack.callback(self.loop.stop, Seconds(PATIENCE))
        given = {"timeout": 600.0, "idle_timeout": 600.0, "grace": 5.0, "heartbeat": 600.0, "result": 1 << 20, **limits}
        unpacking = changed(UNPACK_LIMITS, spare=int(given.pop("spare", 0)))
        self.ledger = JournalLedger(
            Commits(desk.journal.post, self.loop.now.loop), clock, new_id=str, allowance=Allowance()
        )

        def half_on(thread: LoopThread) -> BridgeHalf:
            commits = Commits(desk.journal.post, thread.loop)
            self.ledger.move_to(commits)
            return BridgeHalf(
                thread,
                make=lambda role, definition: self.make_for(role, definition),  # noqa: PLW0108 - a test may change it
                broker=self.broker,
                commits=commits,
                ledger=self.ledger,
                workspaces=Workspaces(directory / "workspaces", directory / "uploads", unpacking),
                limits=BridgeLimits(**given),
                rng=random.Random(1),
                tally=self.tally,
                signal=lambda *said: self.signals.put(said),
                note=self.facts.append,
            )

        self.bridge = Bridge(self.loop, half_on, self.broker)

    def seat(self, number: int = 1, incarnation: int = 1, **definition: Any) -> Seat:
        return Seat(
            path=ActorPath(f"actor/{number}"),
            incarnation=Incarnation(incarnation),
            role=Role.OPTIMIZER,
            definition=AgentDefinition(**{"name": AgentName("optimizer"), "role": Role.OPTIMIZER, **definition}),
            tell=self._tell,
            report=self.reported.put,
        )

    def spawned(self, seat: Seat | None = None) -> Seat:
        """A seat whose agent is there."""
        seat = seat or self.seat()
        self.bridge.spawn(seat)
        assert self.next() == Spawned()
        return seat

    def held(self, name: str = "one", **item: Any) -> Held:
        """A new item, claimed."""
        self.desk.submit(new_item(name, **item))
        return self.desk.claim_one()

    def begin(self, work: Work, held: Held | None = None, seat: Seat | None = None) -> Held:
        """Begin `work` on an item."""
        self.work = work
        seat, held = self.spawned(seat), held or self.held()
        self.bridge.send_work(seat, held)
        return held

    def next(self) -> Any:
        """What the actor is told next."""
        return self.told.get(timeout=PATIENCE)

    def done(self) -> Done:
        """What is reported next; it ended alone."""
        (done,) = self.reported.get(timeout=PATIENCE).dones
        return done

    def settled(self) -> None:
        """Everything that was posted to the loop before this has been carried out."""
        seen: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.loop.post(lambda: seen.put(None))
        seen.get(timeout=PATIENCE)

    def nothing_more_is_told(self) -> bool:
        self.settled()
        self.settled()  # what ended in that turn is reported in the next
        return self.told.empty() and self.reported.empty()

    def _tell(self, message: object) -> None:
        if isinstance(message, Done):
            self.wrong.put(message)
        else:
            self.told.put(message)

    async def _made(self, role: Role, definition: AgentDefinition) -> Agent:
        return self.make(role, definition)

    async def _do(self, item: WorkItem, context: Context) -> WorkResult:
        return await self.work(item, context)


def completed(**more: Any) -> WorkResult:
    return WorkResult(stop_reason=StopReason.COMPLETED, **more)


async def done(item: WorkItem, context: Context) -> WorkResult:
    return completed(text=f"did {item.id}")


async def _no_call(request: ModelRequest) -> ModelReply:
    raise AssertionError("no model was to be called")
