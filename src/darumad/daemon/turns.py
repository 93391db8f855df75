"""How long a thread may compute before another gets its turn at the interpreter; the only door to that interval.

The threads that an item walks through let go of the interpreter by themselves, many times in a millisecond: the less
often they are told to, the fewer switches an item costs. A thread that only computes never lets go, and whoever meets
it waits for as long as the interval is. So the interval is Python's own, and a short one while such a thread is there.
"""

import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from darumad.clock import Clock
from darumad.cores import cpu_of_process, cpu_of_thread
from darumad.daemon.ticker import Ticker
from darumad.names import Seconds
from darumad.values import Value

WALKED: Final = frozenset({"journal-writer", "bridge", "daruma/engine/orchestrator", "publisher"})
"""The threads that every item walks through, by their names."""
LONG: Final = Seconds(0.005)
"""Python's own interval."""
LOOK_EVERY: Final = Seconds(0.5)
OTHERS, ONE = 0.2, 0.6
"""Shares of a core: more than the first for all other threads together, or than the second for one that items walk
through, is somebody who computes. An item's walk at its fastest leaves the others a twentieth, and none of its own
threads more than two fifths."""


class Taken(Value):
    """Seconds of CPU since the start: of the process, and of each thread that items walk through, by its id."""

    process: float
    walked: Mapping[int, float]


def somebody_computes(before: Taken, after: Taken, elapsed: Seconds) -> bool:
    """Whether a thread computed without pause in the seconds between two looks."""
    walked = [spent - before.walked.get(thread, 0.0) for thread, spent in after.walked.items()]
    others = after.process - before.process - sum(walked)
    return others > OTHERS * elapsed or max(walked, default=0.0) > ONE * elapsed


class SwitchInterval:
    """Looks every half second who computes, on the timer's thread; `short` is the interval beside such a thread."""

    def __init__(self, clock: Clock, short: Seconds) -> None:
        self._clock = clock
        self._short = short
        self._before = sys.getswitchinterval()
        self._ticker = Ticker(clock, self._look)
        self._looked_at = clock.monotonic()
        self._taken = _taken(threading.enumerate())

    def open(self) -> None:
        """Begin to look. Until the first look the interval is the short one: a start computes."""
        sys.setswitchinterval(self._short)
        self._ticker.begin(LOOK_EVERY)

    def close(self) -> None:
        """Look no more, and give back the interval that was there before."""
        self._ticker.end()
        sys.setswitchinterval(self._before)

    def _look(self) -> Seconds:
        now, taken = self._clock.monotonic(), _taken(threading.enumerate())
        busy = somebody_computes(self._taken, taken, Seconds(now - self._looked_at))
        self._looked_at, self._taken = now, taken
        sys.setswitchinterval(self._short if busy else max(self._short, LONG))
        return LOOK_EVERY


def _taken(threads: Iterable[threading.Thread]) -> Taken:
    walked = {
        each.native_id: cpu_of_thread(each.native_id) for each in threads if each.name in WALKED and each.native_id
    }
    return Taken(cpu_of_process(), walked)
