"""Forks: what a child that a template forks off the daemon, as `multiprocessing` does, must not keep of it.

With the daemon's locks it would keep the next daemon out; with its sockets, callers would wait for a daemon that is
gone, and a model call that was cancelled would go on. Such descriptors are not closed: a free number is soon another
file's, and whoever had it would close that. /dev/null takes their place.

The journal's files stay. SQLite's locks are a process's own, and guard it against its copy in the child; a copy that
found /dev/null in their place would take itself for the last one, and remove the log by its name.
"""

import os
import signal
import socket
import stat
from pathlib import Path

from darumad import cores, lockfiles


def part_with_children() -> None:
    """Have each child that is forked from now on leave behind what is the daemon's alone."""
    os.register_at_fork(after_in_child=_part)


def _part() -> None:
    cores.leave()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the daemon's handlers ask a guardian that is not here
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for each in (*lockfiles.held(), *filter(_is_addressed_socket, _descriptors())):
        os.dup2(nothing, each, inheritable=False)
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
