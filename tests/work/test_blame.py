"""Who is to blame for a life that ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import ItemId, Seconds
from darumad.work.blame import (
    CLEAR,
    LifeEnd,
    Suspicion,
    after_life,
    after_step,
    holds_template,
    holds_the_loop,
    is_killer,
)
from tests.work import build

DIED, STOPPED = LifeEnd.DIED, LifeEnd.STOPPED
SUSPECT = Suspicion(barren=2, suspect=True)


def lived(*ends: LifeEnd) -> Suspicion:
    suspicion = CLEAR
    for end in ends:
        suspicion = after_life(suspicion, end)
    return suspicion


def test_one_death_of_the_process_makes_no_suspect() -> None:
    assert not lived(DIED).suspect


def test_two_deaths_in_a_row_without_a_step_make_a_suspect() -> None:
    assert lived(DIED, DIED).suspect


def test_two_deaths_with_another_end_between_make_no_suspect() -> None:
    assert not lived(DIED, STOPPED, DIED).suspect


@given(st.lists(st.just(STOPPED), max_size=50))
def test_no_number_of_stops_makes_a_suspect(ends: list[LifeEnd]) -> None:
    assert lived(*ends) == CLEAR


def test_becoming_a_suspect_is_not_yet_a_crash() -> None:
    assert lived(DIED, DIED).crashes == 0


def test_a_suspect_that_the_process_dies_with_is_blamed_for_it() -> None:
    assert lived(DIED, DIED, DIED, DIED, DIED).crashes == 3


def test_a_suspect_that_was_stopped_with_the_rest_stays_one_and_is_not_blamed() -> None:
    assert after_life(SUSPECT, STOPPED) == Suspicion(barren=0, suspect=True)


def test_a_suspect_that_the_process_dies_with_after_a_stop_is_blamed_and_stays_one() -> None:
    assert lived(DIED, DIED, STOPPED, DIED) == Suspicion(barren=1, suspect=True, crashes=1)


def test_a_real_killer_is_found_in_five_lives() -> None:
    assert [is_killer(lived(*[DIED] * lives).crashes) for lives in range(7)] == [False] * 5 + [True] * 2


@given(crashes=st.integers(0, 5), suspect=st.booleans())
def test_a_new_step_clears_everything(crashes: int, suspect: bool) -> None:
    assert after_step(build.record(crashes=crashes, suspect=suspect)) == build.record()


@pytest.mark.parametrize(("crashes", "dead"), [(0, False), (2, False), (3, True), (4, True)])
def test_the_third_crash_is_dead(crashes: int, dead: bool) -> None:
    assert is_killer(crashes) is dead


def crashes(*at: tuple[float, str]) -> list[tuple[Seconds, ItemId]]:
    return [(Seconds(when), ItemId(name)) for when, name in at]


THREE = crashes((1, "a"), (2, "b"), (3, "c"))


def test_a_template_that_crashed_for_three_items_is_held() -> None:
    assert holds_template(THREE, last_success=None, now=Seconds(3))


@pytest.mark.parametrize(
    "seen", [THREE[:2], crashes((1, "a"), (2, "b"), (3, "b")), crashes((1, "a"), (2, "b"), (61, "c"))]
)
def test_fewer_different_items_within_a_minute_hold_nothing(seen: list[tuple[Seconds, ItemId]]) -> None:
    assert not holds_template(seen, last_success=None, now=Seconds(61))


def test_a_success_between_clears_what_was_before() -> None:
    assert not holds_template(THREE, last_success=Seconds(1.5), now=Seconds(3))
    assert holds_template(THREE, last_success=Seconds(0.5), now=Seconds(3))


def loop_holds(*at: float) -> tuple[Seconds, ...]:
    return tuple(map(Seconds, at))


@pytest.mark.parametrize(
    ("held", "success", "now", "is_held"),
    [
        (loop_holds(), None, 3, False),
        (loop_holds(1), None, 3, False),
        (loop_holds(1, 2), None, 3, True),
        (loop_holds(1, 2), 0.5, 3, True),
        (loop_holds(1, 2), 1.5, 3, False),
        (loop_holds(1, 2), None, 3600, True),
        (loop_holds(1, 2), None, 3601, False),
    ],
)
def test_a_template_that_held_the_loop_twice_in_an_hour_with_no_success_between_is_held(
    held: tuple[Seconds, ...], success: float | None, now: float, is_held: bool
) -> None:
    last = None if success is None else Seconds(success)
    assert holds_the_loop(held, last_success=last, now=Seconds(now)) is is_held
