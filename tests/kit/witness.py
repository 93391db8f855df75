"""What the machine takes from whoever runs on it: seen by a thread that waits for a moment, again and again."""

import threading
import time
from types import TracebackType
from typing import Self

MOMENT = 0.01
"""Seconds that each wait is to take."""


class Witness:
    """While it is entered, it remembers from when to when it was late: then nobody else can be asked to be in time."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="witness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def taken(self, since: float, until: float) -> float:
        """Seconds that it took between two instants of the monotonic clock; 0.0 where the second came first."""
        return sum(max(0.0, min(end, until) - max(due, since)) for due, end in self._late)

    def _look(self) -> None:
        due = time.monotonic() + MOMENT
        while not self._over.wait(MOMENT):
            now = time.monotonic()
            self._late.append((due, now))
            due = now + MOMENT
