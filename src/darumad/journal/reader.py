"""Reading the journal: from any thread, on connections that cannot write and never hold up a checkpoint for long."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from darumad.errors import Refused
from darumad.events import Recorded
from darumad.journal.database import Database, DatabaseError, Row, is_damaged
from darumad.journal.encoding import STAGES, WORDS, dump, load, record_or_remains, verified, why_unreadable
from darumad.journal.money import account_of
from darumad.journal.sql import SQL
from darumad.names import AgentName, ItemId, Millis, NanoUsd, Position, Stage
from darumad.work.budget import Account, Budget
from darumad.work.conversation import MOST, Exchange, turns_of
from darumad.work.estimate import CameTo
from darumad.work.item import WorkRecord
from darumad.work.model import Message
from darumad.work.states import WorkState

_ITEM_FILTERS: Mapping[str, str] = {
    "state": "state = :state",
    "reason": "reason = :reason",
    "agent": "agent = :agent",
    "label": "id IN (SELECT item FROM label WHERE key = :key AND value = :value)",
    "conversation": "id IN (SELECT item FROM exchange WHERE conversation = :conversation)",
    "parent": "id IN (SELECT item FROM child WHERE parent = (SELECT id FROM item WHERE uid = :parent))",
    "after": "id > (SELECT id FROM item WHERE uid = :after)",
    "behind": "id > :behind",
}
PAGE = 500
"""So many items are read at a time by whoever goes through all of them."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EVENT_FILTERS: Mapping[str, str] = {"item": "subject = :item", "type": "type = :type"}


class Ready(NamedTuple):
    """Where items are ready: of which definition, in which stage and lane. `fresh` ones would begin their walk."""

    stage: Stage
    agent: AgentName
    lane: str
    fresh: bool


class Alike(NamedTuple):
    """Items that wait for the same: the first of them, how many there are, and since when the first waits."""

    first: ItemId
    items: int
    since: Millis


