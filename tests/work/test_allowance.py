"""What an operator allows: whose limits a call falls under, what was said since, and by which key it is kept."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import NanoUsd
from darumad.work import Limits
from darumad.work.allowance import NO_LIMIT, PERIODS, Allowance, Caps, Override
from darumad.work.budget import EVER, UNITS, Budget, budgets_over

DAY = "2026-11-21"
SCOPES = ("all", "agent:writer", "provider:far", "item:a")
MAYBE = st.none() | st.integers(0, 100)
LIMITS = st.builds(Limits, nano_usd=MAYBE, tokens=MAYBE, calls=MAYBE)
ALLOWANCES = st.builds(
    Allowance, caps=st.dictionaries(st.sampled_from(SCOPES), st.builds(Caps, daily=LIMITS, total=LIMITS))
)
OVERRIDES = st.builds(Override, st.sampled_from(SCOPES), st.sampled_from(PERIODS), st.sampled_from(UNITS))


def every_limit(allowance: Allowance) -> dict[Override, int | None]:
    """By whose, over which period and in which unit it is."""
    found = {}
    for scope, period, unit in product(SCOPES, PERIODS, UNITS):
        limits = allowance.limits_of(Budget(scope, EVER if period == "total" else DAY))
        found[Override(scope, period, unit)] = getattr(limits, unit)
    return found


def test_a_call_falls_under_its_item_its_agent_its_provider_and_everything() -> None:
    allowance = Allowance(
        caps={
            "all": Caps(daily=Limits(calls=1), total=Limits(calls=2)),
            "agent:writer": Caps(daily=Limits(calls=3)),
            "provider:far": Caps(total=Limits(calls=4)),
        },
        item=Limits(calls=5, tokens=6),
    )
    over = allowance.limits_over("a", Limits(calls=7), "writer", "far", "2026-11-21")
    assert {each: limits for each, limits in over.items() if limits != Limits()} == {
        Budget("item:a", EVER): Limits(calls=7, tokens=6),
        Budget("agent:writer", "2026-11-21"): Limits(calls=3),
        Budget("provider:far", EVER): Limits(calls=4),
        Budget("all", "2026-11-21"): Limits(calls=1),
        Budget("all", EVER): Limits(calls=2),
    }
    assert set(over) == set(budgets_over("a", "writer", "far", "2026-11-21"))


@given(LIMITS, LIMITS, LIMITS)
def test_an_items_limit_is_what_was_said_of_it_since_else_its_own_else_that_of_all_items(
    said: Limits, own: Limits, default: Limits
) -> None:
    allowance = Allowance(caps={"item:a": Caps(total=said)}, item=default)
    over = allowance.limits_over("a", own, "writer", "far", DAY)[Budget("item:a", EVER)]
    for unit in UNITS:
        by_rank = (getattr(each, unit) for each in (said, own, default))
        assert getattr(over, unit) == next((limit for limit in by_rank if limit is not None), None)


@given(ALLOWANCES, OVERRIDES, st.none() | st.integers(0, 1000))
def test_what_is_said_of_one_limit_changes_that_and_no_other(
    before: Allowance, where: Override, limit: int | None
) -> None:
    after = before.overridden({where.key: NO_LIMIT if limit is None else str(limit)})
    assert Override.of(where.key) == where
    assert every_limit(after) == {**every_limit(before), where: limit}


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("budget/all/daily/calls", ""),
        ("paused", "1"),
        ("lane/all/daily/calls", "1"),
        ("budget/all/weekly/calls", "1"),
        ("budget/all/daily/pages", "1"),
        ("budget/all/daily", "1"),
    ],
)
def test_what_says_nothing_of_a_limit_changes_none(key: str, word: str) -> None:
    allowance = Allowance(caps={"all": Caps(daily=Limits(calls=7))})
    assert allowance.overridden({key: word}) == allowance


def test_everything_is_shown_and_of_the_others_what_has_a_limit() -> None:
    allowance = Allowance(
        caps={
            "agent:writer": Caps(daily=Limits(nano_usd=NanoUsd(3))),
            "provider:far": Caps(total=Limits(calls=0)),
            "agent:free": Caps(),
        }
    )
    assert list(allowance.budgets(DAY)) == [
        Budget("all", DAY),
        Budget("all", EVER),
        Budget("agent:writer", DAY),
        Budget("provider:far", EVER),
    ]
    assert list(Allowance().budgets(DAY)) == [Budget("all", DAY), Budget("all", EVER)]
