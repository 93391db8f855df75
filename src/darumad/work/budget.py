"""Arithmetic on budgets: whether a call fits, what room is left, when a threshold is crossed, which day it is.

Sums are exact integers. Who keeps the sums, and in which transaction, is the journal's business.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum
from fractions import Fraction

from darumad.names import Millis, NanoUsd
from darumad.work.item import Limits
from darumad.work.result import Usage

WARN_AT = Fraction(4, 5)
"""The share of a limit at which somebody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What was spent, is reserved, or will be asked for, in the three currencies of a limit."""

    nano_usd: NanoUsd = NanoUsd(0)  # noqa: RUF009 - calling a NewType gives the value itself
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            nano_usd=NanoUsd(self.nano_usd + other.nano_usd),
            tokens=self.tokens + other.tokens,
            calls=self.calls + other.calls,
        )


class Admission(Enum):
    """Whether a call may be made under a limit."""

    FITS = "fits"
    WAITS = "refused only by reservations that are still open: it may fit when they are settled"
    EXHAUSTED = "what is spent and this estimate exceed the limit"


def spent_of(usage: Usage, estimate: NanoUsd) -> Amount:
    """What `usage` comes to. A price that nobody knows is booked at the call's `estimate`: never at nothing."""
    price = estimate if usage.nano_usd is None else usage.nano_usd
    return Amount(nano_usd=price, tokens=usage.input_tokens + usage.output_tokens, calls=usage.calls)


def admit(limits: Limits, *, spent: Amount, reserved: Amount, estimate: Amount) -> Admission:
    """Whether a call of `estimate` fits under `limits` when `spent` is settled and `reserved` still open.

    A limit may be reached exactly.
    """
    if _exceeds(limits, spent + estimate):
        return Admission.EXHAUSTED
    return Admission.WAITS if _exceeds(limits, spent + reserved + estimate) else Admission.FITS


def room_left(limits: Limits, spent: Amount) -> Limits:
    """What may still be spent, never below 0; None stays None, which is no limit."""
    usd = _left(limits.nano_usd, spent.nano_usd)
    return Limits(
        nano_usd=None if usd is None else NanoUsd(usd),
        tokens=_left(limits.tokens, spent.tokens),
        calls=_left(limits.calls, spent.calls),
    )


def crossed(limit: int, before: int, after: int, share: Fraction = WARN_AT) -> bool:
    """Whether the sum's step from `before` to `after` is the one that reached `share` of `limit`: once a period."""
    return before < limit * share <= after


def day_key(wall: Millis, zone: tzinfo) -> str:
    """The day that `wall` falls on in `zone`, as `2026-11-21`: the key of a daily budget."""
    return datetime.fromtimestamp(wall / 1000, zone).date().isoformat()


def _exceeds(limits: Limits, amount: Amount) -> bool:
    pairs = ((limits.nano_usd, amount.nano_usd), (limits.tokens, amount.tokens), (limits.calls, amount.calls))
    return any(limit is not None and asked > limit for limit, asked in pairs)


def _left(limit: int | None, spent: int) -> int | None:
    return None if limit is None else max(0, limit - spent)
