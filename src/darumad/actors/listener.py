"""Listens to the supervision tree's signals.

The few that matter become facts, and the orchestrator and the bridge hear of ended lives.

Runs on the supervisors' own threads: it posts and returns.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from darumad.actors.messages import SlotDown
from darumad.events import (
    AgentBenched,
    AgentErrorRecorded,
    AgentHealthDegraded,
    AgentRestarted,
    AgentStarted,
    AgentUnbenched,
    Fact,
)
from darumad.plural import counted
from darumad.supervision import Event, ExitReason


@dataclass(slots=True)
class TreeListener:
    """One per daemon. `agent_of` names the definition of an instance's path, None for what is no agent."""

    agent_of: Callable[[str], str | None]
    note: Callable[[Fact], None]
    orchestrator: Callable[[object], None]
    forget: Callable[[str], None]
    degraded_at: int = 3
    _why: dict[str, str] = field(default_factory=dict)
    _benched: set[str] = field(default_factory=set)
    _dismissed: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        """Hear one signal."""
        agent = self.agent_of(event.path)
        if agent is None:
            return
        match event.name:
            case "child.started":
                self._started(event, agent)
            case "child.error":
                self._error(event, agent)
            case "child.budget_exceeded":
                self._why[event.path] = "errors"
            case "child.exited":
                self._exited(event, agent)
            case "child.benched":
                self._benched.add(event.path)
                self.note(AgentBenched(event.path, agent, self._why.get(event.path, "it kept failing")))

    def requested(self, path: str) -> None:
        """Somebody asked for the restart that the instance at `path` is about to see; on any thread."""
        self._why[path] = "requested"

    def dismissed(self, agent: str) -> None:
        """The executors of this definition are about to end, for want of work; on any thread."""
        self._dismissed.add(agent)

    def _started(self, event: Event, agent: str) -> None:
        incarnation = event.incarnation
        self._dismissed.discard(agent)
        if event.path in self._benched:
            self._benched.discard(event.path)
            self.note(AgentUnbenched(event.path, agent))
        why = self._why.pop(event.path, None)
        if why is None:
            self.note(AgentStarted(event.path, agent, incarnation))
        else:
            self.note(AgentRestarted(event.path, agent, incarnation, why))

    def _error(self, event: Event, agent: str) -> None:
        if event.data.get("judged") != "count":
            return
        errors, error = int(str(event.data.get("errors_in_window", 0))), str(event.data.get("error", ""))
        self.note(AgentErrorRecorded(event.path, agent, errors, error))
        if errors == self.degraded_at:
            why = f"{counted(errors, 'error')} in the window, the last: {error}"
            self.note(AgentHealthDegraded(event.path, agent, why))

    def _exited(self, event: Event, agent: str) -> None:
        holder = f"{event.path}#{event.incarnation}"
        reason = event.data.get("reason")
        kind = reason.kind if isinstance(reason, ExitReason) else str(reason)
        self.forget(holder)
        if agent in self._dismissed:  # what comes after that is no restart
            self._why.pop(event.path, None)
            self._benched.discard(event.path)
        else:
            self._why.setdefault(event.path, kind)
        self.orchestrator(SlotDown(holder, f"its actor ended: {kind}"))
