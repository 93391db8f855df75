"""A tick comes as often as it says, and its end is the end, also of a tick that is under way."""

import threading

from darumad.daemon.ticker import Ticker
from darumad.names import Seconds
from tests.kit import FakeClock


def test_a_tick_comes_again_after_as_long_as_it_says_and_after_none_no_more() -> None:
    clock, came, after = FakeClock(), list[float](), iter((Seconds(2.0), Seconds(5.0), None))

    def tick() -> Seconds | None:
        came.append(clock.monotonic() - begun)
        return next(after)

    begun = clock.monotonic()
    Ticker(clock, tick).begin(Seconds(1.0))
    clock.advance(100.0)
    assert came == [1.0, 3.0, 8.0]
    assert clock.armed == 0


def test_what_ends_before_its_first_tick_has_none_and_may_end_twice_or_unbegun() -> None:
    clock, came = FakeClock(), list[int]()
    ticker = Ticker(clock, lambda: came.append(1))
    ticker.end()
    ticker.begin(Seconds(1.0))
    ticker.end()
    ticker.end()
    clock.advance(100.0)
    assert came == []


def test_an_end_that_falls_into_a_tick_waits_for_it_and_none_comes_after() -> None:
    clock, came, ending = FakeClock(), list[int](), threading.Thread(target=lambda: ticker.end())  # noqa: PLW0108 - it is made before the ticker

    def tick() -> Seconds:
        if not came:
            ending.start()
            ending.join(0.1)  # in vain: it waits for this tick
        came.append(1)
        return Seconds(1.0)

    ticker = Ticker(clock, tick)
    ticker.begin(Seconds(1.0))
    clock.advance(1.0)
    ending.join(10)
    assert not ending.is_alive()
    clock.advance(100.0)
    assert (came, clock.armed) == ([1], 0)
