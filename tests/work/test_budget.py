"""Budgets are exact: what fits, what is left, when somebody is told, and which day it is."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import Millis, NanoUsd
from darumad.work import Limits, Usage
from darumad.work.budget import Admission, Amount, admit, crossed, day_key, room_left, spent_of

AMOUNTS = st.builds(Amount, nano_usd=st.integers(0, 100), tokens=st.integers(0, 100), calls=st.integers(0, 100))
MAYBE = st.none() | st.integers(0, 100)
LIMITS = st.builds(Limits, nano_usd=MAYBE, tokens=MAYBE, calls=MAYBE)


def usd(amount: int) -> Amount:
    return Amount(nano_usd=NanoUsd(amount))


@pytest.mark.parametrize(
    ("spent", "reserved", "admission"),
    [
        (0, 0, Admission.FITS),
        (60, 30, Admission.FITS),
        (60, 31, Admission.WAITS),
        (90, 0, Admission.FITS),
        (91, 0, Admission.EXHAUSTED),
        (91, 50, Admission.EXHAUSTED),
    ],
)
def test_a_call_waits_for_reservations_and_is_refused_by_what_is_spent(
    spent: int, reserved: int, admission: Admission
) -> None:
    under = Limits(nano_usd=NanoUsd(100))
    assert admit(under, spent=usd(spent), reserved=usd(reserved), estimate=usd(10)) is admission


@pytest.mark.parametrize("limits", [Limits(tokens=9), Limits(calls=0), Limits(nano_usd=NanoUsd(9))])
def test_each_limit_holds_by_itself(limits: Limits) -> None:
    call = Amount(nano_usd=NanoUsd(10), tokens=10, calls=1)
    assert admit(limits, spent=Amount(), reserved=Amount(), estimate=call) is Admission.EXHAUSTED


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_no_limit_of_its_own_refuses_nothing(spent: Amount, reserved: Amount, estimate: Amount) -> None:
    assert admit(Limits(), spent=spent, reserved=reserved, estimate=estimate) is Admission.FITS


@given(LIMITS, AMOUNTS, AMOUNTS)
def test_what_fits_is_what_there_is_room_for(limits: Limits, spent: Amount, estimate: Amount) -> None:
    fits = admit(limits, spent=spent, reserved=Amount(), estimate=estimate) is Admission.FITS
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
    ("before", "after", "told"), [(0, 79, False), (79, 80, True), (0, 500, True), (80, 90, False), (80, 80, False)]
)
def test_somebody_is_told_once_at_four_fifths(before: int, after: int, told: bool) -> None:
    assert crossed(100, before, after) is told


@given(st.integers(1, 1000), st.lists(st.integers(0, 300), max_size=20))
def test_a_growing_sum_crosses_its_threshold_at_most_once(limit: int, steps: list[int]) -> None:
    sums = [sum(steps[:index]) for index in range(len(steps) + 1)]
    told = [crossed(limit, before, after) for before, after in pairwise(sums)]
    assert told.count(True) == (1 if sums[-1] * 5 >= limit * 4 else 0)


def test_an_unknown_price_is_booked_at_the_estimate_and_never_at_nothing() -> None:
    used = Usage(input_tokens=3, output_tokens=4, cached_tokens=2, calls=1, nano_usd=None)
    assert spent_of(used, NanoUsd(9)) == Amount(nano_usd=NanoUsd(9), tokens=7, calls=1)


def test_a_known_price_is_booked_as_it_is_even_when_it_is_nothing() -> None:
    assert spent_of(Usage(nano_usd=NanoUsd(0)), NanoUsd(9)) == Amount()


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
