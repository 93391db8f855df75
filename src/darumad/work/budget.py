"""Arithmetic on budgets: under which of them a call falls, whether it fits, who has to be told, which day it is.

Sums are exact integers. Who keeps the sums, and in which transaction, is the journal's business.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from enum import Enum, IntEnum
from fractions import Fraction
from typing import NamedTuple

from darumad.names import Millis, NanoUsd
from darumad.values import Value, changed, field
from darumad.work.item import NO_LIMITS, Limits
from darumad.work.result import Usage

WARN_AT = Fraction(4, 5)
"""The share of a limit at which somebody is told."""
UNITS = ("nano_usd", "tokens", "calls")
"""What is limited, by the names that limits and amounts give it."""
EVERYTHING = "all"
"""The scope of all that the daemon spends."""
EVER = "ever"
"""The period that never ends."""


class Amount(Value, kw_only=True):
    """What was spent, is reserved, or will be asked for, in the three units of a limit."""

    nano_usd: NanoUsd = NanoUsd(0)
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            nano_usd=NanoUsd(self.nano_usd + other.nano_usd),
            tokens=self.tokens + other.tokens,
            calls=self.calls + other.calls,
        )

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(
            nano_usd=NanoUsd(self.nano_usd - other.nano_usd),
            tokens=self.tokens - other.tokens,
            calls=self.calls - other.calls,
        )


class Budget(NamedTuple):
    """One sum that is kept: whose (`all`, `agent:NAME`, `provider:NAME`, `item:ID`), and over which period.

    The period is a day, as `2026-11-21`, or `ever`.
    """

    scope: str
    period: str


class Fit(Enum):
    """Whether a call may be made under a limit."""

    FITS = "fits"
    WAITS = "refused only by reservations that are still open: it may fit when they are settled"
    EXHAUSTED = "what is spent and this estimate exceed the limit"


class Told(IntEnum):
    """What has been said of a budget, so that it is said once."""

    NOTHING = 0
    NEARLY_SPENT = 1
    EXHAUSTED = 2


class Account(Value, kw_only=True):
    """How a budget stands: what is settled, what open reservations hold, and what was told of it."""

    spent: Amount = field(default_factory=Amount)
    reserved: Amount = field(default_factory=Amount)
    told: Told = Told.NOTHING

    def refuse(self) -> "Account":
        """After a call that it had no room for."""
        return changed(self, told=Told.EXHAUSTED)

    def reserve(self, estimate: Amount, limits: Limits) -> "Account":
        """After a call of `estimate` was let through."""
        told = Told.NEARLY_SPENT if nearly_spent(limits, self.spent) else Told.NOTHING
        return Account(spent=self.spent, reserved=self.reserved + estimate, told=told)

    def settle(self, estimate: Amount, used: Amount, limits: Limits | None) -> "Account":
        """After a call that was reserved at `estimate` turned out to have used this; None where no limit is known."""
        account = changed(self, spent=self.spent + used, reserved=self.reserved - estimate)
        if limits is None:
            return account
        near = nearly_spent(limits, account.spent)
        return changed(account, told=max(self.told, Told.NEARLY_SPENT) if near else Told.NOTHING)


def budgets_over(item: str, agent: str, provider: str, day: str) -> tuple[Budget, ...]:
    """Every budget that a call is booked under, the item's own first."""
    scopes = (f"agent:{agent}", f"provider:{provider}", EVERYTHING)
    return item_budget(item), *(Budget(scope, period) for scope in scopes for period in (day, EVER))


def item_budget(item: str) -> Budget:
    """The budget of one item, over all its attempts."""
    return Budget(f"item:{item}", EVER)


def estimate_of(usage: Usage) -> Amount:
    """What is reserved for a call that may use `usage`. An unknown price reserves nothing: nobody could say what."""
    return Amount(
        nano_usd=usage.nano_usd or NanoUsd(0), tokens=usage.input_tokens + usage.output_tokens, calls=usage.calls
    )


def admit(limits: Limits, *, spent: Amount, reserved: Amount, estimate: Amount) -> Fit:
    """Whether a call of `estimate` fits under `limits` when `spent` is settled and `reserved` still open.

    A limit may be reached exactly.
    """
    if limits == NO_LIMITS:  # as most are of the seven that a call falls under
        return Fit.FITS
    if any(_exceeding(limits, spent + estimate)):
        return Fit.EXHAUSTED
    return Fit.WAITS if any(_exceeding(limits, spent + reserved + estimate)) else Fit.FITS


def exceeded_unit(limits: Limits, amount: Amount) -> str | None:
    """The first unit in which `amount` is more than `limits` allow."""
    return next(_exceeding(limits, amount), None)


def fullest_unit(limits: Limits, spent: Amount) -> str | None:
    """The limited unit of which the largest share is spent; None without a limit."""
    shares = {unit: Fraction(used, limit) for unit, used, limit in _limited(limits, spent) if limit}
    return max(shares, key=lambda unit: shares[unit]) if shares else None


def nearly_spent(limits: Limits, spent: Amount) -> bool:
    """Whether four fifths of any limit are spent."""
    if limits == NO_LIMITS:
        return False
    share, of = WARN_AT.as_integer_ratio()
    return any(used > 0 and used * of >= limit * share for _, used, limit in _limited(limits, spent))


def has_room(limits: Limits, spent: Amount, needed: Amount | None = None) -> bool:
    """Whether what is `needed` may still be spent; anything at all, where nobody knows what is.

    Without a dollar left there is room for what is free; without a token or a call there is none.
    """
    if needed is not None:
        return not any(_exceeding(limits, spent + needed))
    return all(used < limit or (limit == 0 and unit == "nano_usd") for unit, used, limit in _limited(limits, spent))


def room_left(limits: Limits, spent: Amount) -> Limits:
    """What may still be spent, never below 0; None stays None, which is no limit."""
    usd = _left(limits.nano_usd, spent.nano_usd)
    return Limits(
        nano_usd=None if usd is None else NanoUsd(usd),
        tokens=_left(limits.tokens, spent.tokens),
        calls=_left(limits.calls, spent.calls),
    )


def day_key(wall: Millis, zone: tzinfo) -> str:
    """The day that `wall` falls on in `zone`, as `2026-11-21`: the period of a daily budget."""
    return datetime.fromtimestamp(wall / 1000, zone).date().isoformat()


def next_day(wall: Millis, zone: tzinfo) -> Millis:
    """When the day after the one of `wall` begins in `zone`."""
    tomorrow = datetime.fromtimestamp(wall / 1000, zone).date() + timedelta(days=1)
    return Millis(int(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp() * 1000))


def _limited(limits: Limits, amount: Amount) -> Iterator[tuple[str, int, int]]:
    """Each unit that has a limit, with its part of `amount` and that limit."""
    for unit in UNITS:
        limit: int | None = getattr(limits, unit)
        if limit is not None:
            yield unit, getattr(amount, unit), limit


def _exceeding(limits: Limits, amount: Amount) -> Iterator[str]:
    return (unit for unit, asked, limit in _limited(limits, amount) if asked > limit)


def _left(limit: int | None, spent: int) -> int | None:
    return None if limit is None else max(0, limit - spent)
