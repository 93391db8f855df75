"""Journals with very many items in them, made by copying rows: what a year leaves, in seconds.

Made with the product's own schema through its own boot; one item is accepted, the rest are its copies.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from darumad.clock import SystemClock
from darumad.journal import Accept, Audit, Journal, NewItem, Program
from darumad.names import AgentName, ItemId, Seconds, Stage
from darumad.work.item import WorkItem

WITHIN = Seconds(60.0)
AUDIT = Audit(by="bench", action="submit", target="items")
ROOM = 10_000_000


def opened(directory: Path) -> Journal:
    """The journal there, booted and at work."""
    journal = Journal.open(
        directory,
        clock=SystemClock(),
        node="bench",
        publish=lambda _: None,
        tally=None,
        ageing=Seconds(600.0),
        program=Program("bench"),
        on_fatal=print,
    )
    journal.start()
    return journal


def new_items(prefix: str, count: int) -> tuple[NewItem, ...]:
    """Items to accept, of the shipped `echo`, executed only."""
    names = (f"{prefix}-{number}" for number in range(count))
    return tuple(
        NewItem(
            item=WorkItem(
                id=ItemId(name), description="say it again", agent=AgentName("echo"), stages=(Stage.EXECUTING,)
            ),
            digest=name,
        )
        for name in names
    )


def filled(directory: Path, state: str, count: int) -> None:
    """Make a journal of `count` items that are all `ready`, `running` or `succeeded`."""
    journal = opened(directory)
    journal.call(Accept(items=new_items("first", 1), audit=AUDIT, max_unfinished=ROOM), WITHIN)
    journal.close(WITHIN)
    with closing(sqlite3.connect(directory / "journal.db", isolation_level=None)) as connection:
        _copy(connection, count)
        if state != "ready":
            _bring_to(connection, state)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, count: int) -> None:
    """`count` copies of the one row of `item` and of `payload`, under ids of their own."""
    connection.execute("BEGIN")
    for table, key, others in (("item", "id", {"uid": "'copy-' || n", "rank": "rank + n"}), ("payload", "item", {})):
        columns = [
            name for _, name, _, _, _, _, hidden in connection.execute(f"PRAGMA table_xinfo({table})") if hidden == 0
        ]
        values = [others.get(each, f"{key} + n" if each == key else each) for each in columns]
        connection.execute(
            f"WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < {count - 1})"
            f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM copy, {table} WHERE {key} = 1"
        )
    connection.execute("COMMIT")


def _bring_to(connection: sqlite3.Connection, state: str) -> None:
    """All items as if they had been claimed by an earlier life, and had succeeded if that is asked."""
    connection.execute("BEGIN")
    connection.execute(
        "UPDATE item SET state = 'running', fence = 1, attempt = 1, attempt_open = 1, boot = 1,"
        " holder = 'daruma/engine/minds/executors/echo/1#1', started_at = created_at"
    )
    connection.execute("INSERT INTO attempt (item, attempt, started_at) SELECT id, 1, created_at FROM item")
    if state == "succeeded":
        connection.execute("INSERT INTO result (item, fence, sha256, body) SELECT id, 1, '', '{}' FROM item")
        connection.execute(
            "UPDATE item SET state = 'succeeded', holder = NULL, boot = NULL, attempt_open = 0,"
            " finished_at = created_at"
        )
    connection.execute("COMMIT")
