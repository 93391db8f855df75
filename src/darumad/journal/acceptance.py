"""Whether the journal accepts a submit. Pure: a batch of submits is judged one by one without a statement each.

What a caller sent was made into items, and checked as such, in `control.admission`. Here it is held against what the
journal has already: ids that are taken, items depended on, parents, and the room that is left.
"""

from collections.abc import Iterator, Mapping

from darumad.errors import DarumaError, Problem, Refused, Unavailable
from darumad.journal.requests import Accept, NewItem
from darumad.names import ItemId, Millis
from darumad.plural import counted
from darumad.values import Value, field
from darumad.work.dependencies import find_cycle
from darumad.work.item import WorkItem
from darumad.work.states import WorkState
from darumad.work.subwork import refusal_below
from darumad.work.validation import expired

DISK_RETRY = 30.0
"""Seconds after which a caller may ask whether there is room again."""
LOST = frozenset({WorkState.DEAD, WorkState.CANCELLED})


class Known(Value):
    """What the journal holds under an id already, or will once this batch is written; `depth` as in `work.subwork`."""

    digest: str
    state: WorkState
    depth: int = 0


class NewItems(Value):
    """The items of one submit that are new, each with the state it begins in; `depths` of those that have a parent."""

    new: tuple[tuple[NewItem, WorkState], ...]
    depths: Mapping[ItemId, int] = field(default_factory=dict)


def new_items_of(
    accept: Accept, known: Mapping[ItemId, Known], unfinished: int, *, now: Millis, low_on_disk: str | None = None
) -> NewItems | DarumaError:
    """The items of `accept` that the journal does not hold yet, or the error that refuses all of it.

    An item that was accepted before takes no room, and is refused only where its body is another now.

    Args:
        accept: the submit.
        known: what the journal holds under the ids that it names, with what this batch has accepted so far.
        unfinished: how many items are not at their end.
        now: wall milliseconds.
        low_on_disk: why the disk takes nothing new; None while it does.
    """
    new: dict[ItemId, NewItem] = {}
    for each in accept.items:
        held = known[each.item.id].digest if each.item.id in known else _digest(new.get(each.item.id))
        if held is None:
            new[each.item.id] = each
        elif held != each.digest:
            return Refused(f"{each.item.id} was submitted before with another body", code="conflict")
    depths, wrong = _ties(new, known)
    refusal = _refusal(accept, new, known, unfinished, now) if not wrong else _orphans(accept, wrong)
    if new and not refusal and low_on_disk:
        refusal = Unavailable(low_on_disk, code="disk_full", retry_after=DISK_RETRY)
    return refusal or NewItems(tuple((each, _begins(each, known)) for each in new.values()), depths)


def _refusal(
    accept: Accept, new: Mapping[ItemId, NewItem], known: Mapping[ItemId, Known], unfinished: int, now: Millis
) -> DarumaError | None:
    problems = [
        Problem(f"/items/{place}{wrong.pointer}", wrong.detail)
        for place, each in enumerate(accept.items)
        if (each.item.depends_on or each.item.expires_at is not None) and each.item.id in new
        for wrong in (*_lost(each.item, new, known), *expired(each.item.expires_at, now))
    ]
    if problems:
        return Refused("nothing was accepted", problems=problems)
    needs = {uid: each.item.depends_on for uid, each in new.items() if each.item.depends_on}
    if needs and (members := find_cycle(needs)):
        return Refused(f"these depend on each other in a circle: {', '.join(members)}", code="cycle")
    if new and unfinished + len(new) > accept.max_unfinished:
        there = f"{counted(unfinished, 'unfinished item')} of at most {accept.max_unfinished}"
        said = f"{there}: {len(new)} more would be too many"
        return Unavailable(said, code="queue_full")
    return None


def _lost(item: WorkItem, new: Mapping[ItemId, NewItem], known: Mapping[ItemId, Known]) -> Iterator[Problem]:
    """The dependencies of a new item that it would wait for in vain."""
    for index, uid in enumerate(item.depends_on):
        pointer = f"/depends_on/{index}"
        if uid not in known and uid not in new:
            yield Problem(pointer, f"{item.id} depends on {uid}, which the journal does not know")
        elif uid in known and known[uid].state in LOST:
            yield Problem(pointer, f"{item.id} depends on {uid}, which is {known[uid].state}")


def _ties(new: Mapping[ItemId, NewItem], known: Mapping[ItemId, Known]) -> tuple[dict[ItemId, int], dict[ItemId, str]]:
    """How deep the new items are that have a parent, and what is wrong with whose; it stands before its children."""
    depths: dict[ItemId, int] = {}
    wrong: dict[ItemId, str] = {}
    before: set[ItemId] = set()
    for uid, each in new.items():
        parent = each.item.parent
        if parent is not None:
            above = known.get(parent) or (Known("", each.state, depths.get(parent, 0)) if parent in before else None)
            depths[uid] = above.depth + 1 if above else 1
            if said := refusal_below(parent, above.state if above else None, depths[uid] - 1):
                wrong[uid] = said
        before.add(uid)
    return depths, wrong


def _orphans(accept: Accept, wrong: Mapping[ItemId, str]) -> Refused:
    problems = [
        Problem(f"/items/{place}/parent", f"the parent of {each.item.id} {wrong[each.item.id]}")
        for place, each in enumerate(accept.items)
        if each.item.id in wrong
    ]
    return Refused("nothing was accepted", problems=problems)


def _begins(each: NewItem, known: Mapping[ItemId, Known]) -> WorkState:
    for uid in each.item.depends_on:
        if uid not in known or known[uid].state is not WorkState.SUCCEEDED:
            return WorkState.WAITING
    return each.state


def _digest(each: NewItem | None) -> str | None:
    return each.digest if each else None
