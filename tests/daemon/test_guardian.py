"""The guardian decides nothing: it looks, and ends for the first reason it is told."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from darumad import daemon
from darumad.clock import SystemClock
from darumad.daemon.guardian import Guardian, Watched
from darumad.logs import configure, logger
from darumad.names import Seconds
from darumad.notify import Notifier
from darumad.settings import Log
from tests.kit import FakeClock, eventually


class Told(Notifier):
    """Keeps how often it was told that the daemon lives."""

    def __init__(self) -> None:
        super().__init__({})
        self.alive_said = 0

    def alive(self) -> bool:
        self.alive_said += 1
        return True


def looks(**more: Callable[[], Any]) -> Watched:
    given: dict[str, Any] = {
        "signs": dict,
        "root_ended": lambda: False,
        "stuck": lambda: None,
        "status": lambda: "well",
        "keep_door": lambda: None,
        "heed": lambda _: None,
        **more,
    }
    return Watched(**given)


def guardian(clock: Any = None, told: Notifier | None = None) -> Guardian:
    return Guardian(clock or SystemClock(), told or Told())


def test_the_first_who_says_that_it_is_to_end_is_heard() -> None:
    asked = guardian()
    asked.end("leaked", "3 threads")
    asked.end("root", "the root gave up")
    assert asked.watch(looks(root_ended=lambda: True)) == ("leaked", "3 threads")


def test_who_has_not_come_to_watch_yet_can_see_that_it_is_to_end_and_is_told_why_then() -> None:
    asked = guardian()
    assert not asked.is_to_end
    asked.end("asked", "SIGTERM")
    assert asked.is_to_end
    assert asked.watch(looks()) == ("asked", "SIGTERM")


def test_a_root_that_ended_without_a_word_is_noticed() -> None:
    assert guardian().watch(looks(root_ended=lambda: True)) == ("root", "the root supervisor gave up")


def test_a_root_that_told_why_it_ends_is_believed() -> None:
    asked = guardian()

    def ended() -> bool:
        asked.end("leaked", "3 threads")
        return True

    assert asked.watch(looks(root_ended=ended)) == ("leaked", "3 threads")


def test_a_stuck_loop_ends_it() -> None:
    assert guardian().watch(looks(stuck=lambda: "it does not turn")) == ("stuck", "it does not turn")


def test_a_guardian_that_was_itself_late_convicts_nobody_in_that_round() -> None:
    clock, rounds = FakeClock(), list[bool]()
    asked = guardian(clock)

    def ended() -> bool:  # asked in every round
        rounds.append(False)
        clock.jump(60.0 if len(rounds) == 1 else 0.0)
        return False

    def stuck() -> str | None:
        return "it does not turn" if rounds else None

    asked.watch(looks(stuck=stuck, root_ended=ended))
    assert len(rounds) == 3, "the round after the pause was forgiven, the next was not"


def test_one_red_sign_keeps_the_watchdog_hungry() -> None:
    told, rounds = Told(), list[int]()
    asked = guardian(told=told)

    def signs() -> dict[str, bool | str]:
        rounds.append(told.alive_said)
        if len(rounds) == 4:
            asked.end("asked", "the test")
        return {"loop": True, "writer": "one batch has run for 31 s" if len(rounds) == 2 else True}

    asked.watch(looks(signs=signs))
    assert (rounds, told.alive_said) == ([0, 1, 1, 2], 3)


def test_what_is_posted_runs_on_its_own_thread_and_ends_nothing() -> None:
    asked, ran = guardian(), list[threading.Thread]()
    asked.post(lambda: ran.append(threading.current_thread()))
    asked.post(lambda: asked.end("asked", "SIGTERM"))
    assert asked.watch(looks()) == ("asked", "SIGTERM")
    assert ran == [threading.current_thread()]


def test_it_lingers_until_what_it_waits_for_is_done() -> None:
    left = [3]

    def done() -> bool:
        left[0] -= 1
        return left[0] == 0

    guardian().linger(done, Seconds(600.0))
    assert left == [0]


def test_it_lingers_no_longer_than_it_may() -> None:
    clock = FakeClock()
    looks_taken = []

    def done() -> bool:
        looks_taken.append(clock.jump(1.0))
        return False

    guardian(clock).linger(done, Seconds(3.0))
    assert len(looks_taken) == 3


def test_whoever_asks_once_more_cuts_the_drain_short() -> None:
    asked = guardian(FakeClock())
    asked.end("stuck", "told too late: this is no request")
    asked.end("asked", "SIGTERM")
    asked.linger(lambda: False, Seconds(600.0))  # the clock stands still: only the second request ends it


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_hangup_opens_the_logs_file_anew_though_no_line_is_written(tmp_path: Path, number: signal.Signals) -> None:
    file, asked = tmp_path / "own.log", guardian()
    with ExitStack() as stack:
        unread = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, unread)
        logs = configure(Log(file=file), clock=SystemClock(), environ={}, descriptor=unread)
        stack.callback(logs.close)
        daemon._on_rotation(asked, logs, stack)
        logger("a test").info("written")
        eventually(file.exists)
        file.rename(file.with_suffix(".1"))
        os.kill(os.getpid(), number)
        asked.post(lambda: asked.end("asked", "the test"))
        asked.watch(looks())
        eventually(file.exists)


def test_a_signal_ends_it_by_its_name_and_a_second_one_ends_the_drain() -> None:
    asked = guardian(FakeClock())
    with ExitStack() as stack:
        daemon._on_signals(asked, stack)
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.watch(looks()) == ("asked", "SIGINT")
        os.kill(os.getpid(), signal.SIGTERM)
        asked.linger(lambda: False, Seconds(600.0))
