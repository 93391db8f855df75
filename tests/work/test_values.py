"""What the house asks of its values: equal by what they hold, never changed, and made anew with some of it changed."""

import copy
import pickle
from typing import Any, Generic, TypeVar

import pytest

from darumad.values import Value, changed, field

T = TypeVar("T")


class Few(Value):
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list)


class Heir(Few, kw_only=True):
    fourth: int = 4


class Pair(Value, Generic[T]):
    one: T
    other: T


@pytest.mark.parametrize("kind", [Few, Heir])
@pytest.mark.parametrize("made_again", [
    changed,
    copy.copy,
    copy.deepcopy,
    lambda value: pickle.loads(pickle.dumps(value)),
])  # fmt: skip
def test_a_value_made_again_is_another_one_and_equal(made_again: Any, kind: type[Few]) -> None:
    value = kind(1, "b")
    again = made_again(value)
    assert again == value
    assert again is not value
    assert type(again) is kind


def test_a_value_is_changed_by_making_another() -> None:
    before = Heir(1, "b")
    after = changed(before, first=9, fourth=5)
    assert (after.first, after.second, after.fourth) == (9, "b", 5)
    assert before == Heir(1, "b")
    with pytest.raises(TypeError, match="fifth"):
        changed(before, fifth=5)  # type: ignore[call-arg] # it has none


def test_nobody_changes_a_value_or_gives_it_more() -> None:
    value: Any = Few(1)
    with pytest.raises(AttributeError, match="Few"):
        value.first = 2
    with pytest.raises(AttributeError, match="Few"):
        del value.second
    with pytest.raises(AttributeError, match="Few"):
        value.more = 3


def test_a_value_equals_those_of_its_own_class_alone() -> None:
    assert Few(1) == Few(1) != Few(2)
    assert Few(1) != Heir(1)
    assert Few(1) != (1, "two", [])
    assert len({Pair(1, 2), Pair(1, 2), Pair(2, 1)}) == 2


def test_each_value_has_a_default_of_its_own_where_it_is_made_anew() -> None:
    assert Few(1).third is not Few(1).third


def test_each_is_only_itself_where_equality_is_not_wanted() -> None:
    class Lone(Value, eq=False):
        first: int

    one = Lone(1)
    assert one == one != Lone(1)  # noqa: PLR0124 - itself
    assert len({one, Lone(1)}) == 2


@pytest.mark.parametrize("make", [lambda: Few(), lambda: Few(1, "b", [], 4), lambda: Few(1, fourth=4)])  # type: ignore[call-arg] # noqa: PLW0108
def test_a_value_is_made_of_its_own_fields_or_not_at_all(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize("broken", [lambda kind: kind(-1), lambda kind: changed(kind(1), first=-1)])
def test_a_value_that_checks_itself_does_so_made_and_changed(broken: Any) -> None:
    class Checked(Value):
        first: int

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError(f"first: from 0, not {self.first}")

    with pytest.raises(ValueError, match="first: from 0, not -1"):
        broken(Checked)


def test_a_value_is_taken_apart_by_place() -> None:
    match Pair("a", "b"):
        case Pair(one, other):
            assert (one, other) == ("a", "b")
        case _:
            pytest.fail("a pair is made of two")
