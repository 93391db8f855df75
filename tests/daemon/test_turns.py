"""How long a thread may compute: short while somebody only computes, and Python's own interval while nobody does."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from darumad.clock import SystemClock
from darumad.cores import cpu_of_process, cpu_of_thread
from darumad.daemon.turns import LONG, LOOK_EVERY, WALKED, SwitchInterval, Taken, somebody_computes
from darumad.names import Seconds
from tests.daemon.serving import served, settings
from tests.kit import FakeClock, cpu_bound_thread, eventually, switch_interval

SHORT = Seconds(0.0005)
A_SECOND = Seconds(1.0)


@pytest.fixture(autouse=True)
def _as_python_ships() -> Iterator[None]:
    with switch_interval(LONG):
        yield


@pytest.mark.parametrize(
    ("process", "walked", "computes"),
    [
        (0.0, {}, False),
        (0.0, {1: 0.0, 2: 0.0}, False),
        (1.0, {1: 0.4, 2: 0.35, 3: 0.2}, False),  # the walk at its fastest
        (0.19, {1: 0.0}, False),
        (0.3, {1: 0.0}, True),
        (1.0, {1: 0.3, 2: 0.25, 3: 0.1}, True),  # one that only computes, beside the walk
        (0.59, {1: 0.59}, False),
        (0.7, {1: 0.7}, True),  # an agent that computes on the loop
        (0.3, {9: 0.3}, False),  # a thread on the way whose life has just begun
        (2.0, {1: 0.9, 2: 0.1}, True),
    ],
)
def test_who_took_the_cpu_tells_whether_somebody_computes(
    process: float, walked: dict[int, float], computes: bool
) -> None:
    before = Taken(100.0, {1: 30.0, 2: 20.0, 3: 10.0, 4: 5.0})
    after = Taken(100.0 + process, {each: before.walked.get(each, 0.0) + spent for each, spent in walked.items()})
    assert somebody_computes(before, after, A_SECOND) is computes


def test_a_thread_that_only_computes_makes_the_interval_short_for_as_long_as_it_is_there() -> None:
    clock = FakeClock()
    turns = SwitchInterval(clock, SHORT)
    turns.open()
    clock.advance(LOOK_EVERY)
    assert sys.getswitchinterval() == pytest.approx(LONG)
    with cpu_bound_thread():
        spent = cpu_of_process()
        eventually(lambda: cpu_of_process() - spent > LOOK_EVERY / 2)
        clock.advance(LOOK_EVERY)
        assert sys.getswitchinterval() == pytest.approx(SHORT)
    eventually(lambda: (clock.advance(100.0), sys.getswitchinterval() == pytest.approx(LONG))[1])
    turns.close()


def test_an_interval_longer_than_pythons_own_is_kept() -> None:
    clock = FakeClock()
    turns = SwitchInterval(clock, Seconds(0.02))
    turns.open()
    clock.advance(100.0)
    assert sys.getswitchinterval() == pytest.approx(0.02)
    turns.close()


def test_a_start_is_taken_for_somebody_who_computes_and_an_end_gives_the_interval_back() -> None:
    clock = FakeClock()
    turns = SwitchInterval(clock, SHORT)
    turns.open()
    assert sys.getswitchinterval() == pytest.approx(SHORT)
    turns.close()
    clock.advance(100.0)
    assert sys.getswitchinterval() == pytest.approx(LONG)


class Watched(SystemClock):
    """Tells when a look begins."""

    def __init__(self) -> None:
        super().__init__()
        self.look_begins = threading.Event()

    def monotonic(self) -> float:
        if threading.current_thread().name == "timer":
            self.look_begins.set()
        return super().monotonic()


def test_an_end_in_the_middle_of_a_look_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darumad.daemon.turns.LOOK_EVERY", 0.0)  # one look after the other
    for _ in range(50):
        clock = Watched()
        turns = SwitchInterval(clock, SHORT)
        turns.open()
        assert clock.look_begins.wait(10)
        turns.close()
        assert sys.getswitchinterval() == pytest.approx(LONG)
    eventually(lambda: not [each for each in threading.enumerate() if each.name == "timer"])
    assert sys.getswitchinterval() == pytest.approx(LONG)


def test_a_running_daemon_has_the_threads_that_items_walk_through(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(settings(home), monkeypatch) as daemon:
        daemon.client.call("status")
        assert {each.name for each in threading.enumerate()} >= WALKED


def test_a_thread_that_has_ended_has_taken_nothing() -> None:
    thread = threading.Thread(target=sum, args=((),))
    thread.start()
    thread.join()
    assert thread.native_id is not None
    assert cpu_of_thread(thread.native_id) == 0.0
