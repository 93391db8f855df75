"""A value that is made quickly is the dataclass that it was: frozen, with its defaults, equal to what equals it."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from darumad.values import changed, swift


@dataclass(frozen=True, slots=True)
class Slow:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list)
    fourth: int = field(default=4, kw_only=True)


@swift
@dataclass(frozen=True, slots=True)
class Quick:
    first: int
    second: str = "two"
    third: list[int] = field(default_factory=list)
    fourth: int = field(default=4, kw_only=True)


def _said(value: object) -> tuple[Any, ...]:
    return tuple(getattr(value, each.name) for each in fields(value))  # type: ignore[arg-type] # one of the two above


@pytest.mark.parametrize("make", [
    lambda kind: kind(1),
    lambda kind: kind(1, "b", [3]),
    lambda kind: kind(first=1, third=[3], fourth=5),
    lambda kind: replace(kind(1, fourth=5), second="c"),
])  # fmt: skip
def test_a_quick_value_holds_what_a_slow_one_would(make: Callable[[Any], Any]) -> None:
    assert _said(make(Quick)) == _said(make(Slow))
    assert type(make(Quick)) is Quick
    assert make(Quick) == make(Quick) != replace(make(Quick), first=9)


@pytest.mark.parametrize(("args", "named"), [((), {}), ((1, "b", [3], 4), {}), ((1,), {"fifth": 5})])
def test_what_a_slow_value_refuses_a_quick_one_refuses(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    for kind in (Slow, Quick):
        with pytest.raises(TypeError):
            kind(*args, **named)


@pytest.mark.parametrize("fields", [{}, {"first": 9}, {"second": "c", "fourth": None}, {"third": [7]}])
def test_a_quick_value_is_changed_as_a_slow_one_is(fields: dict[str, Any]) -> None:
    before, slow = Quick(1, "b", [3]), Slow(1, "b", [3])
    after = changed(before, **fields)
    assert _said(after) == _said(replace(slow, **fields))
    assert type(after) is Quick
    assert _said(before) == _said(slow)
    with pytest.raises(FrozenInstanceError):
        after.first = 2  # type: ignore[misc] # as nobody may


def test_a_field_that_a_quick_value_does_not_have_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        changed(Quick(1), fifth=5)  # type: ignore[call-arg] # as nobody may


def test_a_quick_value_is_frozen_from_the_moment_that_anybody_has_it() -> None:
    value = Quick(1)
    with pytest.raises(FrozenInstanceError):
        value.first = 2  # type: ignore[misc] # as nobody may
    with pytest.raises(FrozenInstanceError):
        del value.second  # type: ignore[misc] # as nobody may


def test_each_quick_value_has_a_default_of_its_own_where_it_is_made_anew() -> None:
    assert Quick(1).third is not Quick(1).third


def test_a_quick_value_may_come_after_a_frozen_one() -> None:
    @swift
    @dataclass(frozen=True, slots=True)
    class Later(Slow):
        fifth: int = 5

    assert _said(Later(1, fifth=6)) == (1, "two", [], 4, 6)


def test_a_class_whose_own_making_would_be_passed_over_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Checked:
        first: int

        def __post_init__(self) -> None:
            raise ValueError

    with pytest.raises(TypeError, match="Checked"):
        swift(Checked)
    with pytest.raises(TypeError, match="Loose"):
        swift(dataclass(frozen=True)(type("Loose", (), {})))
