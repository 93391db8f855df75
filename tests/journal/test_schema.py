"""The database guards the state table a second time; here it is asked for every move there could be."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import darumad.journal
from darumad.journal.database import NEEDS
from darumad.journal.sql import ROWS, SHARED, SQL, filled, statements
from darumad.work.states import INITIAL, LEADS_TO, WorkState


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        for statement in statements("schema.sql"):
            connection.execute(statement)
        connection.execute("INSERT INTO boot (boot, node, pid, version, started_at) VALUES (1, 'here', 1, '1', 1)")
        yield connection


COLUMNS = {
    "waiting": "holder = NULL, boot = NULL, finished_at = NULL",
    "ready": "holder = NULL, boot = NULL, finished_at = NULL, ready_at = 1",
    "scheduled": "holder = NULL, boot = NULL, finished_at = NULL, run_at = 1",
    "running": "holder = 'a#1', boot = 1, attempt_open = 1, finished_at = NULL",
    "parked": "holder = NULL, boot = NULL, finished_at = NULL, reason = 'challenge'",
    "succeeded": "holder = NULL, boot = NULL, finished_at = 1",
    "dead": "holder = NULL, boot = NULL, finished_at = 1",
    "cancelled": "holder = NULL, boot = NULL, finished_at = 1",
}


def insert(db: sqlite3.Connection, state: str = "ready") -> None:
    db.execute(
        "INSERT INTO item (id, uid, agent, phase, lane, first_stage, stage, priority, state, reason, rank, run_at,"
        " created_at, ready_at, holder, boot, finished_at, attempt_open) VALUES (1, 'a', 'executor', 'testing', 'l',"
        " 'executing', 'executing', 5, :state, 'challenge', 0, 1, 1, 1,"
        " iif(:state = 'running', 'a#1', NULL), iif(:state = 'running', 1, NULL),"
        " iif(:state IN ('succeeded', 'dead', 'cancelled'), 1, NULL), 1)",
        {"state": state},
    )


def put(db: sqlite3.Connection, state: str) -> None:
    """The item in `state`, past the trigger that guards how it begins."""
    (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'item_begins'").fetchone()
    db.execute("DROP TRIGGER item_begins")
    insert(db, state)
    db.execute(sql)


def go(db: sqlite3.Connection, state: str) -> None:
    db.execute(f"UPDATE item SET state = '{state}', fence = fence + 1, {COLUMNS[state]}")


@pytest.mark.parametrize("origin", list(WorkState))
@pytest.mark.parametrize("target", list(WorkState))
def test_the_database_allows_exactly_the_moves_of_the_state_table(
    db: sqlite3.Connection, origin: WorkState, target: WorkState
) -> None:
    put(db, origin.value)
    db.execute("INSERT INTO result (item, fence, sha256, body) VALUES (1, 1, '', '{}')")
    if target is origin or target in LEADS_TO[origin]:
        go(db, target.value)
        assert db.execute("SELECT state FROM item").fetchone() == (target.value,)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="does not lead there"):
            go(db, target.value)


@pytest.mark.parametrize("state", list(WorkState))
def test_an_item_begins_only_where_the_state_table_lets_it(db: sqlite3.Connection, state: WorkState) -> None:
    if state in INITIAL:
        insert(db, state.value)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="cannot begin"):
            insert(db, state.value)


def test_a_fence_never_goes_back(db: sqlite3.Connection) -> None:
    insert(db)
    db.execute("UPDATE item SET fence = 5")
    with pytest.raises(sqlite3.IntegrityError, match="never goes back"):
        db.execute("UPDATE item SET fence = 4")


def test_a_claim_that_does_not_raise_the_fence_is_aborted(db: sqlite3.Connection) -> None:
    insert(db)
    with pytest.raises(sqlite3.IntegrityError, match="raises the fence"):
        db.execute(f"UPDATE item SET state = 'running', {COLUMNS['running']}")


@pytest.mark.parametrize("fence", [None, 0, 2])
def test_success_needs_a_result_of_the_same_fence(db: sqlite3.Connection, fence: int | None) -> None:
    put(db, "running")
    if fence is not None:
        db.execute("INSERT INTO result (item, fence, sha256, body) VALUES (1, ?, '', '{}')", (fence,))
    with pytest.raises(sqlite3.IntegrityError, match="needs a result"):
        go(db, "succeeded")


def test_a_result_neither_changes_nor_leaves_its_item(db: sqlite3.Connection) -> None:
    insert(db)
    db.execute("INSERT INTO result (item, fence, sha256, body) VALUES (1, 1, '', '{}')")
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        db.execute("UPDATE result SET body = '[]'")
    with pytest.raises(sqlite3.IntegrityError, match="only with its item"):
        db.execute("DELETE FROM result")
    db.execute("DELETE FROM item")
    assert db.execute("SELECT count(*) FROM result").fetchone() == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        "holder = 'a#1'",
        "state = 'running', fence = 1, attempt_open = 1",
        "state = 'scheduled', run_at = NULL",
        "state = 'parked', reason = NULL",
        "state = 'dead'",
        "finished_at = 1",
        "priority = 11",
        "stage = 'dreaming'",
        "state = 'asleep'",
    ],
)
def test_columns_that_contradict_the_state_are_refused(db: sqlite3.Connection, wrong: str) -> None:
    insert(db)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(f"UPDATE item SET {wrong}")


def bound(name: str) -> tuple[str, Any]:
    """The named statement with two rows bound, if it takes rows, and values for it."""
    if ROWS not in SQL[name]:
        return SQL[name], _Anything()
    columns = SQL[name].split("asked(")[1].split(")")[0].count(",") + 1
    return filled(name, [[None] * columns] * 2, dict.fromkeys(SHARED))


@pytest.mark.parametrize("name", sorted(SQL))
def test_every_statement_fits_the_schema(db: sqlite3.Connection, name: str) -> None:
    statement, values = bound(name)
    db.execute(f"EXPLAIN {statement}", values)


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_place_of_a_statement_has_a_number_which_newer_pythons_bind_no_sequence_to(name: str) -> None:
    statement, values = bound(name)
    assert re.findall(r"\?\d", statement) == []
    assert isinstance(values, dict) or statement.count("?") == len(values)


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_statement_uses_what_the_oldest_sqlite_that_is_let_in_does_not_have(name: str) -> None:
    assert NEEDS == (3, 37, 0)
    said = re.sub(r"--.*|'[^']*'", "", SQL[name])
    assert not re.search(r"->|\bIS (NOT )?DISTINCT FROM\b|\b(RIGHT|FULL) (OUTER )?JOIN\b|\bunixepoch\b|\bconcat", said)


class _Anything(dict[str, None]):
    def __missing__(self, key: str) -> None:
        return None


def test_every_statement_is_used_and_every_used_one_exists() -> None:
    room = Path(darumad.journal.__file__).parent
    code = "\n".join(each.read_text() for each in room.glob("*.py"))
    unused = [name for name in SQL if f'"{name}"' not in code]
    assert unused == []


def plan(db: sqlite3.Connection, statement: str) -> list[str]:
    rows = db.execute(f"EXPLAIN QUERY PLAN {statement}", _Anything()).fetchall()
    return [row[3] for row in rows]


def test_a_claim_reads_the_claim_index_and_no_other_way(db: sqlite3.Connection) -> None:
    seen = plan(db, SQL["best_of_ranges"]) + plan(db, SQL["ranges_of_ready"])
    assert any("item_claim (stage=? AND agent=? AND lane=? AND fresh=?)" in each for each in seen), seen
    assert any("item_claim (stage=? AND agent=? AND lane>?)" in each for each in seen)
    assert not [each for each in seen if each.startswith(("SCAN item", "SCAN next", "SCAN here"))]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("expire", "item_expiry"),
        ("promote_due", "item_due"),
        ("next_due", "item_due"),
        ("oldest_ready_at", "item_oldest"),
    ],
)
def test_a_timer_reads_its_own_index(db: sqlite3.Connection, name: str, index: str) -> None:
    assert any(index in each for each in plan(db, SQL[name]))


@pytest.mark.parametrize(
    "name", ["move", "keep_steps", "keep_results", "claim", "close_holds", "end_attempts", "book_calls"]
)
def test_what_is_asked_leads_and_the_tables_follow(db: sqlite3.Connection, name: str) -> None:
    statement, values = bound(name)
    rows = db.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    assert not [row[3] for row in rows if row[3] in {"SCAN item", "SCAN hold", "SCAN attempt"}]


READ_WHOLE = {
    "audits": "the newest first, as many as are asked for",
    "last_audit": "the newest alone",
    "audit_before": "the newest, as many as are looked at after a start",
    "died_before": "the newest boot alone",
    "identity": "one row",
    "last_position": "one row a table",
    "position_before": "the newest first, no further back than was asked for",
    "suspects": "an index that holds suspects only, for a person who looks",
    "of_suspects": "an index that holds suspects only, and is read only while there are any",
    "claim_suspects": "an index that holds suspects only, and is read only while there are any",
    "mark_lacking": "a table that holds only what some items require, once a boot",
    "counts": "an index over all items, for a person who looks",
    "prune_events": "the oldest, one bite of them, behind what a clock that was ahead wrote",
    "prune_reservations": "the oldest, one bite of them",
    "names_upload": "every payload, for a purge that names an upload",
    "named_uploads": "every payload, once an hour where an upload is old",
    "damaged_payloads": "every payload, beside it",
}
"""Statements that read a table or an index from its beginning, and why each may."""


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_statement_reads_a_table_whole_but_those_that_may(db: sqlite3.Connection, name: str) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")} | {"best", "next"}
    statement, values = bound(name)
    steps = [row[3].split() for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    whole = [" ".join(each) for each in steps if each[0] == "SCAN" and each[1] in tables]
    assert bool(whole) == (name in READ_WHOLE), whole
