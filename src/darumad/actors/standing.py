"""Which definitions' executors stand in the tree, and which are to start or to end: pure.

A definition's agents start with its first item and end when it had none for long; what has no place waits for one. Only
memory: a start that is asked for twice is done once, and whatever is forgotten here is found in the journal again.
"""

from collections.abc import Callable, Collection

from darumad.names import AgentName, Seconds
from darumad.values import Value

SPARE = Seconds(30.0)
"""How long a definition's agents had nothing to do before they make room for another's: a few looks at the journal."""

Known = Callable[[AgentName], bool]


class Changes(Value):
    """Whose executors are to end, and then whose are to start."""

    end: tuple[AgentName, ...] = ()
    start: tuple[AgentName, ...] = ()


class Standing:
    """The definitions of `on_demand` whose executors stand: each with when it had something last, and when it did any.

    At most so many stand at once, and nobody longer than `idle_after` without work. Times are monotonic seconds.
    """

    def __init__(self, on_demand: Collection[AgentName], *, most: int, idle_after: Seconds) -> None:
        self._on_demand = frozenset(on_demand)
        self._most = most
        self._idle_after = idle_after
        self._used: dict[AgentName, Seconds] = {}
        self._worked: dict[AgentName, Seconds] = {}  # not those for whom there is something that nobody may claim
        self._wanted: dict[AgentName, None] = {}  # in the order that they came
        self._left: frozenset[AgentName] = frozenset()  # those of them that there was no place for

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

    def know(self, agents: Collection[AgentName], now: Seconds) -> None:
        """Something is there for these and for no others. Whoever waits for a place keeps its turn.

        Whoever was wanted a moment ago may be so by its operator's word: that stands until there is no place for it.
        """
        for agent in self._left.difference(agents):
            self._wanted.pop(agent, None)
        self.want(sorted(agents), now)

    def works(self, agents: Collection[AgentName], now: Seconds) -> None:
        """Something of these definitions is being done."""
        self.want(agents, now)
        self._worked |= {agent: now for agent in agents if agent in self._used}

    def keeps(self, agent: AgentName) -> bool:
        """Whether its executors are to stand, now that nobody ended them: always, for one that is not `on_demand`."""
        return agent in self._used or agent not in self._on_demand

    def missed(self, agent: AgentName) -> None:
        """Nobody could start its executors: they are wanted anew when its work is seen again."""
        self._leave(agent)

    def changes(self, busy: Known, now: Seconds) -> Changes:
        """Places for those that want one, as far as there are any. `busy`: whose executors are at work."""
        end: list[AgentName] = []
        start: list[AgentName] = []
        for agent in tuple(self._wanted):
            if len(self._used) >= self._most:
                idle = self._longest_idle(busy, Seconds(now - SPARE))
                if idle is None:
                    break
                if self._used[idle] > self._worked[idle]:
                    self._wanted[idle] = None  # what is there for it could not be done: its turn comes again
                self._leave(idle)
                end.append(idle)
            del self._wanted[agent]
            self._used[agent] = self._worked[agent] = now
            start.append(agent)
        self._left = self.unplaced
        return Changes(tuple(end), tuple(start))

    def look(self, busy: Known, stands: Known, now: Seconds) -> Changes:
        """From time to time: who is idle for too long ends, and who is gone from the tree (not `stands`) starts again.

        To be asked when it is known what is there, or whoever has work and did not begin with it is idle.
        """
        self.works([agent for agent in self._used if busy(agent)], now)
        idle = tuple(agent for agent, used in self._used.items() if now - used > self._idle_after)
        for agent in idle:
            self._leave(agent)
        return Changes(idle, tuple(agent for agent in self._used if not stands(agent)))

    def _longest_idle(self, busy: Known, since: Seconds) -> AgentName | None:
        spare = [agent for agent, worked in self._worked.items() if worked < since and not busy(agent)]
        return min(spare, key=self._worked.__getitem__, default=None)

    def _leave(self, agent: AgentName) -> None:
        self._used.pop(agent, None)
        self._worked.pop(agent, None)
