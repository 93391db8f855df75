"""Forks: a child that a template forks off the daemon, as `multiprocessing` does, ends with it and keeps nothing of it.

With the daemon's locks it would keep the next daemon out; with its sockets, callers would wait for a daemon that is
gone, and a model call that was cancelled would go on. Such descriptors are not closed: a free number is soon another
file's, and whoever had it would close that. /dev/null takes their place.

The journal's files stay. SQLite's locks are a process's own, and guard it against its copy in the child; a copy that
found /dev/null in their place would take itself for the last one, and remove the log by its name.

What another program is begun by, as `subprocess` does, does not come here: no descriptor of these outlives that.
"""

import fcntl
import functools
import os
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path

from darumad import cores, lockfiles


def part_with_children() -> None:
    """Have each child that is forked from now on leave behind what is the daemon's alone, and end when that is gone."""
    os.register_at_fork(after_in_child=functools.partial(_part, _Lifeline()))


class _Lifeline:
    """A pipe whose one end only the daemon has: it closes with the daemon, however that ends.

    A child has the kernel end it then: no thread of its own would come to that in one that computes without pause.
    """

    def __init__(self) -> None:
        self._ours, self._daemons = os.pipe()

    def hold_on(self, nothing: int) -> None:
        """End this process, which was forked, when the daemon has ended. `nothing` is open on /dev/null."""
        os.dup2(nothing, self._daemons, inheritable=False)
        # A signal is asked for by whoever opened a file, so each child opens the pipe anew.
        own = os.open(f"/proc/self/fd/{self._ours}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        with suppress(BlockingIOError):  # there is nothing to be read while the daemon lives
            os.read(own, 1)
            os.kill(os.getpid(), signal.SIGKILL)


def _part(lifeline: _Lifeline) -> None:
    cores.leave()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the daemon's handlers ask a guardian that is not here
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wakeup = signal.set_wakeup_fd(-1)  # what this process is told is nothing to the daemon
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if wakeup >= 0:
        os.dup2(nothing, wakeup, inheritable=False)
    for each in (*lockfiles.held(), *filter(_is_addressed_socket, _descriptors())):
        os.dup2(nothing, each, inheritable=False)
    lifeline.hold_on(nothing)
    os.close(nothing)


def _descriptors() -> list[int]:
    return [int(each.name) for each in Path("/proc/self/fd").iterdir()]


def _is_addressed_socket(descriptor: int) -> bool:
    """Whether it listens, was accepted or goes out: the pairs by which processes talk to children have no address."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
    except OSError:  # it was the listing's own
        return False
    with socket.socket(fileno=os.dup(descriptor)) as found:
        return bool(found.getsockname())
