"""The bridge's loop thread.

One asyncio loop, an inbox that is a deque with one wake-up, and a pulse that others can read. A thread that is held up
for ever cannot be killed: it is let go, and another takes its place (see `loops`).
"""

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from types import FrameType
from typing import Any
from weakref import WeakSet

import uvloop

from darumad.bridge.threads import Threads
from darumad.clock import Clock
from darumad.logs import logger
from darumad.names import Seconds
from darumad.values import Value
from darumad.work.ports import Owner

log = logger(__name__)
PULSE = 0.25
"""Seconds between two beats of the loop's pulse."""
TURN = 32
"""How many posted calls one turn of the loop carries out: a burst of new tasks cannot starve the running ones."""
ONE_LOOK = Seconds(0.5)
"""The most that one look tells of how long a callback holds the loop: who looks seldom, or slept, knows no more."""


async def _nothing() -> None:
    return


class Beginner:
    """For whom tasks are begun: one stage's own, first of all, and whatever that begins in its turn."""

    __slots__ = ("_began", "_beside", "owner")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self._began = False
        self._beside: WeakSet[asyncio.Task[Any]] | None = None

    def begin(self, task: "asyncio.Task[Any]") -> None:
        """Take note of one more: it is the stage's own, or there is one beside that now."""
        if self._began:
            self._beside = WeakSet() if self._beside is None else self._beside  # hardly any stage needs one
            self._beside.add(task)
        self._began = True

    def beside(self) -> "list[asyncio.Task[Any]]":
        """The tasks beside the first that have not ended."""
        return [each for each in self._beside or () if not each.done()]


BEGUN_FOR: ContextVar[Beginner | None] = ContextVar("begun_for", default=None)
"""For whom a task is begun."""


class _Owned(asyncio.Task[Any]):
    """A task that another thread can ask for whom it was begun, as it cannot ask its context."""

    begun_for: Beginner | None = None

    @property
    def owner(self) -> Owner | None:
        """Whose it is."""
        return None if self.begun_for is None else self.begun_for.owner


def _owned(loop: asyncio.AbstractEventLoop, work: Any, *, context: Context | None = None, **given: Any) -> _Owned:
    """The factory of tasks."""
    task = _Owned(work, loop=loop, context=context, **given)
    task.begun_for = BEGUN_FOR.get() if context is None else context.get(BEGUN_FOR)
    if task.begun_for is not None:
        task.begun_for.begin(task)
    return task


class LoopThread:
    """Runs one asyncio loop on a daemon thread, from `start` to `stop`. `at_end` is awaited before the loop closes."""

    def __init__(self, clock: Clock, *, name: str = "bridge", at_end: Callable[[], Awaitable[None]] = _nothing) -> None:
        self.clock = clock
        self._at_end = at_end
        self._grip = _Grip()
        self._inbox: deque[Callable[[], None]] = deque()
        self._woken = False
        self._beat_at = clock.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.threads = Threads(name)
        self.loop.set_default_executor(self.threads)
        self.loop.set_task_factory(_owned)

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
        return Seconds(max(0.0, self.clock.monotonic() - self._beat_at - PULSE))

    def held(self) -> Seconds:
        """For how many seconds the same callback has held the loop, as far as those who looked can tell.

        Many short calls in one turn make the pulse late as well: but each look finds another of them.
        """
        if not self.late():
            self._grip = _Grip()
            return Seconds(0.0)
        callback, task = self._callback(), asyncio.current_task(self.loop)
        if self._callback() is not callback:  # it came to an end between the two looks: the task may be another's
            task = None
        self._grip = self._grip.seen(self.clock.monotonic(), self._beat_at, callback, getattr(task, "owner", None))
        return self._grip.held

    def culprit(self) -> "Culprit":
        """Who has held the loop, as far as `held` tells, and where."""
        return Culprit(self._grip.owner, self._grip.held, self._frames())

    def stack(self) -> str:
        """What the loop's thread is doing right now, as a traceback."""
        return "".join(self._frames().format())

    @property
    def alive(self) -> bool:
        """Whether the thread runs, be it only to find that it was let go."""
        return self._thread.is_alive()

    def let_go(self) -> "deque[Callable[[], None]]":
        """Have the loop end as soon as its thread comes back to itself, and wait for nothing.

        Returns what was posted and never carried out: it is the caller's now.
        """
        self._stopping.set()
        left, self._inbox = self._inbox, deque()
        self.loop.call_soon_threadsafe(self.loop.stop)
        return left

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
            self._end_well()
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

    def _end_well(self) -> None:
        try:
            self.loop.run_until_complete(self._at_end())
        except Exception:
            log.exception("loop_ended_badly")

    def _callback(self) -> FrameType | None:
        """The frame of what the loop called last: it stays the same object until that call returns."""
        frame, turn = self._frame(), self._turn.__code__
        while frame is not None and frame.f_back is not None and frame.f_back.f_code is not turn:
            frame = frame.f_back
        return frame

    def _frames(self) -> traceback.StackSummary:
        frame = self._frame()
        return traceback.extract_stack(frame) if frame else traceback.StackSummary()

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the documented way to see a stuck thread

    def _beat(self) -> None:
        self._beat_at = self.clock.monotonic()
        self.loop.call_later(PULSE, self._beat)

    def _drain(self) -> None:
        # The flag falls before the deque is read: a post in between wakes the loop once too often, never once too
        # seldom.
        self._woken = False
        for _ in range(min(len(self._inbox), TURN)):
            if self._stopping.is_set():
                return
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


class Culprit(Value):
    """Who holds the loop, for how many seconds, and in which frames, the deepest last.

    `owner` is that of the task that does; None where it is no task's call, but one that was left behind with the loop.
    """

    owner: Owner | None
    held: Seconds
    frames: traceback.StackSummary


class _Grip(Value):
    """What was found on the loop between two beats of its pulse, and for how many seconds of looking."""

    held: Seconds = Seconds(0.0)
    looked_at: float = 0.0
    beat_at: float = 0.0
    callback: FrameType | None = None
    owner: Owner | None = None

    def seen(self, now: float, beat_at: float, callback: FrameType | None, owner: Owner | None) -> "_Grip":
        """The next look, at `now`, finds this callback, of a task of this owner."""
        same = callback is self.callback and beat_at == self.beat_at
        held = Seconds(self.held + min(now - self.looked_at, ONE_LOOK)) if same else Seconds(0.0)
        return _Grip(held, now, beat_at, callback, owner)
