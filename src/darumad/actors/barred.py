"""Whose items are not claimed now, and whose one at a time: the probe of a circuit that is half-open.

A circuit lets one call through to see. With an item in every slot that call would be one of theirs, and all others
would be refused, delayed and claimed again.
"""

from collections.abc import Callable, Iterable

from darumad.names import AgentName, ItemId
from darumad.values import Value
from darumad.work.item import WorkItem


class Barred(Value):
    """Definitions none of whose items are claimed now, and those of which one item is."""

    wholly: frozenset[AgentName] = frozenset()
    but_one: frozenset[AgentName] = frozenset()

    def also(self, agents: frozenset[AgentName]) -> "Barred":
        """With these barred wholly."""
        return Barred(self.wholly | agents, self.but_one - agents) if agents else self


class Probes:
    """The item that goes on for each definition that is barred but for one. Memory only."""

    def __init__(self) -> None:
        self._items: dict[AgentName, ItemId] = {}

    def claimed(self, items: Iterable[WorkItem], asked: frozenset[AgentName]) -> None:
        """These were claimed; the definitions in `asked` are barred but for one: whoever is theirs is its probe."""
        self._items |= {item.agent: item.id for item in items if item.agent in asked}

    def forget(self, barred: Barred, under_way: Callable[[ItemId], bool]) -> None:
        """Those that have ended, and those of circuits that have closed, are no probes any more."""
        if self._items:
            known = barred.wholly | barred.but_one
            self._items = {agent: item for agent, item in self._items.items() if agent in known and under_way(item)}

    def narrowed(self, barred: Barred) -> Barred:
        """What is barred now that the probes are on their way."""
        return barred.also(barred.but_one & self._items.keys())

    def goes_on(self, item: WorkItem, barred: Barred) -> bool:
        """Whether an item that is under way may have its provider asked: as the probe, or as it is not barred."""
        return item.agent not in barred.wholly | barred.but_one or self._items.get(item.agent) == item.id
