"""The state directory: whose it is, that one daemon alone uses it, and that its database is ours.

Nothing here changes a row.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from darumad.errors import DarumaError, Refused, Unavailable, read_only
from darumad.journal.database import NEEDS, VERSION, VERSION_TEXT, Database, DatabaseError, is_damaged
from darumad.journal.sql import SQL
from darumad.lockfiles import LockFile, LockHeld
from darumad.rights import told, user
from darumad.values import Value

LEAST = 1 << 20
"""Bytes that a boot may need: for its rows, and for the log that it begins."""
APPLICATION_ID = 0x44617275
"""`Daru`, in the database's header."""
SCHEMA_VERSION = 10
_PRIVATE_DIRECTORY = 0o700
_SHARED_DIRECTORY = 0o777
"""As the umask leaves it: what lies above a state directory is not ours to close."""
_PRIVATE_FILE = 0o600
_FOREIGN_BITS = 0o077
_FILE_RIGHTS = os.R_OK | os.W_OK
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs"})


class StateDirectory(Value):
    """Where everything of one daemon lies, its journal first of all."""

    path: Path

    @property
    def database(self) -> Path:
        """The database; its `-wal` and `-shm` lie beside it."""
        return self.path / "journal.db"

    @property
    def lock(self) -> Path:
        """Locked while a daemon lives here; its pid is inside."""
        return self.path / "journal.lock"

    @property
    def marker(self) -> Path:
        """Says that a database was made here, and which: an empty file in its place is a loss, not a beginning."""
        return self.path / "INITIALISED"

    @property
    def database_files(self) -> tuple[Path, ...]:
        """The database, and what SQLite keeps beside it while somebody writes."""
        return (self.database, *(self.database.with_name(f"{self.database.name}{end}") for end in ("-wal", "-shm")))


def prepare(state: StateDirectory) -> None:
    """Makes the directory, and keeps it to its owner.

    Raises:
        Refused: `bad_place`: the directory or the lock in it cannot be used; `bad_journal`: SQLite is too old, or the
            directory lies on a network filesystem; `read_only`.
    """
    if VERSION < NEEDS:
        wanted = ".".join(map(str, NEEDS))
        raise _bad(f"this Python has SQLite {VERSION_TEXT}; {wanted} or newer is needed. Use another Python.")
    try:
        _make_directory(state.path, _PRIVATE_DIRECTORY)
        if is_read_only(state.path):
            raise read_only(state.path)
        if stat.S_IMODE(state.path.stat().st_mode) & _FOREIGN_BITS:
            state.path.chmod(_PRIVATE_DIRECTORY)
    except OSError as error:
        if error.errno == errno.EROFS:
            raise read_only(state.path) from error
        said = f"the state directory {state.path} cannot be used: {error.strerror}"
        raise Refused(said, code="bad_place") from error
    check_access(state, state.lock)
    kind = _filesystem(state.path)
    if kind in _REMOTE:
        raise _bad(f"{state.path} is on {kind}, where locks and syncs do not hold. Use a local disk.")


def check_access(state: StateDirectory, *files: Path) -> None:
    """That who runs this may read and write the directory and `files` in it, as far as they are there.

    On a read-only disk nobody may, and that is told in other words.

    Raises:
        Refused: `bad_place`: the first of them that is closed, whose it is and its mode.
    """
    if os.access(state.path, os.F_OK) and is_read_only(state.path):
        return
    _check_rights(state.path, _FILE_RIGHTS | os.X_OK)
    for each in files:
        _check_rights(each, _FILE_RIGHTS)
        if each.is_dir():
            raise Refused(f"{each} is a directory and no file; move it away", code="bad_place")


def _check_rights(path: Path, rights: int) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{path} cannot be looked at: {error.strerror}", code="bad_place") from error
    if not os.access(path, rights):
        raise Refused(told(path, found), code="bad_place")


def check_owner(state: StateDirectory) -> None:
    """That all which a daemon must open belongs to whom the directory belongs to: root may open it in any case.

    Raises:
        Refused: `bad_place`: the first file that is somebody else's.
    """
    owner = state.path.stat().st_uid
    for each in (state.lock, state.marker, *state.database_files):
        if each.exists() and (found := each.stat().st_uid) != owner:
            said = f"{each} belongs to {user(found)}, and {state.path} to {user(owner)}"
            raise Refused(said, code="bad_place")


