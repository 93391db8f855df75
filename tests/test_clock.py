"""The machine's clock: its timers, and the one thread that they have while any is due."""

import gc
import threading
from queue import SimpleQueue

import pytest

from darumad.clock import SystemClock
from tests.kit import eventually

PATIENCE = 10.0


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


def timers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "timer"]


def test_timers_ring_in_the_order_in_which_they_are_due(clock: SystemClock) -> None:
    rung: SimpleQueue[str] = SimpleQueue()
    now = clock.monotonic()
    clock.call_at(now + 0.02, lambda: rung.put("later"))
    clock.call_at(now + 0.01, lambda: rung.put("sooner"))
    clock.call_at(now - 1.0, lambda: rung.put("overdue"))
    assert [rung.get(timeout=PATIENCE) for _ in range(3)] == ["overdue", "sooner", "later"]


def test_a_cancelled_timer_does_not_ring_and_holds_nobody(clock: SystemClock) -> None:
    rung: SimpleQueue[str] = SimpleQueue()
    now = clock.monotonic()
    clock.call_at(now + 0.01, lambda: rung.put("cancelled")).cancel()
    clock.call_at(now + 0.02, lambda: rung.put("kept"))
    assert rung.get(timeout=PATIENCE) == "kept"
    eventually(lambda: not timers())
    assert rung.empty()


def test_the_thread_goes_when_the_last_timer_is_cancelled_however_late_it_was_due(clock: SystemClock) -> None:
    late = [clock.call_at(clock.monotonic() + 3600.0, lambda: None) for _ in range(3)]
    assert len(timers()) == 1
    late[0].cancel()
    late[0].cancel()
    late[2].cancel()
    assert len(timers()) == 1
    late[1].cancel()
    eventually(lambda: not timers())
    rung = threading.Event()
    clock.call_at(clock.monotonic(), rung.set).cancel()
    clock.call_at(clock.monotonic(), rung.set)
    assert rung.wait(PATIENCE)


def test_what_was_cancelled_is_not_kept_until_it_would_have_been_due(clock: SystemClock) -> None:
    now = clock.monotonic()
    kept = [clock.call_at(now + 3600.0, lambda: None) for _ in range(10)]
    for _ in range(1_000):
        clock.call_at(now + 3600.0, lambda: None).cancel()
    there = sum(type(each) is type(kept[0]) for each in gc.get_objects())
    assert there < 200, "a clock that is asked often for what is far away would grow until then"
    for each in kept:
        each.cancel()
    eventually(lambda: not timers())


def test_the_thread_is_there_while_a_timer_is_due_and_comes_back_for_the_next(clock: SystemClock) -> None:
    for _ in range(3):
        rung, seen = threading.Event(), SimpleQueue[int]()
        clock.call_at(clock.monotonic() + 0.01, lambda seen=seen, rung=rung: (seen.put(len(timers())), rung.set()))
        assert rung.wait(PATIENCE)
        assert seen.get() == 1
        eventually(lambda: not timers())


def test_timers_set_while_the_thread_goes_ring_too(clock: SystemClock) -> None:
    for _ in range(500):
        rung = threading.Event()
        clock.call_at(clock.monotonic(), rung.set)
        assert rung.wait(PATIENCE)


def test_a_call_that_raises_is_told_and_stops_no_other(clock: SystemClock, monkeypatch: pytest.MonkeyPatch) -> None:
    told: SimpleQueue[type[BaseException]] = SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda args: told.put(args.exc_type))
    rung = threading.Event()
    now = clock.monotonic()
    clock.call_at(now, lambda: {}["nothing"])
    clock.call_at(now + 0.01, rung.set)
    assert rung.wait(PATIENCE)
    assert told.get(timeout=PATIENCE) is KeyError
