"""An answer to come, to an ask or to a call of the supervisor's API."""

import asyncio
import queue
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from darumad.supervision.errors import Timeout, WouldDeadlock
from darumad.supervision.latch import Latch
from darumad.supervision.life import Life
from darumad.supervision.pykka_door import Future, OptExcInfo
from darumad.supervision.waits import announce, await_answer, would_deadlock


class Reply(Future[Any]):
    """Pykka's future on two locks, where Pykka's own makes a condition for each ask.

    Waiting for it where it cannot come raises instead, and awaiting it does not block the loop.
    """

    def __init__(self, asked: Life | None = None) -> None:
        super().__init__()
        self._asked = asked
        self._settling = threading.Lock()
        self._settled = Latch()
        self._outcome: tuple[Any, OptExcInfo | None] | None = None
        self._listeners: list[Callable[[], object]] = []

    def get(self, *, timeout: float | None = None) -> Any:
        """The answer.

        Raises:
            WouldDeadlock: it cannot come while this thread waits.
            Timeout: it did not come within `timeout` seconds.
        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if self._outcome is None:
            self._wait(timeout)
        assert self._outcome is not None
        value, exc_info = self._outcome
        if exc_info is None:
            return value
        kind, error, traceback = exc_info
        assert kind is not None
        raise (kind() if error is None else error).with_traceback(traceback)

    def set(self, value: Any = None) -> None:
        """Answer.

        Raises:
            queue.Full: it is answered.
        """
        self._settle((value, None))

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Answer with an exception; with the one being handled, if none is given.

        Raises:
            queue.Full: it is answered.
        """
        self._settle((None, exc_info or sys.exc_info()))

    def announce(self) -> None:
        """Say that this thread is going to wait for it without a limit."""
        if self._asked is not None:
            announce(self._asked, self._settled, self)

    def refuse(self, error: BaseException) -> None:
        """Answer with `error`; harmless if it is answered."""
        with suppress(queue.Full):
            self.set_exception((type(error), error, error.__traceback__))

    @property
    def settled(self) -> bool:
        """Whether it is answered."""
        return self._settled.is_open

    def __await__(self) -> Generator[Any, None, Any]:
        """The answer, without blocking the loop: Pykka's own future would."""
        loop = asyncio.get_running_loop()
        if self._get_hook is not None:
            return (yield from loop.run_in_executor(None, self.get).__await__())
        arrived = asyncio.Event()
        self._when_settled(lambda: loop.call_soon_threadsafe(arrived.set))
        yield from arrived.wait().__await__()
        return self.get(timeout=0)

    def _wait(self, timeout: float | None) -> None:
        if self._asked is not None and would_deadlock(self._asked):
            raise WouldDeadlock(f"{self._asked.path or 'actor'} is waiting for this thread")
        if self._asked is not None and timeout is None:
            await_answer(self._asked, self._settled, self)
        elif not self._settled.wait(timeout):
            raise Timeout(f"{timeout} seconds")

    def _settle(self, outcome: tuple[Any, OptExcInfo | None]) -> None:
        with self._settling:
            if self._outcome is not None or self._get_hook is not None:
                raise queue.Full
            self._outcome = outcome
            listeners = self._listeners
        self._settled.open()
        for listener in listeners:
            with suppress(RuntimeError):  # its loop is closed
                listener()

    def _when_settled(self, listener: Callable[[], object]) -> None:
        with self._settling:
            if self._outcome is None:
                self._listeners.append(listener)
                return
        listener()
