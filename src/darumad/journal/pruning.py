"""What is kept, for how long, and how it goes: in small bites, behind a cursor, so that nobody waits for it.

An item that is gone leaves its id, its digest and how it ended: a late repetition is still known, and whoever depends
on it still learns that it succeeded.
"""

from collections.abc import Sequence
from typing import Any

from darumad.errors import Refused, unknown_item
from darumad.events import WorkPurged
from darumad.journal.batch import Batch
from darumad.journal.requests import Answer, Prune, Pruned, Purge, Purged
from darumad.journal.sql import SQL
from darumad.names import ItemId
from darumad.work.states import UNFINISHED, WorkState

BITE = 500
"""Rows of each kind that one request lets go at most."""


def prune(batch: Batch, asked: Sequence[Prune]) -> list[Answer]:
    """One bite each."""
    return [_prune(batch, each) for each in asked]


def purge(batch: Batch, asked: Sequence[Purge]) -> list[Answer]:
    """At once, and with nothing left behind in the file: the connection overwrites whatever is deleted."""
    return [_purge(batch, each) for each in asked]


def _prune(batch: Batch, asked: Prune) -> Pruned:
    walked = batch.db.all(SQL["finished_behind"], {"behind": asked.behind, "limit": BITE})
    old = [(row, uid) for row, uid, _, ended, free in walked if ended is not None and ended < asked.items and free]
    steps = [row for row, _, state, ended, _ in walked if state == WorkState.SUCCEEDED and ended < asked.steps]
    batch.run_if_any("prune_steps", steps)
    _let_go(batch, old, forget_at=batch.now + asked.remember_ms)
    limits = {"limit": BITE, "now": batch.now}
    events = batch.db.all(SQL["prune_events"], {**limits, "before": asked.events})
    batch.db.all(SQL["prune_reservations"], {**limits, "before": asked.items})
    batch.db.all(SQL["forget"], limits)
    more = len(walked) == BITE or len(events) == BITE
    behind = walked[-1][0] if walked else asked.behind
    return Pruned(tuple(uid for _, uid in old), len(events), behind=behind if more else None)


def _purge(batch: Batch, asked: Purge) -> Purged | Refused:
    rows = batch.run("purgeable", [asked.item])
    if not rows:
        return unknown_item(asked.item)
    row, state, free = rows[0]
    if WorkState(state) in UNFINISHED:
        return Refused(f"{asked.item} is {state}: cancel it first", code="conflict")
    if not free:
        return Refused(f"others wait for {asked.item}, which is {state}: purge those first", code="conflict")
    _let_go(batch, [(row, asked.item)], forget_at=batch.now + asked.remember_ms)
    batch.db.all(SQL["blank_events"], {"subject": asked.item})
    batch.recent.clear()
    batch.record([WorkPurged(asked.item, asked.audit.by)])
    batch.audit(asked.audit)
    return Purged(asked.item)


def _let_go(batch: Batch, items: Sequence[tuple[int, ItemId]], *, forget_at: int) -> None:
    rows: list[Any] = [row for row, _ in items]
    if rows:
        batch.run("remember", rows, forget_at=forget_at)
        batch.run("free_dependents", rows)
        batch.run("close_item_budgets", [f"item:{uid}" for _, uid in items])
        batch.run("let_go", rows)
