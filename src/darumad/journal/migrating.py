"""Bringing a journal of an earlier version to this one: whole, or not at all.

Each version has its file of statements, `migrate-N.sql`. All of them, the row that says so and the version in the
header are one transaction; killed anywhere in it, the file is as it was. A copy is made before, as `pre-vN.db`.
"""

from pathlib import Path

from darumad.journal.backups import copy_whole
from darumad.journal.database import Database
from darumad.journal.sql import SQL, statements
from darumad.journal.state_directory import SCHEMA_VERSION, StateDirectory
from darumad.names import Millis


def migrate(state: StateDirectory, db: Database, *, now: Millis, program: str) -> int | None:
    """The version that was found, if it was an earlier one; it is the present one when this returns."""
    found = int(db.value("PRAGMA user_version"))
    if found == SCHEMA_VERSION:
        return None
    copy_whole(db, copy_before(state))
    db.all("BEGIN EXCLUSIVE")
    try:
        for version in range(found + 1, SCHEMA_VERSION + 1):
            for statement in statements(f"migrate-{version}.sql"):
                db.all(statement)
            db.all(SQL["note_migration"], {"version": version, "program": program, "now": now})
        db.all(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.rollback()
        raise
    db.commit()
    return found


def copy_before(state: StateDirectory) -> Path:
    """Where the copy from before this version's migration lies."""
    return state.path / f"pre-v{SCHEMA_VERSION}.db"
