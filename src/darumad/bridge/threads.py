"""The threads beside the agents' loop: what agents and the house hand over with `asyncio.to_thread` runs here.

A thread cannot be cancelled: one whose caller was cancelled runs on, forsaken. There are enough of them that those who
never come back starve nobody; they are counted, and too many are a reason to replace the process.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from darumad.cores import leave
from darumad.stacks import WHOLE, stacks_of

P = ParamSpec("P")
T = TypeVar("T")

MOST = 256
"""Threads at most; a new one is begun only when none is free."""
TOO_MANY = MOST // 4
"""So many forsaken threads are too many: the machine may be slow with a few, but these do not come back."""


class _Call(Future[T]):
    """One call; knows whether it was given up while it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.forsaken = False

    def cancel(self) -> bool:
        """As `Future.cancel`; a call that runs cannot be cancelled and is forsaken."""
        cancelled = super().cancel()
        self.forsaken = not cancelled and self.running()
        return cancelled


class Threads(ThreadPoolExecutor):
    """A loop's default executor that knows which of its threads nobody waits for any more."""

    def __init__(self, name: str) -> None:
        super().__init__(MOST, thread_name_prefix=name, initializer=leave)
        self._calls: set[_Call[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `Executor.submit`."""
        call: _Call[T] = _Call()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        with stacks_of(WHOLE):
            super().submit(_carry_out, call, lambda: fn(*args, **kwargs))
        return call

    @property
    def forsaken(self) -> int:
        """How many threads run on though their caller was cancelled; from any thread."""
        return sum(call.forsaken for call in self._calls.copy())


def _carry_out(call: _Call[T], work: Callable[[], T]) -> None:
    if not call.set_running_or_notify_cancel():
        return
    try:
        call.set_result(work())
    except StopIteration as error:  # no future of asyncio's takes it: who waits would wait for ever
        call.set_exception(RuntimeError(f"it raised StopIteration: {error}"))
    except BaseException as error:  # noqa: BLE001 - it is for whoever waits for the call
        call.set_exception(error)
