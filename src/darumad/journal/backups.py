"""Copies of a journal: made while the daemon writes, checked before they count, and put back in its place.

A copy is one file without a log beside it. Copying the live file by other means gives a broken one: `cp` was seen to
in 16 of 55 tries.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from darumad.errors import Refused, Unavailable
from darumad.journal.database import Database, DatabaseError
from darumad.journal.sql import SQL
from darumad.journal.state_directory import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    StateDirectory,
    check_access,
    make_private,
    open_private,
    ours,
    prepare,
    sync_directory,
    take_lock,
    write_marker,
)
from darumad.values import Value

_BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file, and takes for its own whichever file it finds there."""


class Copied(Value):
    """A copy that was made or put back: which journal it is of, up to which event, and how large it is, in bytes."""

    path: Path
    identity: str
    position: int
    unfinished: int
    size: int


def back_up(state: StateDirectory, target: Path) -> Copied:
    """A copy of the journal in `state` as of now, whole and checked, at `target`. The daemon may be running.

    Raises:
        Refused: `no_file`: there is no journal, or no directory for its copy; `file_exists`: `target` is there already;
            `bad_journal`: the journal cannot be read, or its copy is not sound; `bad_place`: it is for somebody else to
            open; `read_only`: it cannot be opened there; `denied`: `target` may not be written.
        Unavailable: `io_error`: the disk of `target` cannot take it; `disk_full`: that of the journal is full.
    """
    check_access(state, *state.database_files)
    if not state.database.exists():
        raise Refused(f"there is no journal in {state.path}", code="no_file")
    with _looking_at(target):
        _check_free(target)
    with ours(state, Database.copier) as db:
        try:
            copy_whole(db, target)
        except PermissionError as error:
            raise Refused(f"{target} may not be written: {error.strerror}", code="denied") from error
        except (DatabaseError, OSError) as error:
            raise Unavailable(f"{target} could not be written: {error}", code="io_error") from error
    return look_at(target)


def restore(state: StateDirectory, source: Path) -> Copied:
    """Puts the copy `source` in the place of the journal in `state`; the one that was there is kept beside it.

    Killed in between, the daemon refuses to begin and says that the journal is missing: restore again.

    Raises:
        Refused: `already_running`: a daemon uses the directory; `no_file`; `bad_place`: `source` is for somebody else
            to open; `bad_journal`: it is not sound, not a journal, of a newer version, or has a log beside it.
    """
    with _looking_at(source):
        if not source.is_file():
            raise Refused(f"there is no file {source}", code="no_file")
        _check_alone(source)
    found = look_at(source)
    prepare(state)
    lock = take_lock(state)
    try:
        draft = state.path / "journal.db.restoring"
        with _clean(draft):
            _copy_file(source, draft)
            Database.writer(draft).close()  # from now on it has a log; closing leaves none behind
            look_at(draft)
            _put_aside(state)
            write_marker(state, found.identity)
            draft.replace(state.database)
        sync_directory(state.path)
    finally:
        lock.close()
    return found


def copy_whole(db: Database, target: Path) -> None:
    """All that `db` sees now, as one file at `target`: there whole and on disk, or not there."""
    draft = target.with_name(f"{target.name}.part")
    with _clean(draft):
        make_private(draft)
        db.all("VACUUM INTO ?", (os.fspath(draft),))
        look_at(draft)
        _sync(draft)
        draft.replace(target)
    sync_directory(target.parent)


@contextmanager
def _clean(draft: Path) -> Iterator[None]:
    """Nothing of `draft` lies there before or after, whoever was killed over it: a stale log would be taken for its."""
    parts = _parts(draft)
    try:
        for each in parts:
            each.unlink(missing_ok=True)
        yield
    finally:
        for each in parts:
            each.unlink(missing_ok=True)


def _parts(file: Path) -> list[Path]:
    """The file, and where what belongs to it would lie."""
    return [file, *(file.with_name(f"{file.name}{end}") for end in _BESIDE)]


def look_at(path: Path) -> Copied:
    """What the journal in the file `path` is, with every page of it checked.

    Raises:
        Refused: `bad_journal`: it is not sound, no journal, or newer than this program.
    """
    try:
        db = Database.still(path)
    except DatabaseError as error:
        raise _bad(f"{path} is no journal: {error}") from error
    try:
        return _described(path, db)
    except DatabaseError as error:
        raise _bad(f"{path} cannot be read: {error}") from error
    finally:
        db.close()


def _described(path: Path, db: Database) -> Copied:
    if db.value("PRAGMA application_id") != APPLICATION_ID:
        raise _bad(f"{path} is no journal of Daruma")
    version = db.value("PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise _bad(f"{path} is of version {version}; this program knows version {SCHEMA_VERSION}")
    said = db.value("PRAGMA integrity_check")
    if said != "ok":
        raise _bad(f"{path} is not sound: {said}")
    position, unfinished = db.value(SQL["last_position"]), db.value(SQL["unfinished"])
    return Copied(path, db.value(SQL["identity"]), position, unfinished, path.stat().st_size)


@contextmanager
def _looking_at(place: Path) -> Iterator[None]:
    """Whoever may not look there is told so."""
    try:
        yield
    except OSError as error:
        raise Refused(f"{place} cannot be looked at: {error.strerror}", code="bad_place") from error


def _check_free(target: Path) -> None:
    for each in _parts(target):
        if each.exists():
            raise Refused(f"{each} is there already", code="file_exists")
    if not target.parent.is_dir():
        raise Refused(f"there is no directory {target.parent}", code="no_file")


def _check_alone(source: Path) -> None:
    """A journal that was killed has its last commits in a log beside it: without that it is an older one."""
    log = source.with_name(f"{source.name}-wal")
    if log.exists() and log.stat().st_size:
        raise _bad(f"{source} is no copy: a part of it lies in {log}. Make a copy of it with `daruma backup`.")


def _put_aside(state: StateDirectory) -> None:
    """What lies in the journal's place goes beside it, with its log worked in if it can still be read.

    Also a log whose database is lost: SQLite would play it into the copy. The database goes first: without it the
    daemon refuses to begin, without its log it would begin on an older state.
    """
    if state.database.exists():
        with suppress(DatabaseError):  # it may be replaced because it cannot be read
            Database.writer(state.database).close()
    for each, kept in zip(_parts(state.database), _parts(_unused(state)), strict=True):
        if each.exists():
            each.replace(kept)


def _unused(state: StateDirectory) -> Path:
    """Where nothing was put aside before, not even the log of something."""
    names = (state.path / f"journal.db.replaced-{number}" for number in count(1))
    return next(kept for kept in names if not any(each.exists() for each in _parts(kept)))


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, os.fdopen(open_private(target, os.O_WRONLY | os.O_TRUNC), "wb") as write:
        while chunk := read.read(1 << 20):
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _bad(message: str) -> Refused:
    return Refused(message, code="bad_journal")
