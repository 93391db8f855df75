"""The order in which a batch is carried out: pure.

All of one kind at once, but each item's requests as they were posted.

Two requests of one item never share a statement: of two moves in one UPDATE only the first would count. What names no
item (claims, promotions) comes last and sees what the batch did before it. A rescue names the holders that lived when
it was posted: what was posted after it, perhaps for a holder that it does not know, is carried out after it. A clock
that was set back comes first of all: it goes by events, and those of the batch are not there yet.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from darumad.journal.requests import (
    Accept,
    Cancel,
    Claim,
    Demand,
    DropSteps,
    Edit,
    EffectEnd,
    EffectStart,
    Move,
    Note,
    PromoteDue,
    Prune,
    Purge,
    Release,
    ReleaseRepaired,
    Request,
    Rescue,
    Reserve,
    SetBack,
    Setting,
    Settle,
    Step,
)

Group = tuple[type[Any], list[Any]]
"""Requests of one kind that run as one statement."""

KINDS: tuple[type[Any], ...] = (
    SetBack, Move, Step, DropSteps, EffectEnd, EffectStart, Settle, Reserve, Cancel, Edit, Release, Accept, Setting,
    Note, PromoteDue, ReleaseRepaired, Demand, Claim, Purge, Prune, Rescue,
)  # fmt: skip
"""Within a round, in this order: completes before accepts, claims when all is said."""

_PLACE: Mapping[type[Any], int] = {kind: place for place, kind in enumerate(KINDS)}
_LAST = frozenset({PromoteDue, ReleaseRepaired, Demand, Rescue, Claim, Purge, Prune})
_OF_ONE_ITEM = frozenset({Move, Step, DropSteps, EffectStart, EffectEnd})
"""What touches the item that it names and nothing else."""


def _none(_: Any) -> Iterable[Hashable]:
    return ()


_TOUCHES: Mapping[type[Any], Callable[[Any], Iterable[Hashable]]] = {
    Reserve: lambda each: (each.item, ("reservation", each.id)),
    Settle: lambda each: (("reservation", each.id),),
    Cancel: lambda each: each.items,
    Release: lambda each: each.items,
    Edit: lambda each: (each.item.id,),
    Accept: lambda each: [new.item.id for new in each.items],
    Setting: lambda each: [("setting", key) for key in each.values],
}
"""What any other request touches, so that a later one that touches it too comes in a later round."""


def groups(requests: Sequence[Request]) -> list[Group]:
    """The statements to run, in order."""
    found = [group for stretch in _stretches(requests) for group in _rounds(stretch)]
    return sorted(found, key=lambda group: group[0] is not SetBack)


def _stretches(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """The requests in parts, each up to a rescue."""
    begin = 0
    for place, each in enumerate(requests, 1):
        if type(each) is Rescue:
            yield requests[begin:place]
            begin = place
    yield requests[begin:]


def _rounds(requests: Sequence[Request]) -> list[Group]:
    rounds: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    busy: dict[Hashable, int] = {}
    for each in requests:
        kind = type(each)
        if kind in _OF_ONE_ITEM:
            turn = busy.get(each.item, 0)  # type: ignore[union-attr] # these kinds have one
            busy[each.item] = turn + 1  # type: ignore[union-attr] # as above
        elif kind in _LAST:
            turn = len(requests)
        else:
            turn = _turn(busy, _TOUCHES.get(kind, _none)(each))
        rounds[turn, _PLACE[kind]].append(each)
    return [(KINDS[place], rounds[turn, place]) for turn, place in sorted(rounds)]


def _turn(busy: dict[Hashable, int], touched: Iterable[Hashable]) -> int:
    """The first round in which all that is `touched` is free; it is busy until then."""
    keys = tuple(touched)
    turn = 0
    for key in keys:
        turn = max(turn, busy.get(key, 0))
    for key in keys:
        busy[key] = turn + 1
    return turn
