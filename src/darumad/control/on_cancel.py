"""How an item is cancelled: in the journal at once, then its owner is revoked, and what ran is seen to stop."""

import asyncio
from collections.abc import Sequence
from typing import cast

from darumad.control.daemon import Running
from darumad.control.desk import Ask, Desk
from darumad.control.outlook import still_to_come
from darumad.control.replies import CancelReply
from darumad.control.wire import CancelRequest
from darumad.errors import DarumaError, Refused
from darumad.events import WorkStopped
from darumad.journal.requests import Cancel, Cancelled, Note
from darumad.names import ItemId
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState

COMMIT_PATIENCE = 1.0
"""Seconds that a cancel waits for its commit before it revokes all the same."""


async def cancel(desk: Desk, ask: Ask, request: CancelRequest) -> CancelReply:
    """Cancels an item and stops what runs for it. Works while every role actor is wedged: it asks none.

    A commit that fails or hangs does not keep the item's owner: it is revoked all the same, and spends nothing more.
    """
    name, reason = ItemId(request.id), request.reason or "cancelled by its operator"
    told = f"cancelled by {ask.peer.by}" + (f": {request.reason}" if request.reason else "")
    before = await desk.record(request.id)
    commit = desk.commits.begin(Cancel(items=(name,), reason=reason, audit=ask.audit(name)))
    await asyncio.wait({commit}, timeout=COMMIT_PATIENCE)
    answer = commit.result() if commit.done() else still_to_come(desk.daemon)
    if isinstance(answer, Refused):
        raise answer
    if isinstance(answer, Exception):
        raise await _revoked_all_the_same(desk, before, told, answer)
    cancelled = cast("Cancelled", answer)
    if not cancelled.running:
        return CancelReply(id=request.id, cancelled=cancelled.items, died=cancelled.died)
    if not request.wait:
        desk.leave_going(_stop_silently(desk, cancelled, told))
        return CancelReply(id=request.id, cancelled=cancelled.items, died=cancelled.died)
    return await _stop(desk, request.id, cancelled, told)


async def _stop(desk: Desk, name: str, cancelled: Cancelled, reason: str) -> CancelReply:
    """Revokes the owners, waits for what ran to stop, and records what became of it."""
    fact = await _revoked(desk, name, cancelled.running, reason, cancelled=True)
    return CancelReply(
        id=name,
        cancelled=cancelled.items,
        died=cancelled.died,
        stopped=fact.stopped,
        not_stopped=fact.not_stopped,
        after_ms=fact.after_ms,
    )


async def _stop_silently(desk: Desk, cancelled: Cancelled, reason: str) -> None:
    await _stop(desk, cancelled.items[0], cancelled, reason)


async def _revoked_all_the_same(desk: Desk, before: WorkRecord, reason: str, error: Exception) -> Exception:
    """The error of a cancel that was not committed, after whoever held the item was revoked; it says so."""
    running = _held(before)
    if not running or not isinstance(error, DarumaError):
        return error
    fact = await _revoked(desk, before.item.id, running, reason, cancelled=False)
    done = "stopped all the same" if fact.stopped else "revoked, and has not stopped yet"
    return error.adding(f"what ran for {before.item.id} was {done}")


async def _revoked(desk: Desk, name: str, running: Sequence[Running], reason: str, *, cancelled: bool) -> WorkStopped:
    stopped, not_stopped, after_ms = await desk.daemon.revoke(running, reason, cancelled)
    fact = WorkStopped(subject=name, stopped=tuple(stopped), not_stopped=tuple(not_stopped), after_ms=after_ms)
    desk.daemon.journal.post(Note(facts=(fact,)))
    return fact


def _held(record: WorkRecord) -> tuple[Running, ...]:
    """Who held the item when it was read."""
    if record.state is not WorkState.RUNNING or record.holder is None:
        return ()
    return ((record.item.id, record.holder, record.fence),)
