"""Whether a journal is what was written: its pages, its references, its digests, its chain and its promises.

Reads only, in slices, beside a running daemon or without one. `python -m darumad.journal.checking DIRECTORY` prints
what it finds as JSON; the daemon runs that in a child of its own, for the pages of a large file take a while.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from darumad.errors import Refused
from darumad.journal.batch import audit_hash
from darumad.journal.database import Database, DatabaseError, Row
from darumad.journal.encoding import dump, sha256
from darumad.journal.sql import SQL
from darumad.journal.state_directory import StateDirectory, check_access, ours
from darumad.values import Value, asdict

SLICE = 1000
"""Rows read at once: a reader that stays longer keeps the log from shrinking."""
MOST = 20
"""Findings told of each kind, at most."""
LATELY = 10_000
"""Rows of the audit that are looked at in any case: it is kept for ever."""


class Checked(Value):
    """What was looked at, and everything that is wrong with it, in sentences."""

    looked_at: tuple[str, ...]
    wrong: tuple[str, ...]


def check(state: StateDirectory, *, quick: bool) -> Checked:
    """The journal in `state`, looked at from every side; `quick` leaves out what SQLite itself takes long for.

    Raises:
        Refused: `no_file`: there is none; `bad_journal`: it cannot be opened at all, or is another program's;
            `bad_place`: it is for somebody else to open; `read_only`: it cannot be opened there.
        Unavailable: `disk_full`: not even what SQLite needs beside it can be made.
    """
    check_access(state, *state.database_files)
    if not state.database.exists():
        raise Refused(f"there is no journal in {state.path}", code="no_file")
    looks = {**QUICK, **({} if quick else THOROUGH)}
    with ours(state, Database.reader) as db:
        wrong = [f"{name}: {each}" for name, look in looks.items() for each in _told(db, look)]
    return Checked(tuple(looks), tuple(wrong))


def _told(db: Database, look: Callable[[Database], Iterator[str]]) -> Iterator[str]:
    try:
        for count, each in enumerate(look(db)):
            if count == MOST:
                yield "and more"
                return
            yield each
    except DatabaseError as error:
        yield f"it cannot be read: {error}"


def _pages_quickly(db: Database) -> Iterator[str]:
    return _said(db, "PRAGMA quick_check")


def _pages(db: Database) -> Iterator[str]:
    return _said(db, "PRAGMA integrity_check")


def _references(db: Database) -> Iterator[str]:
    for table, row, parent, _ in db.all("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} names a row of {parent} that is not there"


def _payloads(db: Database) -> Iterator[str]:
    return _digests(db, "payloads_behind", "payload")


def _results(db: Database) -> Iterator[str]:
    return _digests(db, "results_behind", "result")


def _promises(db: Database) -> Iterator[str]:
    for uid, state in db.all(SQL["succeeded_without_result"]):
        yield f"{uid} is {state} and has no result of its fence"


def _chain(db: Database) -> Iterator[str]:
    return _chain_behind(db, 0, "")


def _end_of_chain(db: Database) -> Iterator[str]:
    behind, link = db.one(SQL["audit_before"], {"most": LATELY}) or (0, "")
    return _chain_behind(db, behind, link)


def _chain_behind(db: Database, behind: int, previous: str) -> Iterator[str]:
    for row in _slices(db, "audits_behind", behind):
        place, at, *asked, before, link = row
        if before != previous or audit_hash(previous, at, asked) != link:
            yield f"row {place} of the audit does not follow from the one before it"
        previous = link


def _said(db: Database, pragma: str) -> Iterator[str]:
    return (each for (each,) in db.all(pragma) if each != "ok")


def _digests(db: Database, name: str, what: str) -> Iterator[str]:
    for _, uid, body, digest in _slices(db, name):
        if sha256(body) != digest:
            yield f"the {what} of {uid} is not what was written"


def _slices(db: Database, name: str, behind: int = 0) -> Iterable[Row]:
    while rows := db.all(SQL[name], {"behind": behind, "limit": SLICE}):
        yield from rows
        behind = rows[-1][0]


QUICK: Mapping[str, Callable[[Database], Iterator[str]]] = {
    "pages": _pages_quickly,
    "results": _results,
    "promises": _promises,
    "audit": _end_of_chain,
}
"""What is looked at in any case."""
THOROUGH: Mapping[str, Callable[[Database], Iterator[str]]] = {
    "indexes": _pages,
    "references": _references,
    "payloads": _payloads,
    "audit": _chain,
}
"""What is looked at when somebody asks; of the same name, it is the whole of that."""


if __name__ == "__main__":
    print(dump(asdict(check(StateDirectory(Path(sys.argv[1])), quick=True))))  # noqa: T201 - its parent reads it
