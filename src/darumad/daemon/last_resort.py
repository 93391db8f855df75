"""The last resort of a start: told to stop, the process ends, whatever it waits for.

The main thread hears a signal and keeps it for when all stands. Where the start waits for what never comes, that is
never, and nobody else looks on yet.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Literal

from darumad.names import Seconds

_HUNG = 75
"""Another start may fare better."""


class LastResort:
    """A thread that ends the process where a start that is told to stop has not come to its end `within` seconds.

    It is begun with this, for a signal's handler may begin none. What it is told goes through a queue, as the guardian
    is told what signals say. Whoever says `stop` twice does not want to wait.
    """

    def __init__(self, within: Seconds, leave: Callable[[], None] | None = None) -> None:
        self._within = within
        self._leave = leave or _leave
        self._told: SimpleQueue[Literal["stop", "over"]] = SimpleQueue()
        threading.Thread(target=self._run, name="last-resort", daemon=True).start()

    def stop(self) -> None:
        """The start is told to stop."""
        self._told.put("stop")

    def over(self) -> None:
        """The start has come to its end: nobody needs this any more."""
        self._told.put("over")

    def _run(self) -> None:
        if self._told.get() == "stop" and self._is_to_leave():
            self._leave()

    def _is_to_leave(self) -> bool:
        try:
            return self._told.get(timeout=self._within) == "stop"
        except Empty:
            return True


def _leave() -> None:
    """Show what the start waits for, and end: the journal stands whatever its writer was at."""
    sys.stderr.write("daruma: it was told to stop, and its start has not come to an end; what each thread waits for:\n")
    sys.stderr.flush()
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(_HUNG)
