"""What a check finds: each kind of damage by name, and nothing in a journal that is as it was written."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from darumad.errors import Refused
from darumad.journal.checking import QUICK, THOROUGH, check
from darumad.journal.state_directory import StateDirectory
from tests.journal.desk import DO, Desk, new_item


@pytest.fixture
def full(desk: Desk) -> Desk:
    for number in range(5):
        desk.submit(new_item(f"i{number}", stages=(DO,)))
        desk.succeed(desk.claim_one(DO))
    return desk


def test_a_running_daemons_journal_is_as_it_was_written(full: Desk) -> None:
    checked = check(StateDirectory(full.directory), quick=False)
    assert checked.wrong == ()
    assert set(checked.looked_at) == {*QUICK, *THOROUGH}
    full.submit("goes on")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE payload SET body = replace(body, 'do i1', 'do i2') WHERE item = 2", "the payload of i1"),
        ("UPDATE audit SET by = 'uid:0' WHERE id = 3", "row 3 of the audit"),
        ("DELETE FROM audit WHERE id = 2", "row 3 of the audit"),
        ("DROP TRIGGER result_stands; UPDATE result SET body = '{}' WHERE item = 1", "the result of i0"),
        ("DROP TRIGGER result_stays; DELETE FROM result WHERE item = 4", "i3 is succeeded and has no result"),
        ("PRAGMA foreign_keys = OFF; INSERT INTO label VALUES (99, 'k', 'v')", "row None of label names a row of item"),
    ],
)
def test_each_damage_is_named(full: Desk, damage: str, said: str) -> None:
    full.close()
    with closing(sqlite3.connect(full.directory / "journal.db")) as db:
        db.executescript(damage)
    wrong = check(StateDirectory(full.directory), quick=False).wrong
    assert any(said in each for each in wrong), wrong


@pytest.mark.parametrize(
    ("damage", "said", "quick"),
    [
        ("UPDATE audit SET by = 'uid:0' WHERE id = 5", 5, True),
        ("UPDATE audit SET by = 'uid:0' WHERE id = 4", 4, True),
        ("DELETE FROM audit WHERE id = 4", 5, True),
        ("UPDATE audit SET by = 'uid:0' WHERE id = 3", 3, False),
    ],
)
def test_of_the_audit_only_the_newest_rows_are_looked_at_in_any_case(
    full: Desk, monkeypatch: pytest.MonkeyPatch, damage: str, said: int, *, quick: bool
) -> None:
    monkeypatch.setattr("darumad.journal.checking.LATELY", 2)
    full.sql(damage)
    wrong = (f"audit: row {said} of the audit does not follow from the one before it",)
    assert check(StateDirectory(full.directory), quick=True).wrong == (wrong if quick else ())
    assert check(StateDirectory(full.directory), quick=False).wrong == wrong


def test_torn_pages_are_told_and_do_not_end_the_check(full: Desk) -> None:
    full.close()
    file = full.directory / "journal.db"
    body = bytearray(file.read_bytes())
    body[8 * 4096 : 12 * 4096] = bytes(4 * 4096)
    file.write_bytes(body)
    wrong = check(StateDirectory(full.directory), quick=True).wrong
    assert any(each.startswith("pages: ") for each in wrong), wrong


def test_only_so_many_of_a_kind_are_told(desk: Desk) -> None:
    for number in range(40):
        desk.submit(f"i{number}")
    desk.close()
    with closing(sqlite3.connect(desk.directory / "journal.db")) as db:
        db.execute("UPDATE payload SET sha256 = ''")
        db.commit()
    wrong = check(StateDirectory(desk.directory), quick=False).wrong
    assert len(wrong) == 21
    assert wrong[-1] == "payloads: and more"


def test_where_there_is_no_journal_it_says_so(tmp_path) -> None:
    with pytest.raises(Refused, match="there is no journal"):
        check(StateDirectory(tmp_path), quick=True)


def test_a_child_prints_what_it_found(full: Desk) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "darumad.journal.checking", full.directory], capture_output=True, check=True, timeout=60
    )
    assert json.loads(said.stdout) == {"looked_at": list(QUICK), "wrong": []}


def test_the_database_of_another_program_is_refused_and_not_called_damaged(desk: Desk) -> None:
    desk.close()
    with closing(sqlite3.connect(desk.directory / "journal.db")) as db:
        db.execute("PRAGMA application_id = 7")
    with pytest.raises(Refused, match="another program"):
        check(StateDirectory(desk.directory), quick=True)
