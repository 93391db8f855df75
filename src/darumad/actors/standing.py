"""Which definitions' executors stand in the tree, and which are to start or to end: pure.

A definition's agents start with its first item and end when it had none for long; what has no place waits for one. Only
memory: a start that is asked for twice is done once, and whatever is forgotten here is found in the journal again.
"""

from collections.abc import Callable, Collection

from darumad.names import AgentName, Seconds
from darumad.values import Value

SPARE = Seconds(30.0)
"""How long nothing of a definition was there before its agents make room for another's: a few looks at the journal."""

Known = Callable[[AgentName], bool]


class Changes(Value):
    """Whose executors are to end, and then whose are to start."""

    end: tuple[AgentName, ...] = ()
    start: tuple[AgentName, ...] = ()


class Standing:
    """The definitions of `on_demand` whose executors stand, each with when something of it was there last.

    At most so many stand at once, and nobody longer than `idle_after` without work. Times are monotonic seconds.
    """

    def __init__(self, on_demand: Collection[AgentName], *, most: int, idle_after: Seconds) -> None:
        self._on_demand = frozenset(on_demand)
        self._most = most
        self._idle_after = idle_after
        self._used: dict[AgentName, Seconds] = {}
        self._wanted: dict[AgentName, None] = {}  # in the order that they came

    @property
    def unplaced(self) -> frozenset[AgentName]:
        """Those that have work and no place."""
        return frozenset(self._wanted)

    def want(self, agents: Collection[AgentName], now: Seconds) -> None:
        """Something of these definitions is there."""
        for agent in agents:
            if agent in self._used:
                self._used[agent] = now
            elif agent in self._on_demand:
                self._wanted[agent] = None

    def missed(self, agent: AgentName) -> None:
        """Nobody could start its executors: they are wanted anew when its work is seen again."""
        self._used.pop(agent, None)

    def changes(self, busy: Known, now: Seconds) -> Changes:
        """Places for those that want one, as far as there are any. `busy`: whose executors are at work."""
        end: list[AgentName] = []
        start: list[AgentName] = []
        for agent in tuple(self._wanted):
            if len(self._used) >= self._most:
                idle = self._longest_idle(busy, Seconds(now - SPARE))
                if idle is None:
                    break
                del self._used[idle]
                end.append(idle)
            del self._wanted[agent]
            self._used[agent] = now
            start.append(agent)
        return Changes(tuple(end), tuple(start))

    def look(self, busy: Known, stands: Known, now: Seconds) -> Changes:
        """From time to time: who is idle for too long ends, and who is gone from the tree (not `stands`) starts again.

        Who wanted a place may have no work any more: whoever has is told of anew.
        """
        self._wanted.clear()
        self._used |= {agent: now for agent in self._used if busy(agent)}
        idle = tuple(agent for agent, used in self._used.items() if now - used > self._idle_after)
        for agent in idle:
            del self._used[agent]
        return Changes(idle, tuple(agent for agent in self._used if not stands(agent)))

    def _longest_idle(self, busy: Known, since: Seconds) -> AgentName | None:
        spare = [agent for agent, used in self._used.items() if used < since and not busy(agent)]
        return min(spare, key=self._used.__getitem__, default=None)
