"""Which cores threads run on, the only door to it. It knows the kernel's scheduler and nothing of who asks.

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
_PROCESSOR = 36
"""Where /proc's stat has the core, counted behind the command's name."""


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


def _here() -> int:
    return int(Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()[_PROCESSOR])


def _move(cores: Collection[int]) -> None:
    with suppress(OSError):  # a sandbox forbids it, or the core is gone: where threads run is no reason to fail
        os.sched_setaffinity(0, cores)  # noqa: TID251 - the one door
