"""One batch on its way into a transaction: its time, its connection, and what its COMMIT will have to tell.

The rooms' handlers change rows through `run`; facts and audits are gathered and written once, at the end.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from darumad.events import Fact, Recorded
from darumad.journal.database import Database, Row
from darumad.journal.encoding import RecentItems, dump
from darumad.journal.requests import Audit
from darumad.journal.room import Room
from darumad.journal.sql import LARGEST, OVER_ROWS, SQL, filled
from darumad.names import Boot, Millis, Seconds
from darumad.values import Value, astuple
from darumad.work.lanes import Turns


class Tail(Value, kw_only=True):
    """Where the journal ends: what the next batch goes on from. Replaced after COMMIT, so a ROLLBACK needs no undoing.

    `seq` is the last event's, `row` the last item's; `unfinished` counts the items that are waiting, ready, scheduled,
    running or parked.
    """

    seq: int
    row: int
    audit_hash: str
    unfinished: int


@dataclass(slots=True)
class Batch:
    """What the handlers of one transaction share. `lived` is how long this boot has been up, in seconds."""

    db: Database
    now: Millis
    boot: Boot
    ageing_ms: int
    lived: Seconds
    tail: Tail
    suspects: bool = False
    recent: RecentItems = field(default_factory=RecentItems)
    room: Room | None = None
    turns: Turns = field(default_factory=Turns)  # replaced by a claim, and kept after COMMIT, as the tail is
    unfinished: int = 0
    rows: int = 0
    facts: list[Fact] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Where the events stand: whatever is recorded from now on comes behind it."""
        return self.tail.seq + len(self.facts)

    def run(self, name: str, asked: Sequence[Any], **more: Any) -> list[Row]:
        """Runs the named statement over `asked`: rows for one that takes a table of them, else a JSON array.

        `now`, `boot` and `ageing` are there for every statement.
        """
        if name not in OVER_ROWS:
            return self.db.all(SQL[name], {"asked": dump(asked), **self._given, **more})
        if 0 < len(asked) <= LARGEST:
            return self._run_rows(name, asked)
        return [row for part in _parts(asked) for row in self._run_rows(name, part)]

    def run_if_any(self, name: str, asked: Sequence[Any], **more: Any) -> list[Row]:
        """As `run`; nothing at all when `asked` is empty."""
        return self.run(name, asked, **more) if asked else []

    def new_rows(self, count: int) -> range:
        """Numbers for so many new items. Those of a request that is rolled back stay unused."""
        first = self.tail.row + self.rows + 1
        self.rows += count
        return range(first, first + count)

    def record(self, facts: Iterable[Fact]) -> None:
        """These facts become events when the batch is written."""
        self.facts.extend(facts)

    def audit(self, audit: Audit) -> None:
        """Who asked for this change becomes an audit row when the batch is written."""
        self.audits.append(audit)

    def mark(self) -> tuple[int, int, int]:
        """How far the batch has come, for `back_to`."""
        return len(self.facts), len(self.audits), self.unfinished

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Forget what was gathered since `mark`: its savepoint was rolled back."""
        facts, audits, self.unfinished = mark
        del self.facts[facts:]
        del self.audits[audits:]

    def prove(self, mark: tuple[int, int, int]) -> None:
        """See that what was gathered since `mark` can be written, while it is known whose it is.

        Raises:
            TypeError: a fact or an audit holds what JSON cannot say, such as text with a lone surrogate.
        """
        facts, audits, _ = mark
        dump([(each.subject, each.data()) for each in self.facts[facts:]])
        dump([astuple(each) for each in self.audits[audits:]])

    def write(self) -> tuple[Recorded, ...]:
        """The gathered facts and audits become rows. What they will be read as, once the batch is committed."""
        recorded = self._recorded()
        self.run_if_any("record_events", [(each.seq, each.type, each.subject, dump(each.data)) for each in recorded])
        audits, last_hash = self._chained()
        self.run_if_any("record_audits", audits)
        self.tail = Tail(
            seq=self.tail.seq + len(recorded),
            row=self.tail.row + self.rows,
            audit_hash=last_hash,
            unfinished=self.tail.unfinished + self.unfinished,
        )
        return recorded

    def _run_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        shared = {":now": self.now, ":boot": self.boot, ":ageing": self.ageing_ms}
        return self.db.all(*filled(name, rows, shared))

    @property
    def _given(self) -> dict[str, Any]:
        return {"now": self.now, "boot": self.boot, "ageing": self.ageing_ms}

    def _recorded(self) -> tuple[Recorded, ...]:
        return tuple(
            [
                Recorded(seq, self.now, fact.name, fact.subject, fact.data())
                for seq, fact in enumerate(self.facts, self.tail.seq + 1)
            ]
        )

    def _chained(self) -> tuple[list[tuple[Any, ...]], str]:
        """The audits' rows, each with the hash of the one before it, and the last hash."""
        rows = []
        previous = self.tail.audit_hash
        for each in self.audits:
            row = (each.via, each.by, each.pid, each.action, each.target, each.request_id)
            link = audit_hash(previous, self.now, row)
            rows.append((*row, previous, link))
            previous = link
        return rows, previous


def _parts(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + LARGEST] for start in range(0, len(rows), LARGEST)]


def audit_hash(previous: str, at: int, row: Sequence[Any]) -> str:
    """The hash that chains an audit row (via, by, pid, action, target, request id) to the one before it."""
    return hashlib.sha256(dump([previous, at, *row]).encode()).hexdigest()
