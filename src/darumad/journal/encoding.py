"""Values as the journal stores them: JSON text with its sha256, and rows of the `record` view as work records."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from darumad.errors import Broken, DarumaError
from darumad.journal.database import Database
from darumad.journal.sql import SQL
from darumad.names import Attempt, Fence, Millis, Stage
from darumad.values import changed
from darumad.work.codec import item_from_text
from darumad.work.item import WorkItem, WorkRecord
from darumad.work.states import WorkState

STATES: Mapping[str, WorkState] = {each.value: each for each in WorkState}
STAGES: Mapping[str, Stage] = {each.value: each for each in Stage}
"""What a stored word means."""
WORDS: Mapping[Stage | WorkState, str] = {each: each.value for each in (*Stage, *WorkState)}
"""How it is stored: the plain text, for a word that is more than a `str` makes the driver look for an adapter."""

_UID, _STAGE, _AGENT = 1, 5, 32
_IN_JSON = frozenset({25, 28, 29, 30})
"""Where they stand in a row of the `record` view: the words that any item has, and what is JSON besides the body."""


def dump(value: Any) -> str:
    """`value` as JSON text.

    Raises:
        TypeError: it holds what JSON cannot say.
    """
    return orjson.dumps(value).decode()


def dump_or_null(value: Any) -> str | None:
    """`value` as JSON text; None stays a NULL."""
    return None if value is None else dump(value)


def load(text: str | None) -> Any:
    """What `dump` wrote; NULL is None."""
    return None if text is None else orjson.loads(text)


def sha256(text: str) -> str:
    """The digest that is stored beside a body: SQLite's pages carry no checksum of their own."""
    return hashlib.sha256(text.encode()).hexdigest()


def verified(body: str, digest: str, what: str) -> str:
    """The stored `body`, if it is what was written.

    Raises:
        Broken: it is not: the disk or somebody else changed it.
    """
    if sha256(body) != digest:
        raise Broken(f"{what} is not what was written: its sha256 differs. Restore the journal from a backup.")
    return body


def record_from_row(row: Sequence[Any], item: WorkItem | None = None) -> WorkRecord:
    """A row of the `record` view; with `item`, if it is known already, the row need not bring the body.

    Raises:
        Broken: the body is not what was written.
    """
    (
        _, uid, body, digest, state, stage, reason, rank, fence, attempt, attempt_open, boot, holder, failures, crashes,
        suspect, delays, parks, reviews, run_at, expires_at, created_at, ready_at, started_at, finished_at, error,
        origin, submitted_by, questions, answers, feedback, lineage, _, correlation_id,
    ) = row  # fmt: skip
    return WorkRecord(
        item=_with_expiry(item or item_of(body, digest, uid), expires_at),
        state=STATES[state],
        stage=STAGES[stage],
        reason=reason,
        rank=rank,
        fence=Fence(fence),
        attempt=Attempt(attempt),
        attempt_open=bool(attempt_open),
        boot=boot,
        holder=holder,
        failures=failures,
        crashes=crashes,
        suspect=bool(suspect),
        delays=delays,
        parks=parks,
        reviews=reviews,
        run_at=run_at,
        created_at=created_at,
        ready_at=ready_at,
        started_at=started_at,
        finished_at=finished_at,
        error=load(error),
        questions=_texts(questions),
        answers=_texts(answers),
        feedback=_mappings(feedback),
        lineage=lineage,
        origin=origin,
        submitted_by=submitted_by,
        correlation_id=correlation_id,
    )


def record_or_remains(row: Sequence[Any], db: Database) -> WorkRecord:
    """The same for whoever looks on: of one that cannot be read what stands beside its payload, and why.

    So one that the disk, or somebody else, has changed is seen among the others, and can be let go of.
    """
    try:
        return record_from_row(row)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are read too
        return _remains(row, db, error)


def _remains(row: Sequence[Any], db: Database, error: Exception) -> WorkRecord:
    ((phase, priority, lane),) = db.all(SQL["beside_payload"], {"uid": row[_UID]})
    stages = (STAGES[row[_STAGE]],)
    stand_in = WorkItem(
        id=row[_UID], description="", phase=phase, priority=priority, agent=row[_AGENT], stages=stages, lane=lane
    )
    plain = [None if at in _IN_JSON else each for at, each in enumerate(row)]
    return changed(record_from_row(plain, stand_in), unreadable=why_unreadable(error))


def why_unreadable(error: Exception) -> str:
    """What is said of an item that was not read because of this `error`, and what to do about it."""
    if isinstance(error, DarumaError):
        return str(error)
    what = f"{type(error).__name__}: {error}"
    return f"what the journal holds of it cannot be read ({what}). Restore the journal from a backup."


def item_of(body: str, digest: str, uid: str) -> WorkItem:
    """The item of this payload.

    Raises:
        Broken: the payload is not what was written.
        ValueError: it is, and is no item.
    """
    return item_from_text(verified(body, digest, f"the payload of {uid}"))


class RecentItems:
    """Items lately accepted or read, by the sha256 of their payload, so that a claim need not read them once more.

    Used by the writer's thread only. Nothing in here can be out of date: a payload that is edited has another sha256.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._items: OrderedDict[str, WorkItem] = OrderedDict()  # a dict would look for its oldest among the gone

    def add(self, digest: str, item: WorkItem) -> None:
        """Keep `item`, and let the oldest go."""
        self._items[digest] = item
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        self._items.clear()

    def known(self, digest: str) -> WorkItem | None:
        """The item of this payload; None where it must be read."""
        return self._items.get(digest)

    def read(self, body: str, digest: str, uid: str) -> WorkItem:
        """The item of this payload, which is known from now on.

        Raises:
            Broken: the payload is not what was written.
        """
        item = item_of(body, digest, uid)
        self.add(digest, item)
        return item


def _with_expiry(item: WorkItem, expires_at: Millis | None) -> WorkItem:
    # An operator's retry takes the expiry off the row; the payload stays as it was submitted.
    return item if item.expires_at == expires_at else changed(item, expires_at=expires_at)


def _texts(text: str | None) -> tuple[str, ...]:
    return tuple(load(text)) if text else ()


def _mappings(text: str | None) -> tuple[Mapping[str, Any], ...]:
    return tuple(load(text)) if text else ()
