"""A journal of an earlier version, and what killing its migration anywhere leaves of it."""

import hashlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from darumad.journal.sql import statements
from darumad.journal.state_directory import APPLICATION_ID, SCHEMA_VERSION
from darumad.work.states import WorkState
from tests.journal.desk import Desk
from tests.kit.clock import FakeClock

EARLIER = Path(__file__).parent / "earlier"
ITEM = (
    "INSERT INTO item (id, uid, agent, phase, lane, first_stage, stage, priority, state, rank, created_at, ready_at)"
    " VALUES (1, 'a', 'executor', 'testing', 'default', 'executing', 'executing', 5, 'ready', 0, 1, 1)"
)
PAYLOAD = (
    "INSERT INTO payload (item, body, sha256, digest, origin, submitted_by) VALUES (1, ?, ?, 'd', 'socket', 'uid:0')"
)
BODY = '{"id":"a","description":"do a","stages":["executing"]}'


def of_version(version: int, directory: Path) -> Path:
    """A state directory as a daemon of that version left it, with one ready item."""
    directory.mkdir(mode=0o700)
    with closing(sqlite3.connect(directory / "journal.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for statement in split(EARLIER / f"schema-{version}.sql"):
            db.execute(statement)
        db.execute("INSERT INTO identity (only, uuid, created_at) VALUES (1, 'me', 1)")
        db.execute(ITEM)
        db.execute(PAYLOAD, (BODY, digest(BODY)))
        for statement in split(EARLIER / f"rows-{version}.sql"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
    (directory / "INITIALISED").write_text("me\n")
    return directory


def split(path: Path) -> Iterator[str]:
    held = ""
    for line in path.read_text().splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            yield held
            held = ""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def schema(path: Path) -> dict[str, str]:
    """Every table, index, trigger and view, without the comments and the spacing of whoever wrote it."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(re.sub(r"[(),]", r" \g<0> ", re.sub(r"--[^\n]*", "", sql)).split()) for name, sql in rows}


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_journal_of_an_earlier_version_becomes_one_of_this(tmp_path: Path, clock: FakeClock, version: int) -> None:
    new = Desk(tmp_path / "new", clock).open()
    new.close()
    desk = Desk(of_version(version, tmp_path / "old"), clock).open()
    assert desk.state("a") is WorkState.READY
    assert desk.sql("SELECT max(version) FROM migration") == [(SCHEMA_VERSION,)]
    booked = {(scope, period): spent for scope, period, spent in desk.sql("SELECT scope, period, spent FROM budget")}
    assert booked["item:a", "ever"] == booked["all", "1970-01-01"] == booked["provider:some", "ever"] == 5 + 7
    (claimed,) = desk.claim(desk.record("a").stage)
    assert claimed.record.item.id == "a"
    desk.close()
    assert schema(desk.directory / "journal.db") == schema(new.directory / "journal.db")
    with closing(sqlite3.connect(desk.directory / f"pre-v{SCHEMA_VERSION}.db")) as before:
        assert before.execute("PRAGMA user_version").fetchone() == (version,)
        assert before.execute("SELECT uid FROM item").fetchall() == [("a",)]


def held_by_version_9(directory: Path, *statements: str) -> Path:
    """A state directory whose daemon was killed while it held its item, with a call settled and one open."""
    of_version(9, directory)
    with closing(sqlite3.connect(directory / "journal.db", isolation_level=None)) as db:
        db.execute("INSERT INTO attempt (item, attempt, started_at) VALUES (1, 1, 1)")
        db.execute(
            "UPDATE item SET state = 'running', fence = 3, attempt = 1, attempt_open = 1, holder = 'x/1#1', boot = 1,"
            " started_at = 1"
        )
        db.execute("INSERT INTO hold VALUES (1, 3, 1, 1, 'x/1#1', 'executing', 1, NULL, NULL)")
        for statement in statements:
            db.execute(statement)
    return directory


def settled(nano_usd: str, tokens: int, calls: int, *, item: str = "a", at: int = 1) -> str:
    """One more reservation of that daemon's, made `at` an instant and settled."""
    values = f"'t', '{item}', 'one', 'some', 'd', 1, 7, 9, {at}, {at}, {nano_usd}, {tokens}, {calls}"
    return f"INSERT INTO reservation VALUES ({values})"


def booked(directory: Path, clock: FakeClock) -> list[tuple[object, ...]]:
    """What each attempt is said to have used after the migration: calls, tokens read and written, nano-USD."""
    desk = Desk(directory, clock).open()
    rows = desk.sql("SELECT calls, input_tokens, output_tokens, nano_usd FROM attempt ORDER BY attempt")
    desk.close()
    return rows


def test_calls_of_a_stage_that_had_not_ended_before_an_upgrade_are_on_their_attempt_settled_or_open(
    tmp_path: Path, clock: FakeClock
) -> None:
    assert booked(held_by_version_9(tmp_path / "old"), clock) == [(2, 3 + 9, 0, 5 + 7)]


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ("UPDATE attempt SET calls = 1, input_tokens = 2, output_tokens = 1, nano_usd = 5", [(2, 11, 1, 12)]),
        ("UPDATE attempt SET calls = 4, input_tokens = 8, output_tokens = 1, nano_usd = 50", [(5, 17, 1, 57)]),
        (settled("NULL", 4, 1), [(3, 16, 0, None)]),
        (settled("0", 0, 0), [(2, 12, 0, 12)]),
        (settled("1", 1, 1, item="b"), [(2, 12, 0, 12)]),
        ("UPDATE hold SET claimed_at = 2", [(1, 9, 0, 7)]),
    ],
    ids=[
        "booked by its stage",
        "booked, and its reservation gone",
        "of an unknown price",
        "that was not made",
        "of an item that is gone",
        "before the claim",
    ],
)
def test_what_an_upgrade_books_on_an_attempt_is_what_was_not_booked_before(
    tmp_path: Path, clock: FakeClock, said: str, rows: list[tuple[object, ...]]
) -> None:
    assert booked(held_by_version_9(tmp_path / "old", said), clock) == rows


def test_calls_before_an_upgrade_are_on_the_attempt_whose_claim_was_the_latest(
    tmp_path: Path, clock: FakeClock
) -> None:
    directory = held_by_version_9(
        tmp_path / "old",
        "UPDATE item SET fence = 4, attempt = 2",
        "UPDATE hold SET ended_at = 5",
        "INSERT INTO attempt (item, attempt, started_at) VALUES (1, 2, 5)",
        "INSERT INTO hold VALUES (1, 4, 2, 1, 'x/1#2', 'executing', 5, NULL, NULL)",
        settled("2", 4, 1, at=6),
    )
    assert booked(directory, clock) == [(1, 3, 0, 5), (2, 4 + 9, 0, 2 + 7)]


def test_a_journal_of_this_version_is_not_copied(desk: Desk) -> None:
    desk.close()
    desk.open()
    assert not list(desk.directory.glob("pre-*"))
    assert desk.sql("SELECT version, program FROM migration") == [(SCHEMA_VERSION, "1.0")]


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import darumad.journal.migrating as migrating
from darumad.journal.boot import BootRequest, boot
from darumad.journal.database import Database
from darumad.journal.state_directory import StateDirectory
from darumad.journal.requests import Program
from darumad.journal.room import Room
from tests.kit.clock import FakeClock

source, room = Path(sys.argv[1]), Path(sys.argv[2])

def life(directory, last):
    \"\"\"Boots, and is killed before its statement number `last`.\"\"\"
    asked, run, writer = 0, Database.all, Database.writer
    def counted(self, sql, values=()):
        nonlocal asked
        asked += 1
        if asked > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(self, sql, values or {})
    def opened(path):
        db = writer(path)
        Database.all = counted
        return db
    Database.writer = opened
    given = BootRequest(node="here", program=Program("2"), ageing_ms=1)
    boot(StateDirectory(directory), FakeClock(1.0), given, new_id=lambda: "other", room=Room(StateDirectory(directory)))

for last in range(1000):
    directory = room / str(last)
    shutil.copytree(source, directory)
    child = os.fork()
    if child == 0:
        life(directory, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    print(last, flush=True)
"""


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_migration_killed_at_any_statement_leaves_the_old_journal_or_the_new_one(
    tmp_path: Path, clock: FakeClock, version: int
) -> None:
    source, room = of_version(version, tmp_path / "old"), tmp_path / "room"
    room.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, source, room], capture_output=True, text=True, timeout=60, check=True
    )
    killed = [int(line) for line in ran.stdout.split()]
    added = sum(1 for later in range(version + 1, SCHEMA_VERSION + 1) for _ in statements(f"migrate-{later}.sql"))
    assert len(killed) > added, "every statement of it was hit"
    whole = {version: schema(source / "journal.db"), SCHEMA_VERSION: schema(room / str(len(killed)) / "journal.db")}
    seen = set()
    for each in killed:
        with closing(sqlite3.connect(room / str(each) / "journal.db")) as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
        assert schema(room / str(each) / "journal.db") == whole[found]
        seen.add(found)
    assert seen == {version, SCHEMA_VERSION}
    for each in (killed[0], killed[len(killed) // 2], killed[-1]):
        desk = Desk(room / str(each), clock).open()
        assert desk.state("a") is WorkState.READY
        desk.close()
