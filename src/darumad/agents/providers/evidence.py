"""Evidence: whose a provider's failure is. An outage is nobody's; an item that alone is not answered is its own.

The circuit cannot tell the two apart: three tries of one item that its server cannot answer open it as three items in
an outage do. What tells them apart is others. They are answered between one failure of the item and its next, and in an
outage they fail beside it: those too that had been answered, or were never asked. Such a one is a witness. Others that
failed before are none, or two items that their server cannot answer would excuse each other for ever.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Final

from darumad.names import ItemId
from darumad.values import Value

Target = tuple[str, str]
"""A provider's name and a model of it."""

REMEMBERED: Final = 65_536
"""The last failures of so many items are known; the oldest go first."""


class Blame(Value, kw_only=True):
    """What is known of the target of a failed call: that its circuit is open, and that it answers others."""

    circuit_open: bool
    target_answered: bool


_Two = tuple[ItemId, ...]
"""At most two of several items: that is enough to know whether there are others."""


@dataclass(slots=True)
class _Spell:
    """Who failed between two answers of a target, and which of them had not failed before, since they were answered."""

    failing: _Two = ()
    witnesses: _Two = ()


class _Failure(Value):
    """When an item last failed, and beside whom."""

    at: float
    spell: _Spell


class Evidence:
    """Who failed since each target last answered, and when each item last did, on the clock it is asked with."""

    def __init__(self) -> None:
        self._spells: dict[Target, _Spell] = {}
        self._last: OrderedDict[tuple[Target, ItemId], _Failure] = OrderedDict()

    def answered(self, target: Target, item: ItemId) -> None:
        """A call of this item was answered: what it failed at before says nothing any more."""
        self._spells.pop(target, None)
        self._last.pop((target, item), None)

    def failed(self, target: Target, item: ItemId, now: float, *, since: float, answered_at: float) -> Blame:
        """What is known once a call of this item, first sent at `since`, has failed for good and its circuit is open.

        The target answers others when it answered one, at `answered_at`, after this was sent, or after this item last
        failed where no witness failed beside it. Where nobody else has failed since that answer, the open circuit is
        this item's doing and no excuse.
        """
        spell = self._spells.setdefault(target, _Spell())
        last = self._last.pop((target, item), None)
        self._last[target, item] = _Failure(now, spell)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        if last is None:
            spell.witnesses = _with(item, spell.witnesses)
        spell.failing = _with(item, spell.failing)
        before = inf if last is None or _others(item, last.spell.witnesses) else last.at
        answers = answered_at > min(since, before)
        return Blame(circuit_open=not answers or _others(item, spell.failing), target_answered=answers)


def _with(item: ItemId, some: _Two) -> _Two:
    return some if item in some else (*some, item)[:2]


def _others(item: ItemId, some: _Two) -> bool:
    return any(each != item for each in some)
