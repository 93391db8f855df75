"""Whose items are not claimed now, and whose one at a time: the probe of a circuit that is half-open.

A circuit lets one call through to see. With an item in every slot that call would be one of theirs, and all others
would be refused, delayed and claimed again. Definitions that share a provider share its circuit, and the probe.
"""

from collections.abc import Callable, Iterable, Mapping

from darumad.names import AgentName, ItemId
from darumad.values import Value, field
from darumad.work.item import WorkItem


class Barred(Value):
    """Definitions none of whose items are claimed now, and those of which one item is for each circuit named here."""

    wholly: frozenset[AgentName] = frozenset()
    but_one: Mapping[AgentName, str] = field(default_factory=dict)

    def also(self, agents: Iterable[AgentName]) -> "Barred":
        """With these barred wholly."""
        wholly = self.wholly.union(agents)
        return Barred(wholly, {agent: circuit for agent, circuit in self.but_one.items() if agent not in wholly})

    def bars(self, agent: AgentName) -> bool:
        """Whether not all items of this definition are claimed."""
        return agent in self.wholly or agent in self.but_one


class Probes:
    """The item that goes on for each circuit that is half-open. Memory only."""

    def __init__(self) -> None:
        self._items: dict[str, WorkItem] = {}

    def claimed(self, items: Iterable[WorkItem], asked: Mapping[AgentName, str]) -> None:
        """These were claimed while `asked` was barred but for one: whoever is of a definition there is its probe."""
        self._items |= {asked[item.agent]: item for item in items if item.agent in asked}

    def forget(self, barred: Barred, under_way: Callable[[ItemId], bool]) -> None:
        """Those that have ended, and those of circuits that have closed, are no probes any more."""
        self._items = {
            circuit: item for circuit, item in self._items.items() if barred.bars(item.agent) and under_way(item.id)
        }

    def narrowed(self, barred: Barred) -> Barred:
        """What is barred now that the probes are on their way."""
        return barred.also(agent for agent, circuit in barred.but_one.items() if circuit in self._items)

    def goes_on(self, item: WorkItem, barred: Barred) -> bool:
        """Whether an item that is under way may have its provider asked: as the probe, or as it is not barred."""
        return not barred.bars(item.agent) or any(each.id == item.id for each in self._items.values())
