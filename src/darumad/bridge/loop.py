"""The bridge's loop thread.

One asyncio loop, an inbox that is a deque with one wake-up, and a pulse that others can read.
"""

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable

import uvloop

from darumad.bridge.threads import Threads
from darumad.clock import Clock
from darumad.logs import logger
from darumad.names import Seconds

log = logger(__name__)
PULSE = 0.25
"""Seconds between two beats of the loop's pulse."""
TURN = 32
"""How many posted calls one turn of the loop carries out: a burst of new tasks cannot starve the running ones."""


class LoopThread:
    """Runs one asyncio loop on a daemon thread, from `start` to `stop`."""

    def __init__(self, clock: Clock, *, name: str = "bridge") -> None:
        self._clock = clock
        self._inbox: deque[Callable[[], None]] = deque()
        self._woken = False
        self._beat_at = clock.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.threads = Threads(name)
        self.loop.set_default_executor(self.threads)

    def start(self) -> None:
        """Begin; from here on `post` is carried out."""
        self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` run on the loop, in the order posted. From any thread; never waits."""
        self._inbox.append(call)
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._drain)

    def aside(self, work: Callable[[], object], failed: Callable[[BaseException], None]) -> None:
        """Have `work`, which may wait for a disk, run beside the loop; `failed` hears what it raises."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - nobody waits for it, so nobody else would hear of it
                failed(error)

        def begin() -> None:
            self.loop.run_in_executor(None, guarded)

        self.post(begin)

    def late(self) -> Seconds:
        """How many seconds the pulse is overdue; 0 while the loop turns freely."""
        return Seconds(max(0.0, self._clock.monotonic() - self._beat_at - PULSE))

    def stack(self) -> str:
        """What the loop's thread is doing right now, as a traceback."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the documented way to see a stuck thread
        return "".join(traceback.format_stack(frame)) if frame else ""

    def stop(self, within: Seconds) -> bool:
        """Cancel what still runs, close the loop; False when it did not end within `within` seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self._beat()
        try:
            self._turn()
        finally:
            self._cancel_all()
            self.loop.close()

    def _turn(self) -> None:
        """Until `stop`: what a template throws at the loop, or its own word to stop it, ends it for nobody."""
        while not self._stopping.is_set():
            try:
                self.loop.run_forever()
            except BaseException:
                log.exception("loop_disturbed")

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    def _beat(self) -> None:
        self._beat_at = self._clock.monotonic()
        self.loop.call_later(PULSE, self._beat)

    def _drain(self) -> None:
        # The flag falls before the deque is read: a post in between wakes the loop once too often, never once too
        # seldom.
        self._woken = False
        for _ in range(min(len(self._inbox), TURN)):
            self._carry_out(self._inbox.popleft())
        if self._inbox and not self._woken:
            self._woken = True
            self.loop.call_soon(self._drain)

    @staticmethod
    def _carry_out(call: Callable[[], None]) -> None:
        """What one call raises is that call's: those posted behind it are carried out all the same."""
        try:
            call()
        except Exception:
            log.exception("posted_call_failed")
