"""Evidence: whose a provider's failure is. An outage is nobody's; an item that alone is not answered is its own.

The circuit cannot tell the two apart: three tries of one item that its server cannot answer open it as three items in
an outage do. What tells them apart is others: they are answered between one failure of the item and its next.
"""

from collections import OrderedDict
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


class Evidence:
    """Who failed since each target last answered, and when each item last did, on the clock it is asked with."""

    def __init__(self) -> None:
        self._failing: dict[Target, ItemId | None] = {}  # None for several
        self._failed_at: OrderedDict[tuple[Target, ItemId], float] = OrderedDict()

    def answered(self, target: Target, item: ItemId) -> None:
        """A call of this item was answered: what it failed at before says nothing any more."""
        self._failing.pop(target, None)
        self._failed_at.pop((target, item), None)

    def failed(self, target: Target, item: ItemId, now: float, *, since: float, answered_at: float) -> Blame:
        """What is known once a call of this item, first sent at `since`, has failed for good and its circuit is open.

        The target answers others when it answered one, at `answered_at`, after this was sent or after this item last
        failed. Where nobody else has failed since that answer, the open circuit is this item's doing and no excuse.
        """
        before = self._failed_at.pop((target, item), inf)
        self._failed_at[target, item] = now
        if len(self._failed_at) > REMEMBERED:
            self._failed_at.popitem(last=False)
        alone = self._failing.get(target, item) == item
        self._failing[target] = item if alone else None
        answers = answered_at > min(since, before)
        return Blame(circuit_open=not (answers and alone), target_answered=answers)
