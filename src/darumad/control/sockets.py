"""Sockets: where the daemon listens. It binds its own or takes over systemd's; the server is only ever handed them."""

import errno
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from darumad.control.places import LONGEST_PATH
from darumad.errors import Refused, Unavailable, read_only
from darumad.journal.state_directory import open_private
from darumad.lockfiles import LockFile, LockHeld

MODE = 0o660
_BACKLOG = 1024
_FIRST_PASSED = 3  # sd_listen_fds(3): SD_LISTEN_FDS_START


class ControlSocket:
    """A listening Unix socket. Doors serve `dup()`s of it, so that their restart refuses no connection.

    `lock` is held by whoever bound the socket itself, None where systemd did; `group` is a group id.
    """

    def __init__(self, path: Path, listening: socket.socket, lock: LockFile | None, group: int | None = None) -> None:
        self.path = path
        self._listening = listening
        self._lock = lock
        self._group = group
        self._file = _file_at(path)

    @property
    def listening(self) -> socket.socket:
        """The socket itself, as it is bound now."""
        return self._listening

    def dup(self) -> socket.socket:
        """The same listening socket once more, for a door to serve and close."""
        return self._listening.dup()

    @property
    def in_place(self) -> bool:
        """Whether the file that leads here is still the one that was bound. True where none could ever be seen."""
        return self._file is None or _file_at(self.path) == self._file

    def bind_again(self) -> None:
        """Bind and listen anew, under the lock, after somebody took the file away; the doors must be put up again.

        Raises:
            Refused: the socket is systemd's, the place cannot be had any more, or another daemon has it.
        """
        if self._lock is None:
            said = f"{self.path} is gone, and was systemd's: stop its socket unit and the service, and start both"
            raise Refused(said, code="bad_settings")
        held = _lock_again(self.path, self._lock)
        if held != self._lock:
            self._lock.close()
            self._lock = held
        _clear(self.path)
        before, self._listening = self._listening, _bind(self.path, self._group)
        self._file = _file_at(self.path)
        before.close()

    def close(self) -> None:
        """Stop listening. A socket that was bound here is taken away; one of systemd's stays."""
        if self._lock is not None and self.in_place:
            with suppress(FileNotFoundError):
                self.path.unlink()
        self._listening.close()
        if self._lock is not None:
            self._lock.close()


class MetricsSocket:
    """The loopback port of the metrics: it listens from the start, or once whoever has the port has let it go.

    `path` is its address.
    """

    def __init__(self, address: str) -> None:
        """Listens if it can.

        Raises:
            Refused: `bad_settings`: it is no loopback address, or never to be had.
        """
        self.path = address
        self._listening: socket.socket | None = None
        with suppress(Unavailable):
            self.bind_again()

    @property
    def in_place(self) -> bool:
        """Whether it listens."""
        return self._listening is not None

    def dup(self) -> socket.socket | None:
        """The listening socket once more, for a door to serve and close; None where another program has the port."""
        return None if self._listening is None else self._listening.dup()

    def bind_again(self) -> None:
        """Try to listen.

        Raises:
            Unavailable: another program has the port.
        """
        self._listening = open_metrics_socket(self.path)

    def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()


def open_control_socket(path: Path, *, group: int | None = None) -> ControlSocket:
    """Binds and listens at `path`, mode 0660, replacing what a killed daemon left there. `group` is a group id.

    Raises:
        Refused: `bad_settings`: the path cannot hold a socket; `read_only`; `socket_taken`: another daemon has it;
            `left_behind`: what one that is gone started has it.
    """
    _check_length(path)
    lock = _lock(path)
    try:
        _clear(path)
        listening = _bind(path, group)
    except BaseException:
        lock.close()
        raise
    return ControlSocket(path, listening, lock, group)


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
        Refused: `bad_settings`: it is no loopback address, or never to be had.
        Unavailable: another program has it.
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
        said = f"metrics.listen is {address}, and it cannot be had: {error}"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise Unavailable(said) from error
        raise Refused(said, code="bad_settings") from error
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


def _lock(path: Path) -> LockFile:
    """Holds the lock file beside the socket: only a living daemon does, so a socket without one is stale."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = open_private(_lock_of(path), os.O_RDWR)
    except OSError as error:
        raise _not_to_be_had(path, error) from error
    try:
        return LockFile(_lock_of(path), descriptor)
    except LockHeld as held:
        raise Refused(f"another daemon (pid {held.pid}) listens at {path}", code="socket_taken") from None


def _lock_again(path: Path, lock: LockFile) -> LockFile:
    """The lock that others would meet: `lock` itself, or one on a new file where its own was taken away as well."""
    held = os.fstat(lock.fileno())
    return lock if _file_at(_lock_of(path)) == (held.st_dev, held.st_ino) else _lock(path)


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _file_at(path: Path) -> tuple[int, int] | None:
    """What lies at `path`, by device and inode; None when that cannot be seen."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
    if error.errno == errno.EROFS:
        return read_only(path)
    return Refused(f"control.socket is {path}, and it cannot be had: {error}", code="bad_settings")


def _adopt(descriptor: int) -> socket.socket:
    passed = socket.socket(fileno=descriptor)
    passed.set_inheritable(False)
    return passed
