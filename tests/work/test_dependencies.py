"""Cycles are found and named, however long they are."""

from contextlib import nullcontext
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import ItemId
from darumad.work.dependencies import find_cycle


def graph(**edges: str) -> dict[ItemId, tuple[ItemId, ...]]:
    """`graph(a="bc")`: a depends on b and c."""
    return {ItemId(name): tuple(ItemId(each) for each in on) for name, on in edges.items()}


EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=25)


def of_edges(edges: list[tuple[int, int]]) -> dict[ItemId, list[ItemId]]:
    found: dict[ItemId, list[ItemId]] = {}
    for item, on in edges:
        found.setdefault(ItemId(str(item)), []).append(ItemId(str(on)))
    return found


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        (graph(), ()),
        (graph(a="b", b="c"), ()),
        (graph(a="bc", b="d", c="d", d=""), ()),
        (graph(a="a"), ("a",)),
        (graph(a="b", b="a"), ("a", "b")),
        (graph(x="a", a="b", b="c", c="a"), ("a", "b", "c")),
        (graph(a="bc", b="", c="da", d=""), ("a", "c")),
    ],
)
def test_a_cycle_is_found_with_its_members_in_order_and_nobody_else(
    edges: dict[ItemId, tuple[ItemId, ...]], cycle: tuple[str, ...]
) -> None:
    assert find_cycle(edges) == cycle


@given(EDGES)
def test_a_cycle_is_found_exactly_where_there_is_no_order(edges: list[tuple[int, int]]) -> None:
    drawn = of_edges(edges)
    cycle = find_cycle(drawn)
    assert all(after in drawn[each] for each, after in pairwise((*cycle, *cycle[:1])))
    with pytest.raises(CycleError) if cycle else nullcontext():
        TopologicalSorter(drawn).prepare()


def test_a_chain_as_long_as_the_queue_is_no_trouble() -> None:
    chain = {ItemId(str(index)): (ItemId(str(index + 1)),) for index in range(10_000)}
    assert find_cycle(chain) == ()
    assert len(find_cycle({**chain, ItemId("10000"): (ItemId("0"),)})) == 10_001
