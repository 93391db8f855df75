"""The order in which a batch is carried out: pure. All of one kind at once, but each item's requests as they were posted.

Two requests of one item never share a statement: of two moves in one UPDATE only the first would count. What names no
item (claims, rescues, promotions) comes last and sees what the batch did before it.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from darumad.journal.requests import (
    Accept,
    Cancel,
    Claim,
    Move,
    Note,
    PromoteDue,
    Release,
    Request,
    Rescue,
    Reserve,
    Setting,
    Settle,
    Step,
)

Group = tuple[type[Any], list[Any]]
"""Requests of one kind that run as one statement."""

KINDS: tuple[type[Any], ...] = (
    Move, Step, Settle, Reserve, Cancel, Release, Accept, Setting, Note, PromoteDue, Rescue, Claim,
)  # fmt: skip
"""Within a round, in this order: completes before accepts, claims when all is said."""

_LAST = frozenset({PromoteDue, Rescue, Claim})


def _none(_: Any) -> Iterable[Hashable]:
    return ()


_TOUCHES: Mapping[type[Any], Callable[[Any], Iterable[Hashable]]] = {
    Move: lambda each: (each.item,),
    Step: lambda each: (each.item,),
    Reserve: lambda each: (each.item, ("reservation", each.id)),
    Settle: lambda each: (("reservation", each.id),),
    Cancel: lambda each: each.items,
    Release: lambda each: each.items,
    Accept: lambda each: (new.item.id for new in each.items),
    Setting: lambda each: (("setting", each.key),),
}
"""What a request touches, so that a later one that touches it too comes in a later round."""


def groups(requests: Sequence[Request]) -> list[Group]:
    """The statements to run, in order."""
    rounds: defaultdict[int, defaultdict[type[Any], list[Any]]] = defaultdict(lambda: defaultdict(list))
    busy: dict[Hashable, int] = {}
    for each in requests:
        if type(each) in _LAST:
            continue
        touched = tuple(_TOUCHES.get(type(each), _none)(each))
        turn = max((busy.get(key, -1) for key in touched), default=-1) + 1
        busy.update(dict.fromkeys(touched, turn))
        rounds[turn][type(each)].append(each)
    for each in requests:
        if type(each) in _LAST:
            rounds[len(requests)][type(each)].append(each)
    return [(kind, rounds[turn][kind]) for turn in sorted(rounds) for kind in KINDS if kind in rounds[turn]]
