"""The overdue-message probe: reads from outside how long each watched actor has had its message in hand.

An actor that waits in its inbox is not woken; its hooks, and what a supervisor does on its system lane, are ruled by
deadlines of their own. One thread per root that has watched children, on real time.
"""

import sys
import threading
import traceback
from collections import Counter
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
class _Held:
    """A message in hand, and when it was first seen there."""

    envelope: Envelope[Any]
    since: float
    convicted: bool = False


class Prober:
    """Convicts actors whose message in hand is overdue: posts `Unresponsive` to their supervisor.

    An actor is on the roll while it is awake, so that a look costs nothing for the many that sleep.
    """

    def __init__(self, tell_of_pause: Callable[[float], None]) -> None:
        self._tell_of_pause = tell_of_pause
        self._roll: set[Life] = set()
        self._held: dict[Life, _Held] = {}
        self._deadlines: Counter[float] = Counter()
        self._interval = SLOWEST
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._nudge = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, life: Life, deadline: float) -> None:
        """Probe `life` from now on; on its own thread, before it takes its first message."""
        life.mailbox.sign(self._roll, life)
        with self._lock:
            self._deadlines[deadline] += 1
            if self._thread is None and not self._closed.is_set():
                thread = threading.Thread(target=self._run, name="liveness", daemon=True)
                thread.start()
                self._thread = thread  # only now: the machine may have had none left
        if _interval_of(deadline) < self._interval:
            self._nudge.set()

    def unwatch(self, life: Life, deadline: float) -> None:
        """Probe `life` no more."""
        self._roll.discard(life)
        with self._lock:
            self._deadlines[deadline] -= 1

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._nudge.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._interval = interval = self._next_interval()
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

    def _next_interval(self) -> float:
        with self._lock:
            self._deadlines = +self._deadlines  # without those that nobody has any more
            return min(map(_interval_of, self._deadlines), default=SLOWEST)

    def _forgive(self, gap: float) -> None:
        for held in self._held.values():
            held.since += gap
        self._tell_of_pause(gap)

    def _look(self, now: float) -> None:
        seen: dict[Life, _Held] = {}
        for life in self._roll.copy():  # in one step of the interpreter, whoever signs meanwhile
            envelope = life.in_hand
            if envelope is None or life.over:
                continue
            held = self._held.get(life)
            seen[life] = held if held is not None and held.envelope is envelope else _Held(envelope, now)
        self._held = seen
        for life, held in seen.items():
            _judge(life, held, now)


def _interval_of(deadline: float) -> float:
    return min(SLOWEST, max(FASTEST, deadline / LOOKS_PER_DEADLINE))


def _judge(life: Life, held: _Held, now: float) -> None:
    """Convict the life, once, if its message is overdue."""
    assert life.spec is not None
    assert life.spec.liveness is not None
    held_for = now - held.since
    if held.convicted or held_for < life.spec.liveness.ping_deadline or life.parent is None:
        return
    held.convicted = True
    life.parent.mailbox.post(Unresponsive(life, held.envelope, held_for, stack_of(life.thread)))


def stack_of(thread: threading.Thread | None) -> str:
    """What a thread is doing, as a traceback's lines."""
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None  # noqa: SLF001 - its only name
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
