"""A lock is one process's alone, and says of who holds it only what is so."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from darumad.errors import Refused
from darumad.lockfiles import LockFile, LockHeld, held


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def gone() -> int:
    """The pid of a process that has ended."""
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


def test_a_lock_that_is_held_names_who_holds_it_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = LockFile(path, opened(path))
    assert lock.fileno() in held()
    with pytest.raises(LockHeld) as refused:
        LockFile(path, opened(path))
    assert refused.value.pid == str(os.getpid())
    lock.close()
    lock.close()
    assert lock.fileno() not in held()
    LockFile(path, opened(path)).close()


@pytest.mark.parametrize(("inside", "said"), [(b"", "unknown"), (b"\xff\n", "\ufffd")])
def test_a_lock_without_a_pid_is_held_by_somebody(tmp_path: Path, inside: bytes, said: str) -> None:
    path = tmp_path / "lock"
    path.write_bytes(inside)
    fcntl.flock(holder := opened(path), fcntl.LOCK_EX)
    with pytest.raises(LockHeld) as refused:
        LockFile(path, opened(path))
    assert refused.value.pid == said
    os.close(holder)


def test_nobody_is_told_to_stop_a_daemon_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(f"{(pid := gone())}\n")
    fcntl.flock(holder := opened(path), fcntl.LOCK_EX)
    with pytest.raises(Refused, match=rf"^{path} is locked, and .* \(pid {pid}\) is gone") as told:
        LockFile(path, opened(path))
    assert told.value.code == "left_behind"
    os.close(holder)
