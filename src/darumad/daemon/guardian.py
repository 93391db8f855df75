"""The guardian: the main thread, outside every tree.

It looks at vital signs, tells the service manager, and ends the process for one reason.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from darumad.clock import Clock
from darumad.names import Seconds
from darumad.notify import Notifier

LOOK = Seconds(0.25)
"""How often the guardian looks, in seconds."""
Ending = Literal["asked", "root", "stuck", "broken_disk"]
Signs = Mapping[str, bool | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the guardian looks at; each call reads tables and counters and returns at once."""

    signs: Callable[[], Signs]
    root_ended: Callable[[], bool]
    stuck: Callable[[], str | None]
    status: Callable[[], str]


class Guardian:
    """Watches until something ends the daemon; `end` may be called from any thread and from a signal handler."""

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self._notifier = notifier
        self._ended = threading.Event()
        self._why: tuple[Ending, str] = ("asked", "")

    def end(self, why: Ending, by: str) -> None:
        """The daemon is to end; the first who says so is heard."""
        if not self._ended.is_set():
            self._why = (why, by)
            self._ended.set()

    def watch(self, watched: Watched) -> tuple[Ending, str]:
        """Returns when the daemon is to end: why, and who or what said so.

        A prober that was itself late convicts nobody in that round: the machine slept, not the daemon.
        """
        looked_at = self._clock.monotonic()
        while not self._ended.wait(LOOK):
            now = self._clock.monotonic()
            late, looked_at = now - looked_at > 3 * LOOK, now
            if watched.root_ended():
                return "root", "the root supervisor gave up"
            stuck = watched.stuck()
            if stuck and not late:
                return "stuck", stuck
            if all(sign is True for sign in watched.signs().values()):
                self._notifier.alive()
                self._notifier.tell(STATUS=watched.status())
        return self._why
