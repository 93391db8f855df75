"""The engine of the daemon on real parts: journal, bridge and tree, under a clock that a test winds.

What the agents do is the test's to say; who gives work to whom, and what follows, is the daemon's own.
"""

import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

from darumad.actors import (
    Barred,
    Dispatch,
    Executors,
    Hint,
    OrchestratorPorts,
    Policy,
    Station,
    TreeListener,
    agent_at,
    branches,
    executors_under,
    judge_of,
    on_demand,
)
from darumad.actors.messages import SlotUp
from darumad.agents import AgentDefinition
from darumad.bridge import (
    MEASURES,
    Bridge,
    BridgeHalf,
    BridgeLimits,
    JournalLedger,
    Limit,
    Loops,
    LoopThread,
    UnpackLimits,
    Workspaces,
)
from darumad.bus import Tally
from darumad.clock import SystemClock
from darumad.events import Fact
from darumad.journal.commits import Commits
from darumad.journal.requests import Note
from darumad.names import NEVER, AgentName, Fence, ItemId, Role, Seconds, Stage
from darumad.supervision import ActorDeadError, Backoff, Event, Supervisor, SupervisorFlags, SupervisorRef
from darumad.work.allowance import Allowance
from darumad.work.backoff import Backoff as Retry
from darumad.work.codec import plan_to_json, review_to_json
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.lanes import Lane
from darumad.work.plan import Plan, PlannedItem
from darumad.work.ports import Agent, Context, Owner
from darumad.work.result import Failure, StopReason, WorkResult
from darumad.work.states import WorkState
from darumad.work.validation import STAGES_OF
from tests.bridge.room import Broker
from tests.journal.desk import Desk, new_item
from tests.kit import FakeClock, eventually

PATIENCE = 20.0
REREAD = 5.0
IDLE = 600.0
Work = Callable[[WorkItem, Context], Awaitable[WorkResult]]
ROLE_OF = {
    Stage.PLANNING: Role.ORCHESTRATOR,
    Stage.OPTIMIZING: Role.OPTIMIZER,
    Stage.EXECUTING: Role.EXECUTOR,
    Stage.REVIEWING: Role.REVIEWER,
}


def completed(**more: Any) -> WorkResult:
    return WorkResult(stop_reason=StopReason.COMPLETED, model="offline", **more)


def failed(kind: str, reason: StopReason) -> WorkResult:
    return WorkResult(stop_reason=reason, error=Failure(kind=kind, message="so it went"))


def review(verdict: Verdict, *issues: str) -> WorkResult:
    found = Review(gates={Gate.CORRECTNESS: Finding(verdict, issues)}, required=frozenset({Gate.CORRECTNESS}))
    return completed(data=review_to_json(found))


async def plan(item: WorkItem, context: Context) -> WorkResult:
    items = (PlannedItem(key="a", description="do a"), PlannedItem(key="b", description="do b", depends_on=("a",)))
    return completed(data=plan_to_json(Plan(items=items, stages=STAGES_OF[Role.EXECUTOR])))


async def prepare(item: WorkItem, context: Context) -> WorkResult:
    return completed(data={"intent": item.description})


async def do(item: WorkItem, context: Context) -> WorkResult:
    return completed(text=f"did {item.id}")


async def approve(item: WorkItem, context: Context) -> WorkResult:
    return review(Verdict.PASS)


class _Mind:
    def __init__(self, company: "Company", role: Role) -> None:
        self._company, self._role = company, role

    @property
    def resources_version(self) -> str | None:
        return self._company.template if self._role is Role.EXECUTOR else None

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        self._company.contexts.append((item.id, context))
        return await self._company.minds[self._role](item, context)