def check_own(state: StateDirectory) -> None:
    """That the directory belongs to who runs this: a daemon of root's would leave files that its owner cannot open.

    Raises:
        Refused: `bad_place`: it is somebody else's.
    """
    owner = state.path.stat().st_uid
    if owner != os.geteuid():
        said = f"{state.path} belongs to {user(owner)}, and this runs as {user(os.geteuid())}"
        raise Refused(said, code="bad_place")


def take_lock(state: StateDirectory) -> LockFile:
    """The lock of the one daemon of a directory.

    Raises:
        Refused: `already_running`, with the other's pid; `left_behind`.
    """
    try:
        return LockFile(state.lock, open_private(state.lock, os.O_RDWR))
    except LockHeld as held:
        said = f"another daemon (pid {held.pid}) uses {state.path}. {_to_stop(held.pid)}"
        raise Refused(said, code="already_running") from None


def _to_stop(pid: str) -> str:
    """How the daemon with that number is stopped: one of systemd's has a socket too, which would start it again."""
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").strip()
    except OSError:
        group = ""
    if not group.endswith("/darumad.service"):
        return "Stop it, or name another state directory."
    if "/user@" in group:
        return "Stop it: `systemctl --user stop darumad.service`."
    stop = "`systemctl stop darumad.socket darumad.service`"
    return f"Stop it, and its socket, which starts it again for whoever calls: {stop}."


def open_database(state: StateDirectory) -> tuple[Database, bool]:
    """The writer's connection, and whether the database is new and has no tables yet.

    Raises:
        Refused: `bad_journal`: it is lost, not ours, newer than this program, or no database at all; `bad_place`: it
            is for somebody else to open.
    """
    check_access(state, state.marker, *state.database_files)
    present = _is_there(state)
    try:
        if present:
            with closing(_to_look(state)) as database:
                check_ours(state, database)
        make_private(state.database)
        database = Database.writer(state.database)
    except DatabaseError as error:
        raise unreadable(state, error) from error
    try:
        return database, _is_new(state, database)
    except BaseException:
        database.close()
        raise


def examine(state: StateDirectory) -> None:
    """Whether a daemon could begin on what lies here, for whoever only wants to know.

    Raises:
        Refused: `bad_journal` and `bad_place`: as `open_database` and `check_identity`; `read_only`.
        Unavailable: `disk_full`.
    """
    check_access(state, state.lock, state.marker, *state.database_files)
    if not _is_there(state):
        return
    try:
        with closing(_to_look(state)) as database:
            if not _is_new(state, database) and state.marker.exists():
                check_identity(state, database.value(SQL["identity"]))
    except DatabaseError as error:
        raise unreadable(state, error) from error


@contextmanager
def ours(state: StateDirectory, opened: Callable[[Path], Database]) -> Iterator[Database]:
    """The database in `state`, as `opened` opens it, for whoever only reads it; it is closed behind them.

    Raises:
        Refused: `bad_journal`: it cannot be opened, or is another program's; `read_only`: it cannot be opened there.
        Unavailable: `disk_full`: not even what SQLite needs beside it can be made.
    """
    with ExitStack() as stack:
        try:
            database = stack.enter_context(closing(opened(state.database)))
            check_ours(state, database)
        except DatabaseError as error:
            raise unreadable(state, error) from error
        yield database


def check_ours(state: StateDirectory, database: Database) -> None:
    """That the database is none of another program's.

    One without tables may be our own: a first start that was killed.

    Raises:
        Refused: `bad_journal`: it is another program's.
        DatabaseError: it cannot be read.
    """
    ours = database.value("PRAGMA application_id") == APPLICATION_ID
    if not ours and database.value("SELECT count(*) FROM sqlite_schema"):
        raise _bad(f"{state.database} belongs to another program. Move it away, or name another state directory.")


def check_identity(state: StateDirectory, identity: str) -> None:
    """That the database is the one that the marker speaks of; a database without a marker gets its own.

    Raises:
        Refused: `bad_journal`: it is another one.
    """
    if not state.marker.exists():
        write_marker(state, identity)
    elif state.marker.read_text(encoding="utf-8").strip() != identity:
        said = f"{state.database} is not the journal that was made here ({state.marker} names another)."
        raise _bad(f"{said} Put the right one back; to go on with this one, remove {state.marker}.")


