"""Time, the only door to it. Everyone takes a `Clock`; tests hand in one that they wind."""

import heapq
import itertools
import sys
import threading
import time  # noqa: TID251 - the one door
from collections.abc import Callable
from typing import Protocol

from darumad.names import Millis

_SPARE = 64
"""So many cancelled timers are kept beside as many as wait."""


class TimerHandle(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call. Safe at any time, from any thread, also after it ran."""


class Clock(Protocol):
    """Monotonic time for limits and windows, wall time for people and schedules, and calls that are due later."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set; only differences mean anything."""

    def wall(self) -> Millis:
        """Milliseconds since 1970 in UTC; may jump when the machine's clock is set."""

    def call_at(self, when: float, fn: Callable[[], None]) -> TimerHandle:
        """Call `fn` once, on the timer's thread, when `monotonic()` reaches `when` seconds.

        `fn` must only post: what blocks there delays every other timer.
        """


class _Timer:
    __slots__ = ("_forget", "fn", "when")

    def __init__(self, when: float, fn: Callable[[], None], forget: "Callable[[_Timer], None]") -> None:
        self.when = when
        self.fn: Callable[[], None] | None = fn
        self._forget = forget

    def cancel(self) -> None:
        self._forget(self)


class SystemClock:
    """The machine's time, and a heap of timers with one daemon thread, which is there while any of them is due."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()
        self._pending = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    monotonic = staticmethod(time.monotonic)
    """Seconds."""

    def wall(self) -> Millis:
        """Milliseconds since 1970 in UTC, as `time.time_ns`."""
        return Millis(time.time_ns() // 1_000_000)

    def call_at(self, when: float, fn: Callable[[], None]) -> TimerHandle:
        """See `Clock.call_at`."""
        timer = _Timer(when, fn, self._forget)
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), timer))
            self._pending += 1
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="timer", daemon=True)
                thread.start()
                self._thread = thread  # it waits for this lock; one that could not be started is tried again
            self._changed.notify()
        return timer

    def _forget(self, timer: _Timer) -> None:
        with self._changed:
            if self._taken(timer) is None:
                return
            self._sweep()
            if not self._pending:
                self._changed.notify()  # for the thread to go

    def _sweep(self) -> None:
        """Let go of the cancelled where they are most: each would be kept until it was due, and that may be a year."""
        if len(self._due) > 2 * self._pending + _SPARE:
            self._due = [each for each in self._due if each[2].fn]
            heapq.heapify(self._due)

    def _run(self) -> None:
        while fn := self._next_due():
            _call(fn)

    def _next_due(self) -> Callable[[], None] | None:
        with self._changed:
            while self._pending:
                wait = self._due[0][0] - time.monotonic() if self._due[0][2].fn else 0.0
                if wait > 0:
                    self._changed.wait(wait)
                elif fn := self._taken(heapq.heappop(self._due)[2]):
                    return fn
            self._due.clear()
            self._thread = None  # under the lock that the next timer's thread is started under
            return None

    def _taken(self, timer: _Timer) -> Callable[[], None] | None:
        """The timer's call, which is nobody else's from then on; nothing, if it was cancelled or taken before."""
        fn, timer.fn = timer.fn, None
        self._pending -= fn is not None
        return fn


def _call(fn: Callable[[], None]) -> None:
    try:
        fn()
    except Exception:  # noqa: BLE001 - a timer's call only posts; one that raises must not stop the others
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
