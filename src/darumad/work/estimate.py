"""What an item may cost before it runs: what others of its agent came to, and what its limits leave. Pure."""

from collections.abc import Iterable, Sequence

from darumad.names import NanoUsd
from darumad.values import Value
from darumad.work.item import Limits
from darumad.work.result import Usage


class Quote(Value, kw_only=True):
    """Who would be asked, and the most that the first call could use: what is reserved before it is made.

    No provider: no model is configured. `most.nano_usd` is None where nobody knows the price.
    """

    provider: str | None = None
    model: str | None = None
    most: Usage | None = None


class CameTo(Value, kw_only=True):
    """What an item used over all its attempts; `nano_usd` is None where the price of a call of it was not known."""

    nano_usd: NanoUsd | None = NanoUsd(0)
    tokens: int = 0
    calls: int = 0


class Spread(Value, kw_only=True):
    """What earlier items came to: half of them used at most `median`, nine of ten at most `most_of_them`.

    The price is None as soon as that of one of them is.
    """

    items: int
    median: CameTo
    most_of_them: CameTo


def unpriced(provider: str, model: str) -> str:
    """What is said of a call that is not made because nobody knows its price, and how to go on."""
    return (
        f"the price of {provider}:{model} is not known, and `budget.unknown_price: refuse` lets no such call out: "
        f"set `prices.{model}` in the settings, or let them out"
    )


def spread_of(spent: Sequence[CameTo]) -> Spread | None:
    """The spread of what items came to, each unit by itself; None without any."""
    if not spent:
        return None
    return Spread(items=len(spent), median=_quantile(spent, 0.5), most_of_them=_quantile(spent, 0.9))


def tightest(left: Iterable[Limits]) -> Limits:
    """What may be used at most where all of these hold."""
    all_ = list(left)
    usd = _least(each.nano_usd for each in all_)
    return Limits(
        nano_usd=None if usd is None else NanoUsd(usd),
        tokens=_least(each.tokens for each in all_),
        calls=_least(each.calls for each in all_),
    )


def _quantile(spent: Sequence[CameTo], share: float) -> CameTo:
    at = max(0, -int(-share * len(spent) // 1) - 1)
    prices = [each.nano_usd for each in spent if each.nano_usd is not None]
    return CameTo(
        nano_usd=sorted(prices)[at] if len(prices) == len(spent) else None,
        tokens=sorted(each.tokens for each in spent)[at],
        calls=sorted(each.calls for each in spent)[at],
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((each for each in values if each is not None), default=None)
