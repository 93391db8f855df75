"""What ends a start that is told to stop and does not come to its end."""

import os
import signal
from contextlib import suppress

import pytest

from darumad.daemon.last_resort import LastResort
from darumad.names import Seconds
from tests.kit import eventually

HOUR = Seconds(3600.0)


def tell(start: LastResort, *numbers: int) -> None:
    """As the interpreter's own handler does."""
    os.write(start.descriptor, bytes(numbers))


def test_one_that_is_told_to_stop_is_left_once_its_time_is_over() -> None:
    left: list[None] = []
    with LastResort(Seconds(0.01), lambda: left.append(None)) as start:
        tell(start, signal.SIGTERM)
        eventually(lambda: len(left) == 1)


def test_who_tells_it_twice_does_not_wait() -> None:
    left: list[None] = []
    with LastResort(HOUR, lambda: left.append(None)) as start:
        tell(start, signal.SIGTERM, signal.SIGINT)
        eventually(lambda: len(left) == 1)


@pytest.mark.parametrize("numbers", [(), (signal.SIGTERM,), (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)])
def test_one_that_comes_to_its_end_is_not_left(numbers: tuple[int, ...]) -> None:
    left: list[None] = []
    with LastResort(HOUR, lambda: left.append(None)) as start:
        tell(start, *numbers)
        start.over()
    assert left == []


def test_signals_that_come_once_it_stands_hold_up_no_end() -> None:
    with LastResort(HOUR) as start:
        start.over()
        eventually(lambda: not start._thread.is_alive())
        with suppress(BlockingIOError):
            while True:
                tell(start, signal.SIGHUP)
