"""The ledger port over the journal.

What a call may cost is reserved on disk before it is made, what it did cost is booked after.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from darumad.bridge.keeping import without_room
from darumad.clock import Clock
from darumad.journal.commits import Commits
from darumad.journal.requests import Answer, OverBudget, Reserve, Settle
from darumad.names import Fence, NanoUsd
from darumad.settings.units import show_money
from darumad.values import asdict
from darumad.work.allowance import Allowance
from darumad.work.budget import (
    EVER,
    EVERYTHING,
    Amount,
    Budget,
    day_key,
    estimate_of,
    exceeded_unit,
)
from darumad.work.estimate import unpriced
from darumad.work.item import Limits
from darumad.work.model import ModelFailed
from darumad.work.ports import Owner
from darumad.work.result import Usage

PATIENCE = 30.0
"""Seconds that a call waits for the room that other calls have reserved; then its item comes back later."""


class JournalLedger:
    """Implements `work.ports.Ledger`. Used on the bridge's loop only, but for `allow` and `move_to`."""

    def __init__(
        self,
        commits: Commits,
        clock: Clock,
        *,
        new_id: Callable[[], str],
        allowance: Allowance,
        patience: float = PATIENCE,
    ) -> None:
        self._commits = commits
        self._clock = clock
        self._new_id = new_id
        self._allowance = allowance
        self._patience = patience
        self._own: dict[Owner, Limits] = {}
        self._open: dict[str, Reserve] = {}
        self._settlement = asyncio.Event()  # the next one: a new event for each, so that nobody misses it

    def know(self, owner: Owner, limits: Limits) -> None:
        """Remember an item's own limits while it runs."""
        self._own[owner] = limits

    def forget(self, owner: Owner) -> None:
        """The item no longer runs here."""
        self._own.pop(owner, None)

    def allow(self, allowance: Allowance) -> None:
        """What holds for every reservation from now on, also of those who wait for room. From any thread."""
        self._allowance, commits = allowance, self._commits
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            commits.loop.call_soon_threadsafe(self._look_again, commits)

    def move_to(self, commits: Commits) -> None:
        """From now on calls are made on the loop of `commits`, and the one before it will not turn again.

        What is open there is booked at its estimate, as it may have been billed; what it still comes to is not heard.
        """
        self._commits, self._settlement = commits, asyncio.Event()
        self._own.clear()
        for each in [self._open.pop(name) for name in list(self._open)]:
            commits.drop(_at_its_estimate(each))

    async def reserve(self, owner: Owner, *, agent: str, provider: str, model: str, estimate: Usage) -> str:
        """See `Ledger.reserve`."""
        if estimate.nano_usd is None and self._allowance.priced_only:
            raise ModelFailed("price_unknown", unpriced(provider, model))
        until = self._clock.monotonic() + self._patience
        while True:
            settlement = self._settlement
            request = self._request(owner, agent, provider, estimate)
            refused = await self._refused(request)
            if not isinstance(refused, OverBudget):
                self._open[request.id] = request
                return request.id
            await self._room(refused, request, settlement, until)

    async def _refused(self, request: Reserve) -> Answer:
        """What came of a request; whoever is cancelled before it has come is given back what it reserved."""
        begun = self._commits.begin(request)
        try:
            answer = await asyncio.shield(begun)
        except asyncio.CancelledError:
            begun.add_done_callback(lambda _: self._give_back(request, begun.result()))
            raise
        if isinstance(answer, Exception):
            raise without_room(answer)
        return answer

    def _give_back(self, request: Reserve, answer: Answer) -> None:
        if not isinstance(answer, OverBudget | Exception):
            self._open[request.id] = request
            self.settle(request.id, Usage())

    def settle(self, reservation: str, usage: Usage) -> None:
        """See `Ledger.settle`."""
        reserved = self._open.pop(reservation, None)
        if reserved is None:
            return  # booked at its estimate when its loop was replaced
        booked = self._commits.begin(Settle(id=reservation, usage=usage, limits=reserved.limits))
        booked.add_done_callback(lambda _: self._announce(booked, reserved))

    def _announce(self, booked: "asyncio.Future[Answer]", reserved: Reserve) -> None:
        """A call was settled, and whoever waits for room looks again. What cannot be booked is, at its estimate.

        A reservation that stayed open would take its room from everybody for as long as the daemon lives.
        """
        if isinstance(booked.result(), Exception):
            self._commits.drop(_at_its_estimate(reserved))
        if booked.get_loop() is self._commits.loop:
            self._look_again(self._commits)

    def _look_again(self, commits: Commits) -> None:
        """Wakes who waits for room, if the loop of `commits` is still the one that calls are made on."""
        if commits is self._commits:
            self._settlement.set()
            self._settlement = asyncio.Event()

    async def _room(self, refused: OverBudget, request: Reserve, settlement: asyncio.Event, until: float) -> None:
        """Returns when room may be there: a call has been settled, or another allowance holds.

        Raises:
            ModelFailed: waiting is in vain, or has lasted too long.
        """
        if not refused.waits:
            needs, scope = estimate_of(request.estimate), refused.budget.scope
            raise ModelFailed("budget_exhausted", in_words(refused, needs), budget=scope, needs=asdict(needs))
        try:
            await asyncio.wait_for(settlement.wait(), until - self._clock.monotonic())
        except TimeoutError:
            said = f"{_name(refused.budget)} is held by calls that are still open"
            raise ModelFailed("local_saturation", said) from None

    def _request(self, owner: Owner, agent: str, provider: str, estimate: Usage) -> Reserve:
        day = day_key(self._clock.wall(), self._allowance.zone)
        own = self._own.get(owner, Limits())
        return Reserve(
            id=self._new_id(),
            item=owner.item,
            fence=Fence(owner.fence),
            agent=agent,
            provider=provider,
            day=day,
            estimate=estimate,
            limits=self._allowance.limits_over(owner.item, own, agent, provider, day),
        )


def _at_its_estimate(each: Reserve) -> Settle:
    return Settle(id=each.id, usage=each.estimate, limits=each.limits)


def in_words(refused: OverBudget, estimate: Amount) -> str:
    """Which budget has no room, by how much, and how to go on."""
    budget, spent, limits = refused.budget, refused.account.spent, refused.limits
    unit = exceeded_unit(limits, spent + estimate) or "calls"
    used, limit, asked = (_said(unit, getattr(each, unit)) for each in (spent, limits, estimate))
    return (
        f"{_name(budget)} has no room: {used} of {limit} are spent, and this call may use {asked}. "
        f"`daruma budgets set {budget.scope} {_option(budget, unit)}` raises it, and the item goes on by itself"
    )


def _said(unit: str, amount: int) -> str:
    return show_money(NanoUsd(amount)) if unit == "nano_usd" else f"{amount} {unit}"


def _name(budget: Budget) -> str:
    kind, _, name = budget.scope.partition(":")
    if kind == "item":
        return "the item's own budget"
    period = "total" if budget.period == EVER else "daily"
    return f"the {period} budget" if budget.scope == EVERYTHING else f"the {period} budget of the {kind} {name}"


def _option(budget: Budget, unit: str) -> str:
    period = "--total" if budget.period == EVER else "--daily"
    return f"{period} AMOUNT" if unit == "nano_usd" else f"{period}-{unit} N"
