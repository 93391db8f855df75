"""The ledger port over the journal.

What a call may cost is reserved on disk before it is made, what it did cost is booked after.
"""

from collections.abc import Callable
from datetime import tzinfo

from darumad.clock import Clock
from darumad.journal.commits import Commits
from darumad.journal.requests import OVER_BUDGET, Reserve, Settle
from darumad.names import NanoUsd
from darumad.work.budget import day_key
from darumad.work.item import Limits
from darumad.work.model import ModelFailed
from darumad.work.ports import Owner
from darumad.work.result import Usage


class JournalLedger:
    """Implements `work.ports.Ledger`. Used on the bridge's loop only."""

    def __init__(
        self, commits: Commits, clock: Clock, *, new_id: Callable[[], str], day_limit: NanoUsd | None, zone: tzinfo
    ) -> None:
        self._commits = commits
        self._clock = clock
        self._new_id = new_id
        self._day_limit = day_limit
        self._zone = zone
        self._limits: dict[Owner, Limits] = {}

    def know(self, owner: Owner, limits: Limits) -> None:
        """Remember an item's own limits while it runs."""
        self._limits[owner] = limits

    def forget(self, owner: Owner) -> None:
        """The item no longer runs here."""
        self._limits.pop(owner, None)

    async def reserve(self, owner: Owner, *, agent: str, provider: str, estimate: NanoUsd) -> str:
        """See `Ledger.reserve`."""
        request = Reserve(
            id=self._new_id(),
            item=owner.item,
            agent=agent,
            provider=provider,
            day=day_key(self._clock.wall(), self._zone),
            estimate=estimate,
            limits=self._limits.get(owner, Limits()),
            day_limit=self._day_limit,
        )
        if await self._commits.commit(request) is OVER_BUDGET:
            raise ModelFailed(
                "budget_exhausted", "the budget has no room for this call; raise it or wait for the next day"
            )
        return request.id

    def settle(self, reservation: str, usage: Usage) -> None:
        """See `Ledger.settle`."""
        self._commits.begin(Settle(id=reservation, usage=usage))
