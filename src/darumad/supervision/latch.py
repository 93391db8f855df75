"""A latch: shut until somebody opens it, then open for ever. Any number of threads wait and may open it.

`threading.Event` does the same with a condition, a lock and a deque; there are several latches a life, and a reply to
every ask has one.
"""

import threading
from contextlib import suppress


class Latch:
    """One lock, which is held until the latch is opened."""

    __slots__ = ("_lock", "_shut")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._shut = [True]

    @property
    def is_open(self) -> bool:
        """Whether nobody has to wait any more."""
        return not self._shut

    def open(self) -> None:
        """Let everybody pass. Safe to call twice, and from two threads at once: only one of them has the pop."""
        with suppress(IndexError):
            self._shut.pop()
            self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was opened within `timeout` seconds."""
        limit = -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=limit):
            return False
        self._lock.release()
        return True
