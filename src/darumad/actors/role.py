"""A role's actor: the life of one slot, which takes one item at a time, and of the one agent behind the bridge.

It has its agent made, offers its seat to the orchestrator, and is told what goes wrong there: errors count against
this life, and its end takes the agent and what runs there along. The items themselves pass between orchestrator and
bridge by lists; through a mailbox for each slot, every item would wake six threads more, which cost half of all it
costs. Handlers post and return; they never wait.

Optimizer, executor and reviewer are the same actor with another agent: what differs between them is what their
minds do, and that stands in `agents`.
"""

import functools
from collections.abc import Callable

import structlog

from darumad.actors.judge import AgentError, TaskAbandoned
from darumad.actors.messages import SlotDown, SlotUp, tell_if_alive
from darumad.agents import AgentDefinition
from darumad.bridge import Bridge, Done, Seat, Spawned, SpawnFailed
from darumad.events import AgentHealthDegraded, AgentHealthRestored, AgentSpawnFailed, Fact
from darumad.names import ActorPath, Incarnation, Role
from darumad.supervision import Actor
from darumad.values import Value

log = structlog.get_logger(__name__)


class Station(Value, kw_only=True):
    """What a role actor works with, given once. `orchestrator` tells whoever is the orchestrator now."""

    role: Role
    definition: AgentDefinition
    bridge: Bridge
    orchestrator: Callable[[object], None]
    note: Callable[[Fact], None]


class RoleActor(Actor):
    """See the module.

    READY without its agent: until the agent is there the slot is not in the roster, and its items wait.
    """

    def __init__(self, station: Station) -> None:
        super().__init__()
        self._station = station
        self._spawn_failures = 0

    def on_start(self) -> None:
        """Ask for the agent; its slot comes up when `Spawned` arrives."""
        self._seat = Seat(
            path=ActorPath(self.path),
            incarnation=Incarnation(self.incarnation),
            role=self._station.role,
            definition=self._station.definition,
            tell=functools.partial(tell_if_alive, self.actor_ref.tell),
            report=self._station.orchestrator,
        )
        self._station.bridge.spawn(self._seat)

    def on_receive(self, message: object) -> None:
        """See the module."""
        match message:
            case Done():
                self._done(message)
            case Spawned():
                self._spawned(message)
            case SpawnFailed():
                self._spawn_failed(message)
            case _:
                log.error("unknown_message", message=repr(message)[:200])

    def _done(self, done: Done) -> None:
        if done.abandoned:
            raise TaskAbandoned(f"the task of {done.held.record.item.id} ignored its cancel")
        if done.result.error is not None:
            self.report(AgentError(done.result.error))
        elif done.result.success:
            self.succeeded()

    def _spawned(self, message: Spawned) -> None:
        if self._spawn_failures:
            self._station.note(AgentHealthRestored(self.path, self._station.definition.name))
        self._spawn_failures = 0
        self._station.orchestrator(SlotUp(self._seat, message.resources_version))

    def _spawn_failed(self, message: SpawnFailed) -> None:
        agent = self._station.definition.name
        if self._spawn_failures == 0:
            self._station.orchestrator(SlotDown(self._seat.holder, f"its agent cannot be made: {message.error}"))
            self._station.note(AgentHealthDegraded(self.path, agent, message.error))
        self._spawn_failures += 1
        self._station.note(AgentSpawnFailed(self.path, agent, message.error))
