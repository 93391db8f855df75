"""Which cores threads run on and how much of them they took, the only door to it. It knows nothing of who asks.

One interpreter computes on one core at a time. Threads that take turns at it from several cores hand it over through
the kernel each time one of them writes, waits or asks SQLite something, and find their caches cold: an item's walk
costs a sixth more CPU, and two thirds more beside a thread that only computes. So the process keeps to one
core, and what computes outside of the interpreter leaves it.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GIVEN = frozenset(os.sched_getaffinity(0))
"""Where the process was allowed to run when it began, by its service manager or whoever started it."""
_USER, _SYSTEM, _PROCESSOR = 11, 12, 36
"""Where /proc's stat has the ticks that were spent and the core, counted behind the command's name."""
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@contextmanager
def one_core() -> Iterator[int]:
    """Keep this thread, and every thread that it starts, to the core that the kernel has put it on; gives that core.

    A kernel that does not allow it changes nothing, and all runs as well, only dearer.
    """
    before, core = os.sched_getaffinity(0), _here()
    _move({core})
    try:
        yield core
    finally:
        _move(before)


@contextmanager
def any_core() -> Iterator[None]:
    """Let this thread run wherever the process could at its start: for a child to inherit.

    Afterwards it is where the main thread is, not where it was: two coroutines of one thread may be in here at once.
    """
    leave()
    try:
        yield
    finally:
        _move(os.sched_getaffinity(os.getpid()))


def leave() -> None:
    """Let this thread run wherever the process could at its start, from now on."""
    _move(_GIVEN)


def cpu_of_process() -> float:
    """Seconds of CPU that this process took since its start, to a hundredth."""
    return _spent("self")


def cpu_of_thread(native_id: int) -> float:
    """The same of one of its threads, by the kernel's number for it; 0 for one that has ended."""
    try:
        return _spent(f"self/task/{native_id}")
    except OSError:
        return 0.0


def _spent(of: str) -> float:
    fields = _stat(of)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK


def _here() -> int:
    return int(_stat("thread-self")[_PROCESSOR])


def _stat(of: str) -> list[str]:
    return Path("/proc", of, "stat").read_text().rpartition(")")[2].split()


def _move(cores: Collection[int]) -> None:
    with suppress(OSError):  # a sandbox forbids it, or the core is gone: where threads run is no reason to fail
        os.sched_setaffinity(0, cores)  # noqa: TID251 - the one door
