"""Budgets are exact: what fits, what is left, when somebody is told, and which day it is."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darumad.names import Millis, NanoUsd
from darumad.work import Limits
from darumad.work.budget import (
    UNITS,
    Account,
    Amount,
    Fit,
    Told,
    admit,
    day_key,
    fullest_unit,
    has_room,
    nearly_spent,
    next_day,
    room_left,
)

AMOUNTS = st.builds(Amount, nano_usd=st.integers(0, 100), tokens=st.integers(0, 100), calls=st.integers(0, 100))
MAYBE = st.none() | st.integers(0, 100)
LIMITS = st.builds(Limits, nano_usd=MAYBE, tokens=MAYBE, calls=MAYBE)


def usd(amount: int) -> Amount:
    return Amount(nano_usd=NanoUsd(amount))


@pytest.mark.parametrize(
    ("spent", "reserved", "fit"),
    [
        (0, 0, Fit.FITS),
        (60, 30, Fit.FITS),
        (60, 31, Fit.WAITS),
        (90, 0, Fit.FITS),
        (91, 0, Fit.EXHAUSTED),
        (91, 50, Fit.EXHAUSTED),
    ],
)
def test_a_call_waits_for_reservations_and_is_refused_by_what_is_spent(spent: int, reserved: int, fit: Fit) -> None:
    under = Limits(nano_usd=NanoUsd(100))
    assert admit(under, spent=usd(spent), reserved=usd(reserved), estimate=usd(10)) is fit


@pytest.mark.parametrize("limits", [Limits(tokens=9), Limits(calls=0), Limits(nano_usd=NanoUsd(9))])
def test_each_limit_holds_by_itself(limits: Limits) -> None:
    call = Amount(nano_usd=NanoUsd(10), tokens=10, calls=1)
    assert admit(limits, spent=Amount(), reserved=Amount(), estimate=call) is Fit.EXHAUSTED


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_no_limit_of_its_own_refuses_nothing(spent: Amount, reserved: Amount, estimate: Amount) -> None:
    assert admit(Limits(), spent=spent, reserved=reserved, estimate=estimate) is Fit.FITS


@given(LIMITS, AMOUNTS, AMOUNTS)
def test_what_fits_is_what_there_is_room_for(limits: Limits, spent: Amount, estimate: Amount) -> None:
    fits = admit(limits, spent=spent, reserved=Amount(), estimate=estimate) is Fit.FITS
    left = room_left(limits, spent)
    pairs = ((limits, "nano_usd"), (limits, "tokens"), (limits, "calls"))
    over = any(
        getattr(limit, name) is not None and getattr(spent, name) + getattr(estimate, name) > getattr(limit, name)
        for limit, name in pairs
    )
    assert fits is not over
    assert all(getattr(left, name) is None or getattr(left, name) >= 0 for _, name in pairs)


def test_room_is_never_below_nothing_and_none_stays_none() -> None:
    left = room_left(Limits(nano_usd=NanoUsd(5), tokens=10), Amount(nano_usd=NanoUsd(7), tokens=4, calls=99))
    assert left == Limits(nano_usd=NanoUsd(0), tokens=6, calls=None)


@pytest.mark.parametrize(
    ("limits", "spent", "needed", "room"),
    [
        (Limits(), usd(99), None, True),
        (Limits(nano_usd=NanoUsd(100)), usd(99), None, True),
        (Limits(nano_usd=NanoUsd(100)), usd(100), None, False),
        (Limits(nano_usd=NanoUsd(100), calls=9), Amount(calls=9), None, False),
        (Limits(nano_usd=NanoUsd(0)), usd(0), None, True),  # for what is free
        (Limits(tokens=0), usd(0), None, False),
        (Limits(calls=0), usd(0), None, False),
        (Limits(nano_usd=NanoUsd(100)), usd(90), usd(10), True),
        (Limits(nano_usd=NanoUsd(100)), usd(90), usd(11), False),
        (Limits(nano_usd=NanoUsd(100)), usd(100), usd(0), True),
    ],
)
def test_room_is_for_what_is_needed_or_for_anything_at_all(
    limits: Limits, spent: Amount, needed: Amount | None, room: bool
) -> None:
    assert has_room(limits, spent, needed) is room


@pytest.mark.parametrize(
    ("limits", "near"),
    [
        (Limits(), False),
        (Limits(nano_usd=NanoUsd(101)), False),
        (Limits(nano_usd=NanoUsd(100)), True),
        (Limits(nano_usd=NanoUsd(1000), tokens=50), True),
        (Limits(calls=0), False),
    ],
)
def test_four_fifths_of_any_limit_are_nearly_all_of_it(limits: Limits, near: bool) -> None:
    assert nearly_spent(limits, Amount(nano_usd=NanoUsd(80), tokens=40)) is near


@pytest.mark.parametrize(
    ("limits", "unit"),
    [
        (Limits(), None),
        (Limits(calls=0), None),
        (Limits(nano_usd=NanoUsd(100), tokens=50, calls=9), "nano_usd"),
        (Limits(nano_usd=NanoUsd(1000), tokens=50, calls=9), "tokens"),
        (Limits(nano_usd=NanoUsd(1000), tokens=50, calls=1), "calls"),
    ],
)
def test_the_fullest_unit_is_the_one_of_which_the_largest_share_is_spent(limits: Limits, unit: str | None) -> None:
    assert fullest_unit(limits, Amount(nano_usd=NanoUsd(90), tokens=44, calls=1)) == unit


@given(st.integers(1, 1000), st.lists(st.integers(0, 300), max_size=20))
@example(limit=1, steps=[1])
def test_a_growing_sum_is_told_of_once(limit: int, steps: list[int]) -> None:
    under, told, account = Limits(nano_usd=NanoUsd(limit)), [], Account()
    for step in steps:
        after = account.reserve(usd(step), under).settle(usd(step), usd(step), under)
        told.append(after.told is Told.NEARLY_SPENT and account.told is Told.NOTHING)
        account = after
    assert told.count(True) == (1 if sum(steps) * 5 >= limit * 4 else 0)
    assert account.spent == usd(sum(steps))
    assert account.reserved == Amount()


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_settlement_gives_back_its_own_reservation_and_no_others(
    spent: Amount, others: Amount, estimate: Amount, used: Amount
) -> None:
    before = Account(spent=spent, reserved=others)
    held = before.reserve(estimate, Limits())
    after = held.settle(estimate, used, Limits())
    assert (held.spent, after.reserved) == (spent, others)
    for unit in UNITS:
        assert getattr(held.reserved, unit) == getattr(others, unit) + getattr(estimate, unit)
        assert getattr(after.spent, unit) == getattr(spent, unit) + getattr(used, unit)


def test_a_raised_limit_is_told_of_anew() -> None:
    low, high = Limits(calls=10), Limits(calls=100)
    call = Amount(calls=1)
    account = Account(spent=Amount(calls=9), told=Told.NEARLY_SPENT).refuse()
    assert account.told is Told.EXHAUSTED
    assert account.settle(Amount(), Amount(), low).told is Told.EXHAUSTED, "a settlement is no news"
    assert account.reserve(call, high).told is Told.NOTHING
    assert account.settle(Amount(), Amount(), None).told is Told.EXHAUSTED, "without its limits nothing is known"


def millis(*date: int) -> Millis:
    return Millis(int(datetime(*date, tzinfo=UTC).timestamp() * 1000))  # type: ignore[misc]  # mypy cannot count a star


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-11-21"), ("Asia/Tokyo", "2026-11-22"), ("America/New_York", "2026-11-21")]
)
def test_a_day_is_the_zones_own(zone: str, day: str) -> None:
    assert day_key(millis(2026, 11, 21, 23, 59), ZoneInfo(zone)) == day


def test_a_day_begins_at_midnight() -> None:
    midnight = millis(2026, 11, 22)
    assert day_key(Millis(midnight - 1), UTC) == "2026-11-21"
    assert day_key(midnight, UTC) == "2026-11-22"


def test_the_next_day_begins_in_its_zone_also_when_the_clocks_are_changed() -> None:
    assert next_day(millis(2026, 11, 21, 23, 59), UTC) == millis(2026, 11, 22)
    assert next_day(millis(2026, 11, 22), UTC) == millis(2026, 11, 23)
    berlin = ZoneInfo("Europe/Berlin")
    assert next_day(millis(2026, 10, 25, 12), berlin) == millis(2026, 10, 25, 23), "that day has 25 hours"
