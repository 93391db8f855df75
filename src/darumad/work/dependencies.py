"""Dependencies between items, as a graph of ids: the cycles in it.

Nothing here recurses: a chain may be as long as the queue.
"""

from collections.abc import Mapping, Sequence

from darumad.names import ItemId

Graph = Mapping[ItemId, Sequence[ItemId]]
"""For each item what it depends on. An id that only others name is an item without dependencies."""


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