def free_on(directory: Path) -> int:
    """Bytes that are left on the disk of `directory` for whoever asks."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def is_read_only(directory: Path) -> bool:
    """Whether the file system of `directory` takes nothing at all, whoever asks."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def unreadable(state: StateDirectory, error: DatabaseError) -> DarumaError:
    """Why the database cannot be read.

    On a disk that is full or read-only not even what SQLite needs beside the file can be made.
    """
    if is_read_only(state.path) and not is_damaged(error):
        return read_only(state.path)
    if free_on(state.path) < LEAST:
        return Unavailable(f"the disk of {state.path} is full", code="disk_full")
    said = f"{state.database} cannot be read: {error}"
    return _bad(f"{said}. Restore it from a backup." if is_damaged(error) else said)


def file_at(path: Path) -> tuple[int, int] | None:
    """Which file lies at `path`, by its device and its number there; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_there(state: StateDirectory) -> bool:
    """Whether there is anything in the database's file.

    Raises:
        Refused: `bad_journal`: there is not, though a journal was made here.
    """
    size = state.database.stat().st_size if state.database.exists() else 0
    if state.marker.exists() and size == 0:
        lost = "is missing" if not state.database.exists() else "is empty"
        said = f"{state.database} {lost}, but a journal was made here. Restore it from a backup; to begin anew, remove"
        raise _bad(f"{said} {state.marker}.")
    return size > 0


def _to_look(state: StateDirectory) -> Database:
    """To see whose it is, before a connection that writes: its first pragma would change the header of a foreign file.

    A power cut in the first start leaves a rollback journal: only who may write can read the file, by undoing that.
    """
    undone = state.database.with_name(f"{state.database.name}-journal").exists()
    return Database.copier(state.database) if undone else Database.reader(state.database)


def _is_new(state: StateDirectory, database: Database) -> bool:
    try:
        application, version, tables = (
            database.value("PRAGMA application_id"),
            database.value("PRAGMA user_version"),
            database.value("SELECT count(*) FROM sqlite_schema"),
        )
    except DatabaseError as error:
        raise unreadable(state, error) from error
    if application == 0 and version == 0 and tables == 0:
        return True
    check_ours(state, database)
    if version > SCHEMA_VERSION or version < 1:
        said = f"{state.database} is of version {version}; this program knows version {SCHEMA_VERSION}."
        raise _bad(f"{said} Install the daemon that wrote it, or a newer one.")
    return False


def _make_directory(directory: Path, mode: int) -> None:
    """With whatever is missing above it; each name is on disk before anything is put below it."""
    if directory.is_dir():
        return
    _make_directory(directory.parent, _SHARED_DIRECTORY)
    directory.mkdir(mode=mode, exist_ok=True)
    sync_directory(directory.parent)


def make_private(path: Path) -> None:
    """Creates the file closed to others, before SQLite would create it open; tightens one that is."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE))
    elif stat.S_IMODE(path.stat().st_mode) & _FOREIGN_BITS:
        path.chmod(_PRIVATE_FILE)


def open_private(path: Path, flags: int) -> int:
    """The descriptor of a file of the daemon's, made closed to others where it is not there.

    Where root is at work it belongs to whom its directory belongs to: that one's daemon is to open it.
    """
    fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def write_marker(state: StateDirectory, identity: str) -> None:
    """Whole or not at all, and on disk before anybody relies on it."""
    draft = state.marker.with_suffix(".new")
    fd = open_private(draft, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, f"{identity}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(state.marker)
    sync_directory(state.path)
    sync_directory(state.path.parent)  # a life that was killed may have made the directory and not come to this


def sync_directory(directory: Path) -> None:
    """What was created, renamed or removed in `directory` is on disk.

    One that we may not read is none that we made: it was on disk before.
    """
    if not os.access(directory, os.R_OK):
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _filesystem(directory: Path) -> str:
    """The kind of filesystem that `directory` lies on; empty when the kernel does not say."""
    real = directory.resolve()
    return max(((len(point.parts), kind) for point, kind in _mounts() if real.is_relative_to(point)), default=(0, ""))[
        1
    ]


def _mounts() -> Iterator[tuple[Path, str]]:
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        yield Path(point.replace("\\040", " ")), kind


def _bad(message: str) -> Refused:
    return Refused(message, code="bad_journal")
