"""What ends a start that is told to stop and does not come to its end."""

import threading
from collections.abc import Iterator

import pytest

from darumad.daemon.last_resort import LastResort
from darumad.names import Seconds
from tests.kit import eventually

HOUR = Seconds(3600.0)


@pytest.fixture
def left() -> Iterator[list[None]]:
    yield []
    eventually(lambda: "last-resort" not in {each.name for each in threading.enumerate()})


def test_one_that_is_told_to_stop_is_left_once_its_time_is_over(left: list[None]) -> None:
    LastResort(Seconds(0.0), lambda: left.append(None)).stop()
    eventually(lambda: len(left) == 1)


def test_who_tells_it_twice_does_not_wait(left: list[None]) -> None:
    start = LastResort(HOUR, lambda: left.append(None))
    start.stop()
    start.stop()
    eventually(lambda: len(left) == 1)


@pytest.mark.parametrize("stops", [0, 1])
def test_one_that_comes_to_its_end_is_not_left(left: list[None], stops: int) -> None:
    start = LastResort(HOUR, lambda: left.append(None))
    for _ in range(stops):
        start.stop()
    start.over()
    start.over()
    eventually(lambda: "last-resort" not in {each.name for each in threading.enumerate()})
    assert left == []
