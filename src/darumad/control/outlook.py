"""The outlook of an item: what it waits for or was ended by, and what its caller should know of that.

Read from what the daemon knows of its agents, and from the journal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.control.desk import Desk
from darumad.control.views import lacking, waits_for
from darumad.events import WorkCancelled
from darumad.names import ItemId
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState

_STUCK = frozenset({WorkState.PARKED, WorkState.DEAD, WorkState.CANCELLED})
"""States that an item leaves only when somebody does something about it."""


def idle(desk: Desk, record: WorkRecord) -> Sequence[str]:
    """What its caller should know of an item that nobody would take as things are."""
    missing = _lacking(desk, record)
    return () if missing is None else (f"it waits for {missing}",)


def needs(desk: Desk, record: WorkRecord) -> str | None:
    """What a parked item needs, or one that nobody can take; None for one that is under way."""
    return waits_for(record, _lacking(desk, record))


async def cancelled_by(desk: Desk, record: WorkRecord) -> Mapping[str, Any] | None:
    """Who cancelled the item and why; None when nobody did, or its event is kept no longer."""
    if record.state is not WorkState.CANCELLED:
        return None
    found = await desk.read(desk.house.reader.events, 0, 1, record.item.id, WorkCancelled.name)
    return found[-1].data if found else None


def _lacking(desk: Desk, record: WorkRecord) -> str | None:
    return lacking(record.item.agent, desk.house.definitions(), desk.turn.unmade())


async def held_up(desk: Desk, records: Sequence[WorkRecord]) -> Mapping[ItemId, Sequence[str]]:
    """By item, what its caller should know of those it depends on: one that is parked or dead lets nobody on.

    Those that were handed in together are not looked at: their own answers tell. An item that is not named here has
    nothing to be told.
    """
    following = [each for each in records if each.item.depends_on]
    together = {each.item.id for each in records} if following else set()
    wanted = {each for record in following for each in record.item.depends_on} - together
    found = await desk.read(_states, desk, wanted) if wanted else {}
    return {record.item.id: [found[each] for each in record.item.depends_on if each in found] for record in following}


def _states(desk: Desk, wanted: Iterable[ItemId]) -> Mapping[ItemId, str]:
    found = (desk.house.reader.record(each) for each in wanted)
    return {
        each.item.id: f"it comes after {each.item.id}, which is {each.state.value}"
        + (f" ({each.reason})" if each.reason else "")
        for each in found
        if each is not None and each.state in _STUCK
    }
