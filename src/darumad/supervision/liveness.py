"""The overdue-message probe: reads from outside how long each watched actor has had its message in hand.

An actor that waits in its inbox is not woken; its hooks, and what a supervisor does on its system lane, are ruled by
deadlines of their own. One thread per root that has watched children, on real time.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from darumad.supervision.life import REAL, Life
from darumad.supervision.pykka_door import Envelope
from darumad.supervision.signals import Unresponsive

LOOKS_PER_DEADLINE: Final = 10
FASTEST, SLOWEST = 0.01, 1.0
"""Seconds between two looks."""
LATE_BY: Final = 2
"""A look that comes this many intervals late was paused itself: it convicts nobody."""


@dataclass(slots=True)
class _Watched:
    life: Life
    deadline: float
    in_hand: Envelope[Any] | None = None
    since: float = 0.0
    convicted: bool = False

    def look(self, now: float) -> float | None:
        """Seconds for which the message in hand is overdue, told once; None if it is not."""
        held = self.life.in_hand
        if held is None or held is not self.in_hand:
            self.in_hand, self.since, self.convicted = held, now, False
            return None
        held_for = now - self.since
        if self.convicted or held_for < self.deadline:
            return None
        self.convicted = True
        return held_for


class Prober:
    """Convicts actors whose message in hand is overdue: posts `Unresponsive` to their supervisor."""

    def __init__(self, tell_of_pause: Callable[[float], None]) -> None:
        self._tell_of_pause = tell_of_pause
        self._watched: list[_Watched] = []
        self._shortest = float("inf")
        self._grown = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._nudge = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, life: Life, deadline: float) -> None:
        """Probe `life` from now on, until it is over."""
        with self._lock:
            hurried = deadline < self._shortest
            self._shortest = min(deadline, self._shortest)
            self._grown = True
            self._watched.append(_Watched(life, deadline))
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)
                self._thread.start()
        if hurried:
            self._nudge.set()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._nudge.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            interval = self._interval()
            before = REAL.monotonic()
            nudged = self._nudge.wait(interval)
            if nudged:
                self._nudge.clear()
            now = REAL.monotonic()
            gap = now - before - interval
            if gap > LATE_BY * interval:
                self._forgive(now - before)
            else:
                self._look(now)

    def _interval(self) -> float:
        return min(SLOWEST, max(FASTEST, self._shortest / LOOKS_PER_DEADLINE))

    def _forgive(self, gap: float) -> None:
        with self._lock:
            for watched in self._watched:
                watched.since += gap
        self._tell_of_pause(gap)

    def _look(self, now: float) -> None:
        with self._lock:
            if self._grown:
                self._grown = False
                self._watched = [each for each in self._watched if not each.life.over]
                self._shortest = min((each.deadline for each in self._watched), default=float("inf"))
            # Most have nothing in hand and had nothing at the last look: passing them by is all they cost.
            watched = [each for each in self._watched if each.in_hand is not None or each.life.in_hand is not None]
        for one in watched:
            overdue = one.look(now)
            if overdue is not None:
                _convict(one, overdue)


def _convict(watched: _Watched, overdue: float) -> None:
    life, held = watched.life, watched.in_hand
    if life.parent is not None and held is not None:
        life.parent.mailbox.post(Unresponsive(life, held, overdue, stack_of(life.thread)))


def stack_of(thread: threading.Thread | None) -> str:
    """What a thread is doing, as a traceback's lines."""
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None  # noqa: SLF001 - its only name
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