class Company:
    """`minds` are what each role's agents do; `make` makes them; `contexts` is what they were shown, in order."""

    def __init__(
        self,
        directory: Path,
        stack: ExitStack,
        *,
        count: int = 2,
        grace: float = 5.0,
        places: Mapping[str, int] = MappingProxyType({}),
        **minds: Any,
    ) -> None:
        self.clock = FakeClock(1_000_000.0)
        self._ids = itertools.count(1)
        self._limited_lanes = frozenset(places)
        self.desk = Desk(directory / "state", self.clock)
        self.desk.lanes = {name: Lane(max_running=most) for name, most in places.items()}
        self.desk.open()
        stack.callback(self.desk.close)
        self.minds: dict[Role, Work] = {
            Role.ORCHESTRATOR: plan, Role.OPTIMIZER: prepare, Role.EXECUTOR: do, Role.REVIEWER: approve,
        }  # fmt: skip
        self.minds |= {Role(name): work for name, work in minds.items()}
        self.contexts: list[tuple[ItemId, Context]] = []
        self.make: Callable[[Role, AgentDefinition], Agent] = lambda role, definition: _Mind(self, role)
        self.dispatch = Dispatch()
        self.barred = Barred()
        self.held: list[frozenset[AgentName]] = []
        self.template = "as it was"
        self.loaded: dict[AgentName, str] = {}
        self.most_standing = 100
        self.idle_after = Seconds(IDLE)
        self.mended: dict[tuple[str, str], Seconds] = {}
        self.broker = Broker()
        self.broker.model = None
        self.signals: list[Event] = []
        self._up: set[str] = set()
        self._told: Callable[[object], None] | None = None
        self._definitions = {
            Role.ORCHESTRATOR: [_definition("orchestrator", Role.ORCHESTRATOR, 1)],
            Role.OPTIMIZER: [_definition("optimizer", Role.OPTIMIZER, count)],
            Role.EXECUTOR: [_definition(name, Role.EXECUTOR, count) for name in ("executor", "other", "third")],
            Role.REVIEWER: [_definition("reviewer", Role.REVIEWER, count)],
        }
        self._loop = Loops(SystemClock())
        self._loop.start()
        stack.callback(self._loop.stop, Seconds(PATIENCE))
        self.bridge = self._bridge(directory, grace)
        self._stack = stack
        self._root: SupervisorRef | None = None
        self._listener = TreeListener(agent_at, self.note, self.tell, self.bridge.forget)
        self.executors = Executors(
            on_demand(self._definitions[Role.EXECUTOR], self._station, _policy()),
            supervisor=lambda: None if self._root is None else executors_under(self._root),
            dismissed=self._listener.dismissed,
        )

    @property
    def root(self) -> SupervisorRef:
        assert self._root is not None
        return self._root

    def start(self) -> "Company":
        """The tree, up; torn down with the stack."""

        def hear(event: Event) -> None:
            self.signals.append(event)
            self._listener(event)

        specs = branches(
            self._ports(), definitions=self._definitions, station=self._station, policy=_policy(), doors=[]
        )
        self._root = Supervisor.start(
            SupervisorFlags(strategy="one_for_one", intensity=2, period=900.0),
            specs,
            name="daruma",
            clock=self.clock,
            bus=hear,
            rng=random.Random(1),
        )
        self._stack.callback(self._root.stop)
        self.tell(Hint())
        return self

    def seated(self) -> "Company":
        """Once every slot is up that always is: what is submitted from now on meets all of them."""
        known = (each for group in self._definitions.values() for each in group)
        slots = sum(each.count for each in known if each.name not in self.executors.known)
        eventually(lambda: len(self._up) == slots, PATIENCE)
        return self

    # --- what a test says ---------------------------------------------------------------------------------------------

    def submit(self, *names: str, hint: bool = True, **fields: Any) -> None:
        self.desk.submit(*(new_item(name, **fields) for name in names))
        if hint:
            self.tell(Hint())

    def tell(self, message: object) -> None:
        if self._told is not None:
            try:
                self._told(message)
            except ActorDeadError:
                return
        if isinstance(message, SlotUp):
            self._up.add(message.seat.holder)  # from here on all that is told comes behind it

    def note(self, fact: Fact) -> None:
        self.desk.journal.post(Note(facts=(fact,)))

    def becomes(self, item: str, state: WorkState) -> Any:
        """The item's record once it is in this state and the orchestrator knows; time stands still meanwhile."""
        eventually(lambda: self.desk.state(item) is state and self.at_rest(), PATIENCE)
        return self.desk.record(item)

    def at_rest(self) -> bool:
        """Whether the journal has told everything and the orchestrator has taken it in."""
        written = lambda: self.desk.journal.health().queued == 0 and self.desk.journal.health().batch_age is None  # noqa: E731
        ref = self.orchestrator().ref
        return bool(written() and ref is not None and ref._life.mailbox.idle and written())

    def succeeds(self, *items: str) -> None:
        for each in items:
            self.becomes(each, WorkState.SUCCEEDED)

    def facts(self, name: str, subject: str | None = None) -> list[Any]:
        return [each.data for each in self.desk.reader.events(0, limit=10_000, item=subject) if each.type == name]

    def until(self, name: str, subject: str | None = None, times: int = 1) -> list[Any]:
        eventually(lambda: len(self.facts(name, subject)) >= times, PATIENCE)
        return self.facts(name, subject)

    def orchestrator(self) -> Any:
        (row,) = [each for each in self.root.tree() if each.path.endswith("orchestrator")]
        return row

    def instance(self, ends: str) -> Any:
        (row,) = [each for each in self.root.tree() if each.path.endswith(ends)]
        return row

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _bridge(self, directory: Path, grace: float) -> Bridge:
        limits = BridgeLimits(
            timeout=Seconds(600.0),
            idle_timeout=Seconds(600.0),
            grace=Seconds(grace),
            heartbeat=Seconds(600.0),
            result=1 << 20,
        )
        post = self.desk.journal.post
        ledger = JournalLedger(Commits(post, self._loop.now.loop), SystemClock(), new_id=str, allowance=Allowance())

        def half_on(thread: LoopThread) -> BridgeHalf:
            commits = Commits(post, thread.loop)
            ledger.move_to(commits)
            return BridgeHalf(
                thread,
                make=lambda role, definition: self._made(role, definition),  # noqa: PLW0108 - a test may change it
                broker=self.broker,
                commits=commits,
                ledger=ledger,
                workspaces=Workspaces(
                    directory / "workspaces", directory / "uploads", UnpackLimits(size=1 << 20, files=100, spare=0)
                ),
                limits=limits,
                rng=random.Random(1),
                tally=Tally(MEASURES),
                signal=lambda *_: None,
                note=lambda _: None,
            )

        return Bridge(self._loop, half_on, self.broker)

    async def _made(self, role: Role, definition: AgentDefinition) -> Any:
        return self.make(role, definition)

    def _ports(self) -> OrchestratorPorts:
        return OrchestratorPorts(
            clock=self.clock,
            rng=random.Random(1),
            new_id=lambda: f"planned-{next(self._ids)}",
            dispatch=self.dispatch,
            post=self.desk.journal.post,
            send=self.bridge.send_work,
            revoke=self._revoke,
            barred=lambda: self.barred,
            holding=self.held.append,
            mended_at=lambda agent, reason: self.mended.get((agent, reason), NEVER),
            counts={each.name: each.count for each in self._definitions[Role.EXECUTOR]},
            executors=self.executors,
            most_standing=self.most_standing,
            idle_after=self.idle_after,
            loaded=lambda: self.loaded,
            limited_lanes=self._limited_lanes,
            backoff=Retry(first=Seconds(2.0), max=Seconds(300.0), factor=2.0, jitter=0.0),
            reread=Seconds(REREAD),
            arrived=self._arrived,
        )

    def _arrived(self, told: Callable[[object], None]) -> None:
        self._told = told

    def _revoke(self, item: ItemId, fence: Fence) -> None:
        self.bridge.cancel([Owner(item, fence)], Limit.INTERRUPTED, lambda _: None)

    def _station(self, role: Role, definition: AgentDefinition) -> Station:
        return Station(role=role, definition=definition, bridge=self.bridge, orchestrator=self.tell, note=self.note)


def _definition(name: str, role: Role, count: int) -> AgentDefinition:
    return AgentDefinition(name=AgentName(name), role=role, count=count)


def _policy() -> Policy:
    backoff = Backoff(min=1.0, max=60.0, jitter=0.0, reset_after=300.0, give_up_after=3, retry_benched=900.0)
    return Policy(
        errors=5, window=Seconds(60.0), backoff=backoff, ping_deadline=Seconds(10.0), shutdown=Seconds(5.0),
        judge=judge_of({}),
    )  # fmt: skip


class Poison:
    """A message whose handling raises, whatever is done with it."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("a defect of the handler's own")
