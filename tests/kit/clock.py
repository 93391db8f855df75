"""A clock that stands still until it is wound."""

import heapq
import itertools
import threading
from collections.abc import Callable

from darumad.supervision import Supervisor

CEILING = 10.0
"""Real seconds after which a supervisor that does not come to rest is left alone."""


class FakeTimer:
    def __init__(self, when: float, fn: Callable[[], None]) -> None:
        self.when = when
        self.fn: Callable[[], None] | None = fn

    def cancel(self) -> None:
        self.fn = None


class FakeClock:
    """Monotonic seconds from `start`; `advance` fires what is due, in order, and lets every supervisor settle."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._due: list[tuple[float, int, FakeTimer]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> int:
        return int(self._now * 1000)

    def call_at(self, when: float, fn: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(when, fn)
        with self._lock:
            heapq.heappush(self._due, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        until = self._now + seconds
        settle()
        while (timer := self._next(until)) is not None:
            self._now = max(self._now, timer.when)
            fn, timer.fn = timer.fn, None
            if fn is not None:
                fn()
                settle()
        self._now = until
        settle()

    def jump(self, seconds: float) -> None:
        """Only the time: nothing fires and nobody is waited for."""
        self._now += seconds

    def _next(self, until: float) -> FakeTimer | None:
        with self._lock:
            while self._due and self._due[0][0] <= until:
                timer = heapq.heappop(self._due)[2]
                if timer.fn is not None:
                    return timer
        return None

    @property
    def armed(self) -> int:
        """How many timers wait."""
        with self._lock:
            return sum(timer.fn is not None for _, _, timer in self._due)


def settle(ceiling: float = CEILING) -> None:
    """Return when every supervisor has emptied its system lane."""
    pause, quiet = threading.Event(), 0
    for _ in range(int(ceiling / 0.001)):
        quiet = quiet + 1 if all(_at_rest(ref) for ref in _supervisors()) else 0
        if quiet == 2:
            return
        pause.wait(0.001 if quiet == 0 else 0)


def _supervisors() -> list[object]:
    """The refs of all that have a thread; nobody keeps a list of them."""
    actors = [getattr(getattr(thread, "_target", None), "__self__", None) for thread in threading.enumerate()]
    return [actor.actor_ref for actor in actors if isinstance(actor, Supervisor)]


def _at_rest(ref: object) -> bool:
    life = ref._life  # type: ignore[attr-defined]
    return life.ended.is_open or life.mailbox.idle
