"""Dependencies between items, as a graph of ids: cycles, order, and whether an item's turn has come.

Nothing here recurses: a chain may be as long as the queue.
"""

from collections.abc import Iterable, Mapping, Sequence

from darumad.errors import Refused
from darumad.names import ItemId
from darumad.values import Value
from darumad.work.states import WorkState

Graph = Mapping[ItemId, Sequence[ItemId]]
"""For each item what it depends on. An id that only others name is an item without dependencies."""


class Readiness(Value):
    """How an item stands to its dependencies, each named in the order the item gives them."""

    unfinished: tuple[ItemId, ...] = ()
    failed: tuple[ItemId, ...] = ()
    unknown: tuple[ItemId, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether every dependency succeeded."""
        return not (self.unfinished or self.failed or self.unknown)


def readiness(depends_on: Iterable[ItemId], states: Mapping[ItemId, WorkState]) -> Readiness:
    """How an item with `depends_on` stands. `states` holds what is known, a pruned item's kept outcome too."""
    found: dict[str, list[ItemId]] = {"unfinished": [], "failed": [], "unknown": []}
    for each in dict.fromkeys(depends_on):
        state = states.get(each)
        if state is not WorkState.SUCCEEDED:
            found[_word(state)].append(each)
    return Readiness(**{word: tuple(ids) for word, ids in found.items()})


def _word(state: WorkState | None) -> str:
    if state is None:
        return "unknown"
    return "failed" if state in {WorkState.DEAD, WorkState.CANCELLED} else "unfinished"


def find_cycle(graph: Graph) -> tuple[ItemId, ...]:
    """The members of one cycle, each depending on the next and the last on the first; empty when there is none."""
    done: set[ItemId] = set()
    for start in graph:
        if start not in done:
            cycle = _cycle_from(start, graph, done)
            if cycle:
                return cycle
    return ()


def _cycle_from(start: ItemId, graph: Graph, done: set[ItemId]) -> tuple[ItemId, ...]:
    """A cycle that can be reached from `start`. The walk keeps its own stack: chains are as long as the queue."""
    walk = {start: iter(graph.get(start, ()))}
    while walk:
        here = next(reversed(walk))
        following = next((each for each in walk[here] if each not in done), None)
        if following is None:
            walk.pop(here)
            done.add(here)
        elif following in walk:
            path = list(walk)
            return tuple(path[path.index(following) :])
        else:
            walk[following] = iter(graph.get(following, ()))
    return ()


def topological_order(graph: Graph) -> tuple[ItemId, ...]:
    """Every id of `graph`, each after all it depends on; among equals in the order given.

    Raises:
        Refused: `cycle`, with its members named.
    """
    refuse_cycle(graph)
    ordered: dict[ItemId, None] = {}
    for start in graph:
        _add_after_dependencies(start, graph, ordered)
    return tuple(ordered)


def _add_after_dependencies(start: ItemId, graph: Graph, ordered: dict[ItemId, None]) -> None:
    walk = {start: iter(graph.get(start, ()))}
    while walk:
        here = next(reversed(walk))
        following = next((each for each in walk[here] if each not in ordered), None)
        if following is None:
            walk.pop(here)
            ordered[here] = None
        else:
            walk[following] = iter(graph.get(following, ()))


def refuse_cycle(graph: Graph) -> None:
    """Does nothing where there is no cycle.

    Raises:
        Refused: `cycle`, with its members named in order.
    """
    cycle = find_cycle(graph)
    if cycle:
        raise Refused(f"the items depend on each other: {' -> '.join((*cycle, cycle[0]))}", code="cycle")