class _Reading(Database):
    """A reader's connection."""

    def all(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[Row]:
        """See `Database.all`.

        Raises:
            Refused: `bad_journal`: the page that was asked for is damaged.
        """
        try:
            return super().all(sql, values)
        except DatabaseError as error:
            if not is_damaged(error):
                raise
            said = f"the journal is damaged ({error}): `daruma journal check` says where. Restore it from a backup."
            raise Refused(said, code="bad_journal") from error


class Reader:
    """One connection a thread, made at its first question. Every answer is read whole before it is returned.

    Whatever is asked for raises Refused (`bad_journal`) where it stands on a damaged page.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open: list[Database] = []
        self._lock = threading.Lock()

    def record(self, item: ItemId) -> WorkRecord | None:
        """The item as it stands; where its payload cannot be read, the record says so (`unreadable`)."""
        row = self._db.one(SQL["record"], {"uid": item})
        return record_or_remains(row, self._db) if row else None

    def records(  # noqa: PLR0913 - each is said by name
        self,
        *,
        state: WorkState | None = None,
        reason: str | None = None,
        agent: AgentName | None = None,
        label: tuple[str, str] | None = None,
        conversation: ItemId | None = None,
        parent: ItemId | None = None,
        after: ItemId | None = None,
        limit: int = 100,
    ) -> list[WorkRecord]:
        """Items in the order of their acceptance, behind the item `after`; `label` is a key and its value."""
        wanted = {
            "state": state, "reason": reason, "agent": agent, "label": label, "conversation": conversation,
            "parent": parent, "after": after,
        }  # fmt: skip
        return [record_or_remains(row, self._db) for row in self._rows(wanted, limit)]

    def each_record(self, **wanted: Any) -> Iterator[WorkRecord]:
        """Every item that `records` would find for this, read a page at a time, whatever is purged meanwhile."""
        behind = 0
        while rows := self._rows({**wanted, "behind": behind}, PAGE):
            yield from (record_or_remains(row, self._db) for row in rows)
            behind = rows[-1][0]

    def _rows(self, wanted: Mapping[str, Any], limit: int) -> list[Row]:
        key, value = wanted.get("label") or (None, None)
        sql = f"SELECT * FROM record{_where(wanted, _ITEM_FILTERS)} ORDER BY id LIMIT :limit"  # noqa: S608 - own clauses
        return self._db.all(sql, {**wanted, "key": key, "value": value, "limit": limit})

    def result(self, item: ItemId) -> dict[str, Any] | None:
        """The result of a succeeded item; None for every other. Its `usage` is what all of its attempt used.

        Raises:
            Broken: it is not what was written.
        """
        row = self._db.one(SQL["result"], {"uid": item})
        if row is None:
            return None
        body, sha256, *used = row
        return {**load(verified(body, sha256, f"the result of {item}")), "usage": _usage(used)}

    def attempts(self, item: ItemId) -> list[dict[str, Any]]:
        """What became of each attempt; times in wall milliseconds, `nano_usd` null where a price was unknown.

        `resources_version` is the state of the template that it was last executed with, null where it was not yet.
        `lives` are those of the daemon that it was held in, each with the version of the program and the digests of
        its settings and of the item's definition.
        """
        return [_attempt(row) for row in self._db.all(SQL["attempts"], {"uid": item})]

    def steps(self, item: ItemId) -> list[dict[str, Any]]:
        """Every journalled step, attempt by attempt in the order they were made. `asked`: see `work.asked`."""
        names = ("attempt", "stage", "seq", "kind", "input_digest", "asked", "output", "at")
        rows = self._db.all(SQL["steps"], {"uid": item})
        return [{**dict(zip(names, row, strict=True)), "asked": load(row[5]), "output": load(row[6])} for row in rows]

    def names_upload(self, sha256: str) -> bool:
        """Whether any item names this upload. Reads every payload: for a purge, not for every day."""
        return bool(self._db.value(SQL["names_upload"], {"like": f"%{sha256}%"}))

    def mentioned_uploads(self, item: ItemId) -> frozenset[str]:
        """Whatever in the payload of `item` may name an upload: of one that cannot be read nobody knows which do."""
        return frozenset(_SHA256.findall(str(self._db.value(SQL["payload"], {"uid": item}))))

    def children(self, item: ItemId) -> list[dict[str, Any]]:
        """The first hundred items that name this one as their parent, and how each stands."""
        rows = self._db.all(SQL["children"], {"uid": item})
        return [{"id": uid, "state": state, "reason": reason} for uid, state, reason in rows]

    def turns(self, conversation: ItemId) -> tuple[Message, ...]:
        """What the next item of a conversation would be shown if its attempt began now."""
        rows = self._db.all(SQL["exchanges"], {"conversation": conversation, "most": MOST})
        return turns_of([Exchange(*row) for row in rows])

    def in_lane(self, lane: str, most: int) -> list[tuple[ItemId, str, str | None]]:
        """Who has a place in a lane that has limits, at most so many of them: each with its state and the reason."""
        rows = self._db.all(SQL["in_lane"], {"lane": lane, "most": most})
        return [(ItemId(uid), state, reason) for uid, state, reason, _ in rows]

    def lanes_in_line(self) -> frozenset[str]:
        """The lanes of which something is ready."""
        return frozenset(lane for _, _, lane in self._ranges_of_ready())

    def unfinished(self) -> frozenset[ItemId]:
        """Every item that is not at its end, all as of one moment: read state by state, one that goes on is missed."""
        return frozenset(ItemId(uid) for (uid,) in self._db.all(SQL["unfinished_items"]))

    def named_uploads(self) -> frozenset[str]:
        """Every upload that any item names, or may name that cannot be read. Reads every payload: for once an hour."""
        named = frozenset(sha256 for (sha256,) in self._db.all(SQL["named_uploads"]))
        return named.union(*(_SHA256.findall(str(body)) for (body,) in self._db.all(SQL["damaged_payloads"])))

    def effects(self, item: ItemId) -> list[dict[str, Any]]:
        """What its tools did outside, attempt by attempt: `started` means that nobody knows whether it was done."""
        names = ("key", "attempt", "seq", "tool", "arguments", "state", "idempotent", "output")
        rows = [dict(zip(names, row, strict=True)) for row in self._db.all(SQL["effects"], {"uid": item})]
        return [
            {
                **row,
                "arguments": load(row["arguments"]),
                "idempotent": bool(row["idempotent"]),
                "output": load(row["output"]),
            }
            for row in rows
        ]

    def outputs(self, item: ItemId) -> list[dict[str, Any]]:
        """What each finished stage made, oldest first."""
        rows = self._db.all(SQL["outputs"], {"uid": item})
        return [{"attempt": attempt, "stage": stage, "output": load(body)} for attempt, stage, body in rows]

    def events(
        self,
        since: int,
        limit: int = 500,
        item: str | None = None,
        type: str | None = None,  # noqa: A002 - its name
    ) -> list[Recorded]:
        """Events behind the position `since`, oldest first; of one subject, or of one type."""
        given = {"item": item, "type": type}
        where = _where(given, _EVENT_FILTERS, "seq > :since")
        sql = f"SELECT seq, at, type, subject, data FROM event{where} ORDER BY seq LIMIT :limit"  # noqa: S608 - own clauses
        rows = self._db.all(sql, {**given, "since": since, "limit": limit})
        return [Recorded(seq, at, name, subject, _said(data)) for seq, at, name, subject, data in rows]

    def counts(self) -> dict[WorkState, int]:
        """How many items are in each state; every state is named."""
        counted = {WorkState(state): count for state, count in self._db.all(SQL["counts"])}
        return {state: counted.get(state, 0) for state in WorkState}

    def ready(self) -> list[Ready]:
        """Where there are items that a claim may take, but for suspects; a few seeks, however many items there are."""
        ranges = [(*where, fresh) for where in self._ranges_of_ready() for fresh in (0, 1)]
        best = load(self._db.value(SQL["best_of_ranges"], {"asked": dump(ranges), "most": 1}))
        found = zip(ranges, best, strict=True)
        return [Ready(STAGES[stage], agent, lane, bool(fresh)) for (stage, agent, lane, fresh), items in found if items]

    def _ranges_of_ready(self) -> Sequence[tuple[str, AgentName, str]]:
        """Each stage, definition and lane of which something is ready."""
        ranges: Sequence[tuple[str, AgentName, str]] = load(
            self._db.value(SQL["ranges_of_ready"], {"asked": dump([WORDS[stage] for stage in Stage])})
        )
        return ranges

    def under_way(self) -> dict[AgentName, int]:
        """How many items of each definition run; one of which none does is not named."""
        return dict(self._db.all(SQL["under_way"]))

    def suspects(self) -> list[ItemId]:
        """The ready items that are to run alone, one after the other."""
        return [ItemId(uid) for (uid,) in self._db.all(SQL["suspects"])]

    def alike(self) -> list[Alike]:
        """What is ready, parked, or put off by an outage, together where it is alike.

        All but suspects and whoever waits for its sub-work.
        """
        return [Alike(ItemId(uid), items, Millis(since)) for uid, items, since in self._db.all(SQL["alike"])]

    def oldest_ready_at(self) -> Millis | None:
        """Since when the longest waiting ready item is ready; None when none is."""
        at = self._db.value(SQL["oldest_ready_at"])
        return None if at is None else Millis(at)

    def last_position(self) -> Position:
        """The position of the newest event; 0 before the first."""
        return Position(self._db.value(SQL["last_position"]))

    def position_before(self, at: Millis) -> Position:
        """The position of the newest event from before `at`, wall milliseconds; 0 when there is none."""
        return Position(self._db.value(SQL["position_before"], {"at": at}))

    def spent(self, day: str) -> NanoUsd:
        """What is settled on `day` (`2026-11-21`)."""
        return NanoUsd(self._db.value(SQL["spent"], {"day": day}))

    def accounts(self, budgets: Iterable[Budget]) -> dict[Budget, Account]:
        """How these budgets stand; one that nothing was ever booked under is empty."""
        wanted = list(dict.fromkeys(budgets))
        rows = self._db.all(SQL["budgets"], {"asked": dump([tuple(each) for each in wanted])})
        held = {Budget(*row[:2]): account_of(row[2:]) for row in rows}
        return {each: held.get(each, Account()) for each in wanted}

    def came_to(self, agent: AgentName, limit: int = 100) -> list[CameTo]:
        """What the newest succeeded items of a definition used, over all their attempts."""
        rows = self._db.all(SQL["came_to"], {"agent": agent, "limit": limit})
        return [CameTo(nano_usd=spent, tokens=tokens, calls=calls) for spent, tokens, calls in rows]

    def settings(self, prefix: str) -> dict[str, str]:
        """What survives restarts and has a key that begins so, by those keys."""
        return dict(self._db.all(SQL["settings"], {"first": prefix, "last": prefix[:-1] + chr(ord(prefix[-1]) + 1)}))

    def setting(self, key: str) -> str | None:
        """What survives restarts under this key; None when it was never set."""
        value: str | None = self._db.value(SQL["setting"], {"key": key})
        return value

    def audits(self, limit: int = 100) -> list[dict[str, Any]]:
        """Who changed what, newest first; each row's `hash` covers the one before it."""
        names = ("at", "via", "by", "pid", "action", "target", "request_id", "previous", "hash")
        return [dict(zip(names, row, strict=True)) for row in self._db.all(SQL["audits"], {"limit": limit})]

    def close(self) -> None:
        """Close every thread's connection; a later question opens one anew."""
        with self._lock:
            open_, self._open = self._open, []
            self._local = threading.local()
        for each in open_:
            each.close()

    @property
    def _db(self) -> Database:
        database: Database | None = getattr(self._local, "database", None)
        if database is None:
            database = _Reading.reader(self._path)
            self._local.database = database
            with self._lock:
                self._open.append(database)
        return database


def _said(data: str) -> Mapping[str, Any]:
    """What an event says, or why nobody can tell: whoever follows goes on behind it."""
    try:
        said: Mapping[str, Any] = load(data)
    except ValueError as error:
        return {"unreadable": why_unreadable(error)}
    return said


def _where(given: Mapping[str, Any], filters: Mapping[str, str], *always: str) -> str:
    clauses = [*always, *(filters[name] for name, value in given.items() if value is not None)]
    return f" WHERE {' AND '.join(clauses)}" if clauses else ""


def _usage(columns: Sequence[Any]) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cached_tokens", "calls", "nano_usd")
    return dict(zip(names, columns, strict=True))


def _attempt(row: Row) -> dict[str, Any]:
    attempt, started_at, ended_at, outcome, error, *used, resources_version, lives = row
    return {
        "attempt": attempt,
        "started_at": started_at,
        "ended_at": ended_at,
        "outcome": outcome,
        "error": load(error),
        "usage": _usage(used),
        "resources_version": resources_version,
        "lives": load(lives),
    }
