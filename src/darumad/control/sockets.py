"""Sockets: where the daemon listens. It binds its own or takes over systemd's; the server is only ever handed them."""

import fcntl
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from darumad.control.places import LONGEST_PATH
from darumad.errors import Refused

MODE = 0o660
_BACKLOG = 1024
_FIRST_PASSED = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START


@dataclass(frozen=True, slots=True)
class ControlSocket:
    """A listening Unix socket. Doors serve `dup()`s of it, so that their restart refuses no connection."""

    path: Path
    listening: socket.socket
    lock: int | None

    def dup(self) -> socket.socket:
        """The same listening socket once more, for a door to serve and close."""
        return self.listening.dup()

    def close(self) -> None:
        """Stop listening. A socket that was bound here is taken away; one of systemd's stays."""
        if self.lock is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()
        self.listening.close()
        if self.lock is not None:
            os.close(self.lock)


def open_control_socket(path: Path, *, group: int | None = None) -> ControlSocket:
    """Binds and listens at `path`, mode 0660, replacing what a killed daemon left there. `group` is a group id.

    Raises:
        Refused: `bad_settings`: the path cannot hold a socket; `socket_taken`: another daemon has it.
    """
    _check_length(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = _lock(path)
    except OSError as error:
        raise _not_to_be_had(path, error) from error
    try:
        _clear(path)
        listening = _bind(path, group)
    except BaseException:
        os.close(lock)
        raise
    return ControlSocket(path, listening, lock)


def adopted(environ: Mapping[str, str], pid: int) -> Mapping[str, socket.socket]:
    """The listening sockets that systemd passed to this process (LISTEN_FDS), by the names it gave them.

    Empty unless they are meant for `pid`: a child of the daemon inherits the variables but not the sockets.
    """
    if environ.get("LISTEN_PID") != str(pid) or not environ.get("LISTEN_FDS", "").isdecimal():
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    count = int(environ["LISTEN_FDS"])
    names += ["unknown"] * (count - len(names))
    return {names[index]: _adopt(_FIRST_PASSED + index) for index in range(count)}


def take_over(listening: socket.socket) -> ControlSocket:
    """A control socket that systemd listens on: its file and its mode are the socket unit's."""
    return ControlSocket(Path(listening.getsockname()), listening, None)


def open_metrics_socket(address: str) -> socket.socket:
    """Listens on `127.0.0.1:9464` or `[::1]:9464`; port 0 takes a free one.

    Raises:
        Refused: `bad_settings`: it is no loopback address, or not free.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if host not in {"127.0.0.1", "::1", "localhost"} or not port.isdecimal():
        raise Refused(f"metrics.listen is {address}: give a loopback address and a port", code="bad_settings")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, int(port)))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise Refused(f"metrics.listen is {address}, and it cannot be had: {error}", code="bad_settings") from error
    return listening


def _check_length(path: Path) -> None:
    if not path.name:
        raise Refused(f"control.socket is {path}: give the path of a file", code="bad_settings")
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise Refused(
            f"control.socket is {length} bytes long, and a socket's path has at most {LONGEST_PATH}: {path}",
            code="bad_settings",
        )


def _lock(path: Path) -> int:
    """Holds the lock file beside the socket: only a living daemon does, so a socket without one is stale."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Refused(f"another daemon listens at {path}", code="socket_taken") from None
    return lock


def _clear(path: Path) -> None:
    """Takes a stale socket away, and nothing but a socket."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Refused(f"control.socket is {path}, and something else is there", code="bad_settings")
        path.unlink()


def _bind(path: Path, group: int | None) -> socket.socket:
    """Listens only when owner and mode are right: nobody gets in before."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        path.chmod(MODE)
        if group is not None:
            os.chown(path, -1, group)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _not_to_be_had(path, error) from error
    return listening


def _not_to_be_had(path: Path, error: OSError) -> Refused:
    return Refused(f"control.socket is {path}, and it cannot be had: {error}", code="bad_settings")


def _adopt(descriptor: int) -> socket.socket:
    passed = socket.socket(fileno=descriptor)
    passed.set_inheritable(False)
    return passed
