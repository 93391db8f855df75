"""Cycles are found and named, order is kept, and nobody waits for what cannot come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.errors import Refused
from darumad.names import ItemId
from darumad.work import WorkState
from darumad.work.dependencies import Readiness, find_cycle, readiness, refuse_cycle, topological_order


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


def test_a_cycle_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="a -> b -> a") as refused:
        refuse_cycle(graph(a="b", b="a"))
    assert refused.value.code == "cycle"


@given(EDGES)
def test_a_graph_has_an_order_exactly_when_it_has_no_cycle(edges: list[tuple[int, int]]) -> None:
    drawn = of_edges(edges)
    cycle = find_cycle(drawn)
    if cycle:
        assert all(after in drawn[each] for each, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        with pytest.raises(Refused):
            topological_order(drawn)
        return
    order = topological_order(drawn)
    place = {each: index for index, each in enumerate(order)}
    assert len(order) == len(place)
    assert all(place[on] < place[each] for each, ons in drawn.items() for on in ons)


def test_equals_keep_the_order_given() -> None:
    assert topological_order(graph(c="", a="", b="a")) == ("c", "a", "b")


def test_a_chain_as_long_as_the_queue_is_no_trouble() -> None:
    chain = {ItemId(str(index)): (ItemId(str(index + 1)),) for index in range(10_000)}
    assert find_cycle(chain) == ()
    assert topological_order(chain)[0] == "10000"
    assert len(find_cycle({**chain, ItemId("10000"): (ItemId("0"),)})) == 10_001


# --- readiness ------------------------------------------------------------------------------------------------------

A = (ItemId("a"),)


def test_an_item_without_dependencies_is_ready() -> None:
    assert readiness((), {}).ready


@pytest.mark.parametrize("state", [state for state in WorkState if state is not WorkState.SUCCEEDED])
def test_only_success_settles_a_dependency(state: WorkState) -> None:
    assert not readiness(A, {A[0]: state}).ready


def test_a_succeeded_dependency_is_settled() -> None:
    assert readiness(A, {A[0]: WorkState.SUCCEEDED}) == Readiness()


@pytest.mark.parametrize("state", [WorkState.DEAD, WorkState.CANCELLED])
def test_a_dependency_that_cannot_succeed_is_named_at_once(state: WorkState) -> None:
    found = readiness(A, {A[0]: state})
    assert found.failed == A


def test_a_dependency_that_nobody_knows_is_named_at_once() -> None:
    found = readiness(A, {})
    assert found.unknown == A


def test_a_dependency_on_its_way_is_waited_for() -> None:
    found = readiness((*A, *A), {A[0]: WorkState.PARKED})
    assert found.unfinished == A
