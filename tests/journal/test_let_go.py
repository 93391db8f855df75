"""A database that is refused is let go of at once: no connection stays open for as long as its error is held."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from darumad.errors import Refused
from darumad.journal.backups import back_up
from darumad.journal.checking import check
from darumad.journal.database import Database, DatabaseError
from darumad.journal.state_directory import StateDirectory
from tests.journal.desk import Desk

LOOKS: dict[str, Callable[[StateDirectory], object]] = {
    "a check": lambda state: check(state, quick=True),
    "a backup": lambda state: back_up(state, state.path / "copy.db"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("whose", ["another program's", "no database"])
def test_what_only_looks_lets_go_of_a_database_that_it_refuses(
    desk: Desk, whose: str, look: Callable[[StateDirectory], object]
) -> None:
    desk.close()
    state = StateDirectory(desk.directory)
    if whose == "no database":
        state.database.write_text("my diary\n" * 1000)
    else:
        with closing(sqlite3.connect(state.database)) as db:
            db.execute("PRAGMA application_id = 7")
    with pytest.raises(Refused) as refused:
        look(state)
    assert refused.value.code == "bad_journal"
    assert not open_on(state.database)


def test_a_connection_that_does_not_take_its_pragmas_is_closed(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("my diary\n" * 1000)
    with pytest.raises(DatabaseError, match="not a database") as refused:
        Database.writer(diary)
    assert refused.tb is not None
    assert not open_on(diary)


def open_on(path: Path) -> list[Path]:
    """This process' descriptors of the file."""
    return [each for each in Path("/proc/self/fd").iterdir() if each.resolve() == path]
