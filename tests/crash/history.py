"""What happened, told by three witnesses: the clients, the model server, and the database of a dead daemon.

Nothing of Daruma is imported here. Instants are monotonic nanoseconds, which every process of one machine shares.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

Fate = Literal["succeeds", "dies", "may die", "any"]
"""How an item must end: dead by what its model says, perhaps by what its agent does; `any` other end is a client's."""
Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Wish:
    """An item as its client sent it, whether or not the client ever got an answer."""

    item: str
    description: str
    needs: tuple[str, ...] = ()
    fate: Fate = "any"
    lane: str = "default"


@dataclass(frozen=True, slots=True)
class Answered:
    """The daemon told a client that it has the item."""

    at: int
    item: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The daemon told a client that the item is cancelled."""

    at: int
    item: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A client was about to ask for this: an item to be retried, or an agent to be restarted, or all of them."""

    at: int
    whom: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A client read an item: its state, and of a finished one the words of its result."""

    at: int
    item: str
    state: str
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A model call as the server saw it.

    `heard` are the words of earlier replies that the request repeats, in order; `said` is this reply's own random
    word. `whole` when the answer went out to its last byte; `nano_usd` is what the server counts for it.
    """

    at: int
    item: str
    stage: str
    prompt: str
    heard: tuple[str, ...]
    said: str
    whole: bool
    fault: str | None = None
    nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """One death: of the daemon, or of its orchestrator alone (`daemon` is False).

    The rest is of the dead file: each item's state with its stage, each item's fence, and whose reservations were open.
    """

    at: int
    where: str
    daemon: bool = True
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fences: Mapping[str, int] = field(default_factory=dict)
    unsettled: frozenset[str] = frozenset()

    def caught(self, item: str) -> bool:
        """Whether the item was running."""
        return self.states.get(item, ("", ""))[0] == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All of it, each witness in the order of time."""

    wishes: Mapping[str, Wish] = field(default_factory=dict)
    answered: tuple[Answered, ...] = ()
    cancelled: tuple[Cancelled, ...] = ()
    retried: tuple[Asked, ...] = ()
    restarted: tuple[Asked, ...] = ()
    seen: tuple[Seen, ...] = ()
    calls: tuple[Call, ...] = ()
    kills: tuple[Kill, ...] = ()
    tables: Tables = field(default_factory=dict)

    def until(self, instant: int, tables: Tables) -> "History":
        """What the witnesses knew by `instant`, against these tables: for a disk that was cut off then."""
        return replace(
            self,
            answered=tuple(each for each in self.answered if each.at <= instant),
            cancelled=tuple(each for each in self.cancelled if each.at <= instant),
            retried=tuple(each for each in self.retried if each.at <= instant),
            restarted=tuple(each for each in self.restarted if each.at <= instant),
            seen=tuple(each for each in self.seen if each.at <= instant),
            calls=tuple(each for each in self.calls if each.at <= instant),
            kills=(),
            tables=tables,
        )


# --- the witnesses' logs ----------------------------------------------------------------------------------------------


def clients_said(logs: Iterable[Path]) -> History:
    """A history of what the clients wrote down: one JSON object a line, `what` naming its kind."""
    lines = sorted((line for log in logs for line in read_lines(log)), key=lambda line: int(line["at"]))
    of = {
        kind: tuple(line for line in lines if line["what"] == kind)
        for kind in ("sent", "answered", "cancelled", "retried", "restarted", "seen")
    }
    return History(
        wishes={line["item"]: _wish(line) for line in of["sent"]},
        answered=tuple(Answered(line["at"], line["item"]) for line in of["answered"]),
        cancelled=tuple(Cancelled(line["at"], line["item"]) for line in of["cancelled"]),
        retried=tuple(Asked(line["at"], line["item"]) for line in of["retried"]),
        restarted=tuple(Asked(line["at"], line["item"]) for line in of["restarted"]),
        seen=tuple(Seen(line["at"], line["item"], line["state"], line["result"]) for line in of["seen"]),
    )


def calls_seen(log: Path) -> tuple[Call, ...]:
    """What the model server wrote down, in order of arrival."""
    return tuple(
        sorted((Call(**{**line, "heard": tuple(line["heard"])}) for line in read_lines(log)), key=lambda call: call.at)
    )


def read_lines(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a writer that was killed may have left half of its last one."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().split("\n")[:-1]]


def _wish(line: Mapping[str, Any]) -> Wish:
    return Wish(line["item"], line["description"], tuple(line["needs"]), line["fate"], line["lane"])


# --- the dead file ----------------------------------------------------------------------------------------------------

_READ: Mapping[str, str] = {
    "item": "SELECT id, uid, state, stage, fence, attempt, attempt_open, reason FROM item",
    "payload": "SELECT item.uid, payload.body FROM payload JOIN item ON item.id = payload.item",
    "result": "SELECT item.uid, result.fence, result.body FROM result JOIN item ON item.id = result.item",
    "step": "SELECT item.uid, step.attempt, step.stage, step.seq, step.fence, step.output"
    " FROM step JOIN item ON item.id = step.item ORDER BY item.uid, step.attempt, step.stage, step.seq",
    "hold": "SELECT item.uid, hold.fence, hold.attempt, hold.boot, hold.claimed_at, hold.ended_at"
    " FROM hold JOIN item ON item.id = hold.item ORDER BY item.uid, hold.fence",
    "boot": "SELECT boot, started_at FROM boot ORDER BY boot",
    "dependency": "SELECT item.uid, needed.uid AS needs FROM dependency"
    " JOIN item ON item.id = dependency.item JOIN item AS needed ON needed.id = dependency.needs",
    "event": "SELECT seq, type, subject FROM event WHERE type LIKE 'work.%' ORDER BY seq",
    "attempt": "SELECT item.uid, attempt.attempt, attempt.nano_usd, attempt.calls"
    " FROM attempt JOIN item ON item.id = attempt.item",
    "reservation": "SELECT item AS uid, fence, agent, provider, day, estimate, settled_at, nano_usd, calls"
    " FROM reservation",
    "budget": "SELECT scope, period, spent, reserved, reserved_calls FROM budget",
}
"""What the rules look at, in the file's own words."""


def tables_of(database: Path) -> Tables:
    """The rows that the rules look at. Nobody else may have the file open.

    Raises:
        sqlite3.DatabaseError: it is no database, or a broken one: what is no row of its table is read as any other.
    """
    with closing(sqlite3.connect(database)) as connection:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
    return read_tables(database, _READ)


def read_tables(database: Path, names: Iterable[str]) -> Tables:
    """Some of them; none of a file that is empty yet."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return dict.fromkeys(names, ())
        return {name: [dict(row) for row in connection.execute(_READ[name])] for name in names}
