"""How executors get into the tree while there is work for them, and out of it again. It decides nothing."""

from collections.abc import Callable, Mapping

import structlog

from darumad.names import AgentName
from darumad.supervision import ChildSpec, SupervisorRef

log = structlog.get_logger(__name__)


class Executors:
    """Those of the definitions in `specs`, started and ended on their supervisor's thread: nobody waits for it.

    `supervisor` is None until the tree stands, and while it is away. `dismissed` is told whose are about to end because
    they have no work, right before they do.
    """

    def __init__(
        self,
        specs: Mapping[AgentName, ChildSpec],
        supervisor: Callable[[], SupervisorRef | None],
        dismissed: Callable[[AgentName], None],
    ) -> None:
        self._specs = specs
        self.known = frozenset(specs)
        """The definitions that these are."""
        self._supervisor = supervisor
        self._dismissed = dismissed
        self.unplaced: frozenset[AgentName] = frozenset()
        """For whose there is work and no place, as the orchestrator last said."""

    def start(self, agent: AgentName) -> bool:
        """Have those of this definition start, where they do not stand yet. False: nobody can take that on now."""
        supervisor = self._supervisor()
        if supervisor is None:
            return False
        supervisor.want_child(self._specs[agent])
        return True

    def end(self, agent: AgentName) -> None:
        """Have those of this definition end, where they stand."""
        supervisor = self._supervisor()
        if supervisor is not None:
            log.info("executors_dismissed", agent=agent)
            supervisor.dismiss_child(self._specs[agent].id, first=lambda: self._dismissed(agent))
