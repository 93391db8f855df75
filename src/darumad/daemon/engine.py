"""The engine: the supervision tree, planted by `start`, and what it is told from outside. It decides nothing."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from darumad.actors import (
    ROOT,
    Barred,
    Beat,
    Claiming,
    Dispatch,
    Executors,
    Hint,
    HowClaiming,
    LeftBehind,
    OrchestratorPorts,
    Restarted,
    Station,
    TreeListener,
    agent_at,
    branches,
    executors_under,
    on_demand,
    restart_instances,
    root_flags,
    tell_if_alive,
)
from darumad.agents.providers import Lets
from darumad.bridge import Limit
from darumad.daemon import configured
from darumad.daemon.assembly import Kernel, Minds, listener_failed
from darumad.daemon.treasury import Treasury
from darumad.errors import Broken
from darumad.events import ProviderCircuitClosed, Recorded, WorkCancelled, WorkDead, WorkExpired
from darumad.journal.requests import PAUSED
from darumad.names import NEVER, AgentName, Fence, ItemId, Role, Seconds, Stage
from darumad.supervision import ChildSpec, Event, Supervisor, SupervisorRef, lint
from darumad.work.lanes import limited
from darumad.work.ports import Owner
from darumad.work.states import ParkReason

_LEAVE_A_LANE = frozenset({WorkCancelled.name, WorkDead.name, WorkExpired.name})
"""How items end that may be in no slot, but have a place in their lane."""


class Engine:
    """The tree and what it is told by: made once, rooted by `start`."""

    def __init__(self, kernel: Kernel, minds: Minds) -> None:
        self._kernel = kernel
        self._minds = minds
        self.dispatch = Dispatch(paused=kernel.journal.reader().setting(PAUSED) == "yes")
        self.definitions = configured.agent_definitions(kernel.settings)
        self._orchestrator: Callable[[object], None] | None = None
        self.treasury = Treasury(
            configured.allowance(kernel.settings),
            kernel.journal,
            kernel.clock,
            minds.ledger,
            provider_of=minds.broker.provider_of,
            hint=self.hint,
            aside=functools.partial(kernel.loops.aside, failed=listener_failed),
        )
        self._listener = TreeListener(
            agent_of=agent_at,
            note=kernel.note,
            orchestrator=self.tell,
            forget=minds.bridge.forget,
            degraded_at=kernel.settings.supervision.degraded_at,
        )
        self._root: SupervisorRef | None = None
        self._limited_lanes = frozenset(limited(configured.lanes(kernel.settings)))
        self._restarted_at: dict[AgentName, Seconds] = {}
        self._policy = configured.policy(kernel.settings)
        self._executors = Executors(
            on_demand(self.definitions[Role.EXECUTOR], self._station, self._policy),
            supervisor=lambda: None if self._root is None else executors_under(self._root),
            dismissed=self._listener.dismissed,
        )
        self.held: frozenset[AgentName] = frozenset()
        """The definitions whose template is held, as the orchestrator last said."""

    @property
    def root(self) -> SupervisorRef:
        """The root supervisor.

        Raises:
            Broken: it was never started.
        """
        if self._root is None:
            raise Broken("the tree does not stand yet")
        return self._root

    def start(self, doors: Sequence[ChildSpec]) -> None:
        """Start the tree: the engine first, the doors last; every child is READY when this returns.

        Raises:
            Broken: the tree could never escalate as it should (the lint), which is a defect of this code.
        """
        specs = self._specs(doors)
        flags = root_flags()
        findings = lint(flags, specs)
        if findings:
            raise Broken("; ".join(findings))
        signals = self._kernel.signals
        signals.subscribe(self._listener)
        signals.subscribe(self._on_root)
        self._kernel.publisher.subscribe(self._heard)
        self._root = Supervisor.start(
            flags,
            specs,
            name=ROOT,
            clock=self._kernel.clock,
            bus=signals.publish,
            rng=self._kernel.rng,
            leak_cap=self._kernel.settings.supervision.leak_cap,
        )
        self.hint()  # whose executors were wanted before there was anybody to start them

    def tell(self, message: object) -> None:
        """Tell whoever is the orchestrator now; nobody, if none is: the next one reads the journal."""
        if self._orchestrator is not None:
            tell_if_alive(self._orchestrator, message)

    def hint(self, ready: Mapping[tuple[AgentName, Stage], int] | None = None) -> None:
        """Work may be ready: so much of it where it is known where, anywhere otherwise."""
        self.tell(Hint(ready))

    def restart(self, paths: Collection[str]) -> Mapping[str, str | None]:
        """Start the instances at `paths` anew, as their operator asks; of each, why it could not start, or None.

        A template that was held for what it did is not held any more.
        """
        asked = restart_instances(self.root, paths, self._listener.requested)
        self._repaired(frozenset(agent for path in asked if (agent := agent_at(path)) is not None))
        return asked

    def wake(self, agent: AgentName) -> None:
        """Start the executors of this definition, of which none stand, though nothing of theirs is there."""
        self._repaired(frozenset({agent}))

    def _repaired(self, agents: frozenset[AgentName]) -> None:
        self._restarted_at |= dict.fromkeys(agents, Seconds(self._kernel.clock.monotonic()))
        self.tell(Restarted(agents))

    def left_behind(self, agent: AgentName) -> None:
        """A callback of this agent's template has held up the loop that all agents share."""
        self.tell(LeftBehind(agent))

    def unmade(self) -> Mapping[AgentName, str]:
        """Why which definitions have no agent: those that could not be made, and those whose template is none."""
        bridge, refused = self._minds.bridge, self._minds.templates.refusals()
        if not refused:
            return bridge.unmade()
        seated = bridge.seated()
        return {name: why for name, why in refused.items() if name not in seated} | bridge.unmade()

    def unplaced(self) -> frozenset[AgentName]:
        """The definitions whose executors are wanted, and have no place in the tree."""
        return self._executors.unplaced

    def gated(self, agent: AgentName) -> str | None:
        """Why nothing is claimed for an agent though it is up; None where something is."""
        if agent in self.held:
            return "its template is held"
        return "its provider's circuit is open" if self._minds.broker.shut(agent) else None

    def beat_root(self, heard: Callable[[], None]) -> None:
        """Have `heard` called on the root's thread, between two of its jobs."""
        self.root.echo(heard)

    def beat_orchestrator(self, heard: Callable[[], None]) -> None:
        """Have `heard` called on the thread of whoever is the orchestrator now, between two messages."""
        self.tell(Beat(heard))

    def ask_how_claiming(self, heard: Callable[[Claiming], None]) -> None:
        """Have `heard` called with it on the thread of whoever is the orchestrator now."""
        self.tell(HowClaiming(heard))

    def _specs(self, doors: Sequence[ChildSpec]) -> list[ChildSpec]:
        settings = self._kernel.settings
        ports = OrchestratorPorts(
            clock=self._kernel.clock,
            rng=self._kernel.rng,
            new_id=self._kernel.new_id,
            dispatch=self.dispatch,
            post=self._kernel.journal.post,
            send=self._minds.bridge.send_work,
            revoke=self._revoke,
            barred=self._barred,
            holding=self._hold,
            mended_at=self._mended_at,
            counts={each.name: each.count for each in self.definitions[Role.EXECUTOR]},
            executors=self._executors,
            most_standing=settings.executors.most_definitions,
            idle_after=settings.executors.idle,
            loaded=self._minds.templates.versions,
            limited_lanes=self._limited_lanes,
            backoff=configured.retry(settings),
            reread=settings.queue.reread,
            arrived=self._arrived,
        )
        return branches(ports, definitions=self.definitions, station=self._station, policy=self._policy, doors=doors)

    def _arrived(self, told: Callable[[object], None]) -> None:
        self._orchestrator = told

    def _station(self, role: Role, definition: Any) -> Station:
        return Station(
            role=role,
            definition=definition,
            bridge=self._minds.bridge,
            orchestrator=self.tell,
            note=self._kernel.note,
        )

    def _on_root(self, event: Event) -> None:
        """Why the root is about to end, told before it does: the guardian must not guess."""
        if event.path != ROOT:
            return
        if event.name == "supervisor.leak_cap":
            self._kernel.guardian.end("leaked", f"{event.data['count']} threads were abandoned and still run")
        elif event.name == "supervisor.intensity_exceeded":
            self._kernel.guardian.end("root", "the root supervisor gave up: its children were restarted too often")

    def _revoke(self, item: ItemId, fence: Fence) -> None:
        self._minds.bridge.cancel([Owner(item, fence)], Limit.INTERRUPTED, lambda _: None)

    def _hold(self, agents: frozenset[AgentName]) -> None:
        self.held = agents

    def _mended_at(self, agent: AgentName, reason: str) -> Seconds:
        match reason:
            case ParkReason.PROVIDER:
                return self._minds.keys.mended_at(agent)
            case ParkReason.BUDGET:
                return self.treasury.reviewed_at
            case ParkReason.TEMPLATE:
                return self._restarted_at.get(agent, NEVER)
            case _:
                return NEVER

    def _barred(self) -> Barred:
        """Whose items are not claimed now: nobody could answer them, or the loop that would run them does not turn."""
        names = [each.name for group in self.definitions.values() for each in group]
        if self._kernel.loops.now.late() > self._kernel.settings.bridge.stalled_after:
            return Barred(wholly=frozenset(names))
        lets = {name: self._minds.broker.lets(name) for name in names}
        return Barred(
            wholly=frozenset(name for name, (calls, _) in lets.items() if calls is Lets.NONE),
            but_one={name: circuit for name, (calls, circuit) in lets.items() if calls is Lets.ONE},
        )

    def _heard(self, facts: Sequence[Recorded]) -> None:
        """On the publisher's thread: who waited for a circuit, or for a place in a lane, need not wait for a look.

        And what is cancelled stops, whoever cancelled it: sub-work goes with its parent, and nobody asked for that.
        """
        told = {each.type for each in facts}
        if ProviderCircuitClosed.name in told or (self._limited_lanes and told & _LEAVE_A_LANE):
            self.hint()
        cancelled = {each.subject for each in facts if each.type == WorkCancelled.name}
        if cancelled and (owned := self._minds.bridge.owners(cancelled)):
            self._minds.bridge.cancel(owned, Limit.CANCELLED, lambda _: None, "it was cancelled")
