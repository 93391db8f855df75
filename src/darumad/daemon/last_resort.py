"""The last resort of a start: told to stop, the process ends, whatever it waits for.

The main thread hears a signal between two of its steps, and keeps it for when all stands. Where the start waits for
what never comes, that is never, and nobody else looks on yet.
"""

import faulthandler
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from darumad.names import Seconds

_HUNG = 75
"""Another start may fare better."""
_OVER = 0
"""No signal has this number."""
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})


class LastResort:
    """A thread that ends the process where a start that is told to stop has not come to its end `within` seconds.

    It is begun with this, for a signal's handler may begin none, and hears the numbers of signals as the interpreter's
    own handler writes them to `descriptor`, on whichever thread that is. Whoever says stop twice does not want to wait.
    """

    def __init__(self, within: Seconds, leave: Callable[[], None] | None = None) -> None:
        self._within = within
        self._leave = leave or _leave
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._thread = threading.Thread(target=self._run, name="last-resort", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.over()
        self._thread.join()
        self._ear.close()
        self._mouth.close()

    @property
    def descriptor(self) -> int:
        """For `signal.set_wakeup_fd`."""
        return self._mouth.fileno()

    def over(self) -> None:
        """The start has come to its end: nobody needs this any more."""
        if self._thread.is_alive():  # else nobody reads any more, and what signals have written since may fill it
            self._mouth.send(bytes([_OVER]))

    def _run(self) -> None:
        if self._is_to_stop(None) and self._is_to_stop(self._within):
            self._leave()

    def _is_to_stop(self, within: float | None) -> bool:
        """Whether a signal says so, or for `within` seconds nothing says that the start is over."""
        self._ear.settimeout(within)
        try:
            while (number := self._ear.recv(1)[0]) != _OVER:
                if number in _STOPS:
                    return True
        except TimeoutError:
            return True
        return False


def _leave() -> None:
    """Show what the start waits for, and end: the journal stands whatever its writer was at."""
    sys.stderr.write("daruma: it was told to stop, and its start has not come to an end; what each thread waits for:\n")
    sys.stderr.flush()
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(_HUNG)
