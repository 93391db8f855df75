"""A frozen value is the frozen dataclass with slots that it stands for: what is asked of one is asked of the other."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

import pytest

from darumad.values import changed, frozen

T = TypeVar("T")
slow = dataclass(frozen=True, slots=True)


@slow
class SlowFew:
    first: int
    second: str = field(default="two", repr=False)


@frozen
class QuickFew:
    first: int
    second: str = field(default="two", repr=False)


@slow
class SlowMany:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: int = field(default=4, kw_only=True)


@frozen
class QuickMany:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list, compare=False)
    fourth: int = field(default=4, kw_only=True)


@slow
class SlowHeir(SlowMany):
    fifth: int = 5


@frozen
class QuickHeir(QuickMany):
    fifth: int = 5


@slow
class SlowNothing:
    pass


@frozen
class QuickNothing:
    pass


PAIRS = [(SlowFew, QuickFew), (SlowMany, QuickMany), (SlowHeir, QuickHeir)]
pairs = pytest.mark.parametrize(("plain", "quick"), PAIRS, ids=["few", "many", "heir"])


def _said(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


@pairs
@pytest.mark.parametrize("make", [
    lambda kind: kind(1),
    lambda kind: kind(1, "b"),
    lambda kind: kind(second="c", first=1),
    lambda kind: replace(kind(1), second="c"),
    lambda kind: copy.copy(kind(1, "b")),
    lambda kind: copy.deepcopy(kind(1, "b")),
    lambda kind: pickle.loads(pickle.dumps(kind(1, "b"))),
])  # fmt: skip
def test_a_quick_value_holds_what_a_slow_one_would(make: Callable[[Any], Any], plain: Any, quick: Any) -> None:
    assert _said(make(quick)) == _said(make(plain))
    assert type(make(quick)) is quick
    assert make(quick) == make(quick) != changed(make(quick), first=9)
    assert hash(make(quick)) == hash(make(plain))
    assert repr(make(quick)) == repr(make(plain)).replace("Slow", "Quick")


@pairs
@pytest.mark.parametrize(("args", "named"), [((), {}), ((1, "b", [3], 4, 5), {}), ((1,), {"sixth": 5})])
def test_what_a_slow_value_refuses_a_quick_one_refuses(
    args: tuple[Any, ...], named: dict[str, Any], plain: Any, quick: Any
) -> None:
    if plain is SlowHeir and len(args) == 5:
        args = (*args, 6)
    for kind in (plain, quick):
        with pytest.raises(TypeError, match=r"Slow|Quick"):
            kind(*args, **named)


@pairs
@pytest.mark.parametrize("named", [{}, {"first": 9}, {"second": "c"}, {"second": None, "first": 7}])
def test_a_quick_value_is_changed_as_a_slow_one_is(named: dict[str, Any], plain: Any, quick: Any) -> None:
    before = quick(1, "b")
    after = changed(before, **named)
    assert _said(after) == _said(replace(plain(1, "b"), **named))
    assert type(after) is quick
    assert before == quick(1, "b")
    with pytest.raises(FrozenInstanceError):
        after.first = 2


@pairs
def test_a_field_that_a_quick_value_does_not_have_cannot_be_changed(plain: Any, quick: Any) -> None:
    for kind in (plain, quick):
        with pytest.raises(TypeError):
            (replace if kind is plain else changed)(kind(1), sixth=5)


@pairs
def test_a_quick_value_is_frozen_from_the_moment_that_anybody_has_it(plain: Any, quick: Any) -> None:
    for value in (plain(1), quick(1)):
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'first'"):
            value.first = 2
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'second'"):
            del value.second
    assert not hasattr(quick(1), "__dict__")


def test_each_quick_value_has_a_default_of_its_own_where_it_is_made_anew() -> None:
    assert QuickMany(1).third is not QuickMany(1).third


def test_what_is_not_compared_makes_no_difference_and_a_slow_one_is_never_its_equal() -> None:
    assert QuickMany(1, third=[1]) == QuickMany(1, third=[2]) != QuickMany(1, fourth=5)
    assert QuickMany(1) != SlowMany(1)
    assert QuickNothing() == QuickNothing()
    assert {QuickNothing(), QuickNothing()} == {QuickNothing()}
    assert repr(QuickNothing()) == "QuickNothing()"
    nan = float("nan")
    assert QuickFew(nan) == QuickFew(nan)  # type: ignore[arg-type] # the one that a tuple finds equal, as it is the same


def test_each_is_only_itself_where_equality_is_not_wanted() -> None:
    @frozen(eq=False)
    class Lone:
        first: int

    one = Lone(1)
    assert one == one != Lone(1)  # noqa: PLR0124 - itself
    assert len({one, Lone(1)}) == 2


def test_what_a_class_says_of_itself_is_left_as_it_is() -> None:
    @frozen
    class Loud:
        first: int

        def __repr__(self) -> str:
            return "loud"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment] # it equals everything

    assert repr(Loud(1)) == "loud"
    assert Loud(1) == Loud(2)
    with pytest.raises(TypeError):
        hash(Loud(1))


@pytest.mark.parametrize("more", [0, 9])
def test_a_value_that_checks_itself_does_so_made_and_changed(more: int) -> None:
    @frozen
    class Checked:
        first: int
        doubled: int = field(init=False)
        a: int = 0
        b: int = 0
        if more:
            c: int = 0

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError(f"first: from 0, not {self.first}")
            object.__setattr__(self, "doubled", 2 * self.first)

    assert Checked(2).doubled == 4
    assert changed(Checked(2), first=3).doubled == 6
    for broken in (lambda: Checked(-1), lambda: changed(Checked(1), first=-1)):
        with pytest.raises(ValueError, match="first: from 0, not -1"):
            broken()


def test_a_value_may_be_generic_and_match_by_place() -> None:
    @frozen
    class Pair(Generic[T]):
        first: T
        second: T
        third: int = 3
        fourth: int = 4

    match Pair[str]("a", "b"):
        case Pair(first, second):
            assert (first, second) == ("a", "b")
        case _:
            pytest.fail("a pair is made of two")


def test_a_class_made_of_a_value_makes_its_own() -> None:
    class Named(QuickMany):
        __slots__ = ()

    assert type(Named(1)) is Named
    assert type(changed(Named(1), first=2)) is Named
    assert Named(1) != QuickMany(1)


def test_a_field_may_be_called_what_it_likes() -> None:
    @frozen
    class Odd:
        own: int
        opened: int
        missing: int
        cls: int = 4
        become: list[int] = field(default_factory=list)
        make_become: int = 6
        set_own: int = 7

    assert tuple(_said(changed(Odd(1, 2, 3), missing=0)).values()) == (1, 2, 0, 4, [], 6, 7)
