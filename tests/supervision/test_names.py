"""Ids are the user's; places are told apart by the paths that are made of them."""

import pytest

from darumad.supervision import ChildSpec, Supervisor, SupervisorFlags
from tests.kit import Probe


def test_an_id_in_a_siblings_place_is_refused_before_anything_starts(house) -> None:
    """`in/x` beside `in` would have the path of `in`'s own child `x`, and take its place."""
    with pytest.raises(ValueError, match="in/x lies below its sibling in"):
        house.start(house.nested("in", house.spec("x")), house.spec("in/x"))
    with pytest.raises(ValueError, match="a/b/c lies below its sibling a"):
        Supervisor.factory(SupervisorFlags(), [house.spec("a/b/c"), house.spec("a")])
    assert house.log == []


def test_an_id_in_a_siblings_place_is_refused_whichever_comes_second(house) -> None:
    root = house.start(house.nested("in", house.spec("x")))
    for name in ("in/x", "in/y", "in/"):
        with pytest.raises(ValueError, match="lies below its sibling in"):
            root.start_child(house.spec(name))
    root.start_child(house.spec("on/x"))
    with pytest.raises(ValueError, match="on/x lies below its sibling on"):
        root.start_child(house.spec("on"))
    inner = root.which_children()[0].ref
    house.crash(inner, "x")
    assert house.states(inner) == [("x", "up", 2)]


def test_an_id_may_hold_slashes_beside_ids_that_only_look_alike(house) -> None:
    root = house.start(house.spec("executor/1"), house.spec("executor/10"), house.spec("exec"), house.spec("a#1"))
    house.crash(root, "executor/1")
    assert [state for _, state, _ in house.states(root)] == ["up"] * 4
    assert root.address("executor/1").incarnation == 2


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\x1b[31mred"])
def test_an_id_that_cannot_be_printed_is_refused(house, name) -> None:
    with pytest.raises(ValueError, match="id: a printable name"):
        ChildSpec(name, lambda: Probe.start(house.log, name))


def test_the_tree_prints_itself_each_place_under_its_parent(house) -> None:
    root = house.start(house.spec("a"), house.nested("inner", house.spec("x")), house.spec("z/1"))
    house.crash(root, "a")
    assert str(root.tree()).splitlines() == [
        "root  up  life 1",
        "├─ root/a  up  life 2  restarts 1  last crash (ValueError: a)",
        "├─ root/inner  up  life 1",
        "│  └─ root/inner/x  up  life 1",
        "└─ root/z/1  up  life 1",
    ]
    assert str(root.which_children()[1].ref.tree()).splitlines() == [
        "root/inner  up  life 1",
        "└─ root/inner/x  up  life 1",
    ]
