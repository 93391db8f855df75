"""The treasury: which limits hold, and that what is parked for want of room goes on when there is some again.

Room comes back when a limit is raised and when a new day begins. The sums are the journal's, the rules `work`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from darumad.clock import Clock
from darumad.daemon.ticker import Ticker
from darumad.journal import Audit, Journal, Reader, Release
from darumad.names import NEVER, ItemId, Seconds
from darumad.work.allowance import OVERRIDES, Allowance
from darumad.work.budget import EVER, Amount, Budget, day_key, has_room, next_day
from darumad.work.item import Limits, WorkRecord
from darumad.work.states import ParkReason, WorkState

LONGEST_NAP = 900.0
"""Seconds after which the date is looked at again: somebody may have set the machine's clock."""
_BY = Audit(by="daemon", action="release", target="items parked for want of a budget", via="daemon")


class Ledger(Protocol):
    """Who keeps to the allowance."""

    def allow(self, allowance: Allowance) -> None: ...  # noqa: D102 - the bridge's ledger says it


class Treasury:
    """Holds the allowance: the settings' and what was said since, which is in the journal.

    `aside` runs what may wait for a disk where nobody waits for it.
    """

    def __init__(  # noqa: PLR0913 - the daemon names each of them
        self,
        settings: Allowance,
        journal: Journal,
        clock: Clock,
        ledger: Ledger,
        *,
        provider_of: Callable[[str], str],
        hint: Callable[[], None],
        aside: Callable[[Callable[[], object]], None],
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._ledger = ledger
        self._provider_of = provider_of
        self._hint = hint
        self._aside = aside
        self._day = ""
        self._dates = Ticker(clock, self.look_at_the_date)
        self.allowance = settings
        self.reviewed_at = NEVER
        """When other limits last began to hold, or another day (monotonic seconds)."""

    @property
    def today(self) -> str:
        """The day that a call made now is booked on."""
        return day_key(self._clock.wall(), self._settings.zone)

    def open(self) -> None:
        """Let what was said in earlier lives hold again, release what has room by now, and keep an eye on the date."""
        self._day = self.today
        self.review()
        self._dates.begin(self._till_the_next_look())

    def close(self) -> None:
        """Look at no date any more."""
        self._dates.end()

    def review(self, scope: str | None = None) -> Sequence[ItemId]:
        """Heed what was said by now, and release what has room: of all, or of what a budget of `scope` held up.

        It reads and blocks: on no loop, and no timer.
        """
        reader, before = self._journal.reader(), self.allowance
        self.allowance = self._settings.overridden(reader.settings(OVERRIDES))
        self._ledger.allow(self.allowance)
        self.reviewed_at = Seconds(self._clock.monotonic())
        released = [
            each.item.id
            for each in reader.each_record(state=WorkState.PARKED, reason=ParkReason.BUDGET)
            if (scope is None or self._held_up(reader, each, scope, before)) and self._may_go_on(reader, each)
        ]
        for each in released:
            self._journal.post(Release(items=(each,), audit=_BY), lambda _: self._hint())
        return released

    def day_with_room(self, record: WorkRecord) -> datetime | None:
        """When the day begins that has room for the call that an item was refused, where the budgets have their days.

        None where there is room already, or no day brings any by itself: a total is spent, or the call is larger than
        what a day may cost. It reads and blocks, as `review` does.
        """
        needed = _needed(record)
        without = self._without_room(self._journal.reader(), record, self.allowance)
        helps = (each.period != EVER and has_room(limits, Amount(), needed) for each, limits in without.items())
        if not without or not all(helps):
            return None
        zone = self._settings.zone
        return datetime.fromtimestamp(next_day(self._clock.wall(), zone) / 1000, zone)

    def _held_up(self, reader: Reader, record: WorkRecord, scope: str, before: Allowance) -> bool:
        """Whether a budget of `scope` held it up: the one that it ended for, or one that was used up as well.

        An error that names no budget may be of each.
        """
        error = record.error or {}
        if error.get("kind") == "budget_exhausted" and error.get("budget", scope) == scope:
            return True
        return any(each.scope == scope for each in self._without_room(reader, record, before))

    def _may_go_on(self, reader: Reader, record: WorkRecord) -> bool:
        return not self._without_room(reader, record, self.allowance)

    def _without_room(self, reader: Reader, record: WorkRecord, allowance: Allowance) -> Mapping[Budget, Limits]:
        """Under this allowance: the item's budgets that have no room for the call it was refused, with their limits."""
        item, needed, provider = record.item, _needed(record), self._provider_of(record.item.agent)
        over = allowance.limits_over(item.id, item.budget, item.agent, provider, self.today)
        limited = {budget: limits for budget, limits in over.items() if limits != Limits()}
        accounts = reader.accounts(limited)
        return {each: limits for each, limits in limited.items() if not has_room(limits, accounts[each].spent, needed)}

    def _till_the_next_look(self) -> Seconds:
        now = self._clock.wall()
        left = (next_day(now, self._settings.zone) - now) / 1000
        return Seconds(min(left, LONGEST_NAP))

    def look_at_the_date(self) -> Seconds:
        """Release what waited for another day, if it is one; for how long that holds. It reads no disk."""
        if self._day != self.today:
            self._day = self.today
            self._aside(self.review)
        return self._till_the_next_look()


def _needed(record: WorkRecord) -> Amount | None:
    """What the call that an item was refused might have come to; None where nobody knows."""
    needs = (record.error or {}).get("needs")
    return Amount(**needs) if needs else None
