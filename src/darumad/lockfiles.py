"""Lock files: who uses something alone holds the file beside it locked, and has its pid inside.

The kernel lets go of a lock with the last descriptor of it, so a file that a killed process left is no obstacle.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from darumad.errors import Refused

_LONGEST = 32
"""Bytes that are read of what should be a pid."""


class LockHeld(Exception):  # noqa: N818 - it reads as what is found
    """Another process holds the lock: the living one whose `pid` is inside, `unknown` where none is."""

    def __init__(self, pid: str) -> None:
        super().__init__(pid)
        self.pid = pid


class LockFile:
    """A lock, held until it is closed or the process is gone."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take the lock of the file at `path`, open at `descriptor`, which is closed where it cannot be had.

        Raises:
            LockHeld: another process has it.
            Refused: `left_behind`: who took it is gone, and another process still has it.
        """
        self._descriptor = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise _held_by(pid, path) from None
        with suppress(OSError):  # on a full disk the lock holds without a pid
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        _HELD.add(self)

    def fileno(self) -> int:
        """The descriptor that holds it."""
        return self._descriptor

    def close(self) -> None:
        """Let another have it. Safe to call twice."""
        if self in _HELD:
            _HELD.remove(self)
            os.close(self._descriptor)


_HELD: WeakSet[LockFile] = WeakSet()


def held() -> tuple[int, ...]:
    """The descriptors of the locks that this process holds."""
    return tuple(each.fileno() for each in _HELD)


def _held_by(pid: str, path: Path) -> LockHeld | Refused:
    if not pid.isdecimal() or Path("/proc", pid).exists():
        return LockHeld(pid)
    said = f"{path} is locked, and the daemon that locked it (pid {pid}) is gone"
    return Refused(f"{said}: a process that it started has it still", code="left_behind")
