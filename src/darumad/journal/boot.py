"""A boot.

The schema if there is none, a row for this life of the daemon, and everything that earlier lives held put back.
"""

import os
from collections.abc import Callable, Sequence

from darumad.clock import Clock
from darumad.errors import Unavailable
from darumad.events import DaemonStarting, Recorded
from darumad.journal.batch import Batch, Tail
from darumad.journal.database import Database, DatabaseError, is_damaged, is_disk_trouble, is_full
from darumad.journal.encoding import dump
from darumad.journal.migrating import migrate
from darumad.journal.money import settle_orphans
from darumad.journal.requests import Program
from darumad.journal.returning import rescue_all
from darumad.journal.room import Room
from darumad.journal.sql import SQL, statements
from darumad.journal.state_directory import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    StateDirectory,
    check_identity,
    open_database,
    unreadable,
)
from darumad.names import Boot, ItemId, Millis, Offer, Seconds
from darumad.values import Value
from darumad.work.blame import LifeEnd


class BootRequest(Value, kw_only=True):
    """Which machine a life of the daemon begins on and with what, how it ranks, and which agent offers what."""

    node: str
    program: Program
    ageing_ms: int
    offers: Sequence[Offer] = ()


class Booted(Value):
    """A database that is ready to be written, and what the boot did to it."""

    db: Database
    boot: Boot
    rescued: tuple[ItemId, ...]
    recorded: tuple[Recorded, ...]
    tail: Tail
    suspects: bool


def boot(state: StateDirectory, clock: Clock, asked: BootRequest, *, new_id: Callable[[], str], room: Room) -> Booted:
    """Opens the database in `state`, whose lock is held.

    Raises:
        Refused: `bad_journal`, with the next step.
        Unavailable: `disk_full`, with the ballast thrown off already; `io_error`: the disk failed.
    """
    if room.scant():
        room.give_up()
    try:
        if not room.scant():
            return _boot(state, clock, asked, new_id)
    except DatabaseError as error:
        if is_damaged(error):
            raise unreadable(state, error) from error
        if not is_disk_trouble(error):
            raise
        if not is_full(error):
            raise Unavailable(f"the journal's disk failed: {error}", code="io_error") from error
    raise Unavailable(f"the disk of {state.path} is full", code="disk_full")


def _boot(state: StateDirectory, clock: Clock, asked: BootRequest, new_id: Callable[[], str]) -> Booted:
    db, new = open_database(state)
    try:
        if new:
            _create(db, clock.wall(), new_id(), asked.program.version)
        else:
            migrate(state, db, now=clock.wall(), program=asked.program.version)
        check_identity(state, db.value(SQL["identity"]))
        return _begin(db, clock, asked)
    except BaseException:
        db.close()
        raise


def end(db: Database, which: Boot, now: Millis) -> None:
    """The life ends with its own consent: whatever still runs is nobody's fault."""
    db.all(SQL["end_boot"], {"boot": which, "now": now})


def _create(db: Database, now: Millis, identity: str, program: str) -> None:
    """All of the schema or nothing of it: killed in between, the file is as empty as before."""
    db.all("BEGIN EXCLUSIVE")
    try:
        for statement in statements("schema.sql"):
            db.all(statement)
        db.all(SQL["identify"], {"uuid": identity, "now": now})
        db.all(SQL["note_migration"], {"version": SCHEMA_VERSION, "program": program, "now": now})
        db.all(f"PRAGMA application_id = {APPLICATION_ID}")
        db.all(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.rollback()
        raise
    db.commit()


def _begin(db: Database, clock: Clock, asked: BootRequest) -> Booted:
    """One transaction: the boot's row, the rescue, the events of both, and whose agent lacks what it requires."""
    db.begin()
    try:
        died = bool(db.value(SQL["died_before"]))
        which = _row(db, clock.wall(), asked.node, asked.program)
        batch = Batch(db, clock.wall(), which, asked.ageing_ms, Seconds(0.0), _tail(db))
        rescued = rescue_all(batch, LifeEnd.DIED if died else LifeEnd.STOPPED)
        settle_orphans(batch)
        batch.run("mark_lacking", asked.offers)
        db.all(SQL["tell_rescued"], {"boot": which, "rescued": len(rescued)})
        batch.record([DaemonStarting("daemon", which, asked.program.version, len(rescued))])
        recorded = batch.write()
        suspects = bool(db.value(SQL["any_suspects"]))
    except BaseException:
        db.rollback()
        raise
    db.commit()
    return Booted(db, which, rescued, recorded, batch.tail, suspects)


def _row(db: Database, now: Millis, node: str, program: Program) -> Boot:
    given = {
        "node": node,
        "pid": os.getpid(),
        "version": program.version,
        "now": now,
        "settings": program.settings,
        "definitions": dump(program.definitions),
    }
    return Boot(db.value(SQL["begin_boot"], given))


def _tail(db: Database) -> Tail:
    """Where the lives before this one left off."""
    return Tail(
        seq=db.value(SQL["last_position"]),
        row=db.value(SQL["last_row"]),
        audit_hash=db.value(SQL["last_audit"]),
        unfinished=db.value(SQL["unfinished"]),
    )
