"""The one door to SQLite: connections with their PRAGMAs, and which errors mean that the disk cannot be trusted.

Never open the database file by other means in this process: closing any descriptor on it drops SQLite's POSIX locks.
"""

import sqlite3  # noqa: TID251 - the one door
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

DatabaseError = sqlite3.DatabaseError
VERSION = sqlite3.sqlite_version_info
VERSION_TEXT = sqlite3.sqlite_version
NEEDS = (3, 37, 0)
"""STRICT tables came with 3.37. What came later, no statement may use: `->` and `->>` did with 3.38."""

Row = tuple[Any, ...]
_NONE: Mapping[str, Any] = {}

_DISK = frozenset(
    {
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE = 0xFF

_PATIENCE = "busy_timeout = 5000"
_SHARED_PRAGMAS = ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY")
_WRITER_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    _PATIENCE,
    "cache_size = -16384",
    "journal_size_limit = 67108864",
    # What is deleted is overwritten, and so is what a page keeps of a row that was moved to another: once it is there,
    # no later purge would find it.
    "secure_delete = ON",
    # The writer checkpoints by itself, when nobody waits for it.
    "wal_autocheckpoint = 0",
)


class Database:
    """One connection. Every statement is fetched whole, so that no read transaction stays open behind it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Bytes that the disk made no text of are one value's trouble: as they come, none of its rows could be read.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")

    @classmethod
    def writer(cls, path: Path) -> "Database":
        """The connection that writes; there is one of it.

        Raises:
            DatabaseError: the file is no database, or SQLite would not promise durability on it.
        """
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        database = cls._set(connection, *_SHARED_PRAGMAS, *_WRITER_PRAGMAS)
        promised = (database.value("PRAGMA journal_mode"), database.value("PRAGMA synchronous"))
        if promised != ("wal", 2):
            database.close()
            raise DatabaseError(f"SQLite runs as {promised} here, not as ('wal', 2): commits would not be durable")
        return database

    @classmethod
    def reader(cls, path: Path) -> "Database":
        """A connection that can only read, and never checkpoints."""
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        return cls._set(connection, *_SHARED_PRAGMAS, _PATIENCE, "query_only = ON")

    @classmethod
    def copier(cls, path: Path) -> "Database":
        """A connection to write a copy elsewhere with.

        It changes nothing here, and still is no read-only one: with those, SQLite cannot copy a generated column.
        """
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
        return cls._set(connection, *_SHARED_PRAGMAS, _PATIENCE, "wal_autocheckpoint = 0")

    @classmethod
    def still(cls, path: Path) -> "Database":
        """A connection to a file that nobody writes: it leaves nothing beside it."""
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        return cls._set(connection, *_SHARED_PRAGMAS)

    @classmethod
    def _set(cls, connection: sqlite3.Connection, *pragmas: str) -> "Database":
        """With these; a connection that does not take them is closed at once, not when its error is forgotten."""
        database = cls(connection)
        try:
            for pragma in pragmas:
                database.all(f"PRAGMA {pragma}")
        except DatabaseError:
            database.close()
            raise
        return database

    @property
    def changes(self) -> int:
        """Rows changed on this connection since it was opened."""
        return self._connection.total_changes

    def all(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = _NONE) -> list[Row]:
        """Every row that `sql` gives."""
        return self._connection.execute(sql, values).fetchall()

    def one(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = _NONE) -> Row | None:
        """The first row that `sql` gives, or None."""
        rows = self.all(sql, values)
        return rows[0] if rows else None

    def value(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = _NONE) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, values)
        return row[0] if row else None

    def begin(self) -> None:
        """Take the write lock at once: a transaction that asks for it later can deadlock with an outsider."""
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make it durable. What is raised here means unknown, not no."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget the transaction; nothing if SQLite ended it already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def checkpoint(self, mode: str) -> tuple[bool, int, int]:
        """What it came to: whether a reader kept it from all of it, the frames in the log, and those that are moved.

        It waits for no reader: every commit would wait with it.
        """
        self.all("PRAGMA busy_timeout = 0")
        try:
            kept, frames, moved = self.one(f"PRAGMA wal_checkpoint({mode})") or (0, 0, 0)
        finally:
            self.all(f"PRAGMA {_PATIENCE}")
        return bool(kept), frames, moved

    def close(self) -> None:
        """Safe to call twice."""
        self._connection.close()


def is_full(error: BaseException) -> bool:
    """Whether there was no room. What was being written is known not to be; it can be tried again."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_FULL


def is_damaged(error: BaseException) -> bool:
    """Whether what the file holds is no database, or no longer one: trying again is of no use."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE in _DAMAGE


def is_disk_trouble(error: BaseException) -> bool:
    """Whether `error` says that the disk or the file failed, rather than that the request was wrong."""
    if isinstance(error, OSError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, DatabaseError) and code is not None and code & _PRIMARY_CODE in _DISK
