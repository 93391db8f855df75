"""The loops that agents run on, one after the other: whoever holds this holds a place, not a life.

A loop whose thread is held up for ever is let go and another takes its place. Its connections are shut down at once;
its thread ends when it comes back to itself, closing what is its own, and counts as abandoned until then.
"""

import threading
from collections.abc import Awaitable, Callable

from darumad.bridge.connections import hang_up
from darumad.bridge.loop import LoopThread
from darumad.clock import Clock
from darumad.logs import logger
from darumad.names import Seconds

log = logger(__name__)


class Loops:
    """The loop that turns now, from `start` to `stop`, and those before it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at_end: list[Callable[[], Awaitable[None]]] = []
        self._let_go: list[LoopThread] = []
        self.now = self._another()

    def start(self) -> None:
        """Begin; from here on `post` is carried out."""
        self.now.start()

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have `close` awaited on each loop that ends, last of all: it closes what belongs to the running loop."""
        self._at_end.append(close)

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` run on the loop, in the order posted. From any thread; never waits.

        What a loop has not come to when it is replaced, the next one carries out.
        """
        with self._lock:
            self.now.post(call)

    def aside(self, work: Callable[[], object], failed: Callable[[BaseException], None]) -> None:
        """Have `work`, which may wait for a disk, run beside the loop; `failed` hears what it raises."""
        with self._lock:
            self.now.aside(work, failed)

    def replace(self) -> LoopThread:
        """Let the loop go and begin another, which carries out what the old one has not come to."""
        with self._lock:
            old, self.now = self.now, self._another()
            self.now.start()
            for call in old.let_go():
                self.now.post(call)
            hang_up(old.loop)
            self._let_go = [each for each in (*self._let_go, old) if each.alive or each.threads.forsaken]
            return self.now

    @property
    def abandoned(self) -> int:
        """How many threads of loops that were let go have not come back to themselves."""
        return sum(each.alive for each in self._let_go)

    @property
    def forsaken(self) -> int:
        """How many threads beside these loops run on with nobody to wait for them."""
        return sum(each.threads.forsaken for each in (*self._let_go, self.now))

    def stop(self, within: Seconds) -> bool:
        """Cancel what still runs, close the loop; False when it did not end within `within` seconds."""
        ended = self.now.stop(within)
        if not ended:
            log.warning("loop_not_ended", within=within)
        return ended

    def _another(self) -> LoopThread:
        return LoopThread(self._clock, at_end=self._close)

    async def _close(self) -> None:
        for close in self._at_end:
            await close()
