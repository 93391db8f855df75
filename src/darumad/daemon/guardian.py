"""The guardian: the main thread, outside every tree.

It looks at vital signs, tells the service manager, and ends the process for one reason.
"""

from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Literal

from darumad.clock import Clock
from darumad.names import Seconds
from darumad.notify import Notifier
from darumad.plural import counted
from darumad.values import Value

LOOK = Seconds(0.25)
"""How often the guardian looks, in seconds."""
_GLANCE = Seconds(0.05)
"""How often it looks while something is about to be done, in seconds."""
Ending = Literal["asked", "root", "leaked", "stuck", "broken_disk"]
Signs = Mapping[str, bool | str]


class Watched(Value, kw_only=True):
    """What the guardian looks at; each call reads tables and counters and returns at once.

    `keep_door` sees to it that the daemon can still be reached; `heed` is told what each look found.
    """

    signs: Callable[[], Signs]
    root_ended: Callable[[], bool]
    stuck: Callable[[], str | None]
    status: Callable[[], str]
    keep_door: Callable[[], None]
    heed: Callable[[Signs], None]


class _End(Value):
    why: Ending
    by: str


class Guardian:
    """Watches until something ends the daemon.

    What is asked of it from other threads, and from signal handlers, goes through a queue whose `put` may interrupt its
    own `get`: an Event's `set` in a handler can wait for a lock that the interrupted `wait` holds, for ever.
    `is_to_end`: somebody has asked for the end, be it before the watch begins. `ran_on` counts the actors' threads that
    did not end when the tree was stopped.
    """

    is_to_end = False
    ran_on = 0

    def __init__(self, clock: Clock, notifier: Notifier) -> None:
        self._clock = clock
        self.notifier = notifier
        self._asked: SimpleQueue[_End | Callable[[], None]] = SimpleQueue()

    def end(self, why: Ending, by: str) -> None:
        """The daemon is to end; the first who says so is heard. Whoever asks once more wants it without the drain."""
        self.is_to_end = True
        self._asked.put(_End(why, by))

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` run on the guardian's thread: for what a signal handler may not do itself."""
        self._asked.put(call)

    def watch(self, watched: Watched) -> tuple[Ending, str]:
        """Returns when the daemon is to end: why, and who or what said so.

        A prober that was itself late convicts nobody in that round: the machine slept, not the daemon.
        """
        looked_at = self._clock.monotonic()
        while (end := self._heard(LOOK)) is None:
            now = self._clock.monotonic()
            late, looked_at = now - looked_at > 3 * LOOK, now
            self._look(watched, late=late)
        return end.why, end.by

    def linger(self, done: Callable[[], bool], within: Seconds) -> None:
        """Returns when `done`, after `within` seconds, or as soon as somebody asks for the end once more."""
        until = self._clock.monotonic() + within
        while not done() and self._clock.monotonic() < until:
            again = self._heard(_GLANCE)
            if again is not None and again.why == "asked":
                return

    def after_all(self, ending: Ending, why: str) -> tuple[Ending, str]:
        """How it ended, now that everything is stopped: a stop that left threads behind is no clean one."""
        if ending == "asked" and self.ran_on:
            return "leaked", f"{counted(self.ran_on, 'thread')} of actors did not end when they were stopped"
        return ending, why

    def _look(self, watched: Watched, *, late: bool) -> None:
        watched.keep_door()
        stuck = None if late else watched.stuck()
        signs = watched.signs()
        if not late:
            watched.heed(signs)
        if watched.root_ended():
            self.end("root", "the root supervisor gave up")  # heard unless the tree itself has said why already
        elif stuck:
            self.end("stuck", stuck)
        elif all(sign is True for sign in signs.values()):
            self.notifier.alive()
            self.notifier.tell(STATUS=watched.status())

    def _heard(self, within: Seconds) -> _End | None:
        """Whether the end was asked for; carries out what else was asked, and waits `within` seconds for nothing."""
        try:
            asked = self._asked.get(timeout=within)
        except Empty:
            return None
        if isinstance(asked, _End):
            return asked
        asked()
        return None
