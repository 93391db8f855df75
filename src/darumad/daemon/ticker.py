"""A tick that comes again and again on the timer's thread, and surely ends: the one way to do so in this room.

What ticks only looks and posts; whatever waits for a disk has its own thread (housekeeping), and whatever an actor
awaits is told to it.
"""

import threading
from collections.abc import Callable

from darumad.clock import Clock, TimerHandle
from darumad.names import Seconds


class Ticker:
    """Calls `tick`, which answers in how many seconds it wants to be called again, or None for never."""

    def __init__(self, clock: Clock, tick: Callable[[], Seconds | None]) -> None:
        self._clock = clock
        self._tick = tick
        self._ticking = threading.Lock()
        self._timer: TimerHandle | None = None

    def begin(self, after: Seconds) -> None:
        """Call it first so many seconds from now."""
        with self._ticking:
            self._arm(after)

    def end(self) -> None:
        """Call it no more. A tick that this falls into has ended when it returns: never from within one."""
        with self._ticking:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _arm(self, after: Seconds) -> None:
        self._timer = self._clock.call_at(self._clock.monotonic() + after, self._come)

    def _come(self) -> None:
        with self._ticking:  # an end waits for the tick: else it would begin the next one
            if self._timer is None:
                return
            after = self._tick()
            if after is not None:
                self._arm(after)
