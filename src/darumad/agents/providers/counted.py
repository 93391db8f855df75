"""What a server says that a call used, and whether it can be believed. Pure.

A count that is missing, or is none, is never 0: then the call is booked at its estimate, as nobody knows better.
"""

from typing import Any

from darumad.agents.providers.prices import Price, cost
from darumad.work.result import Usage

UNCOUNTED = Usage(calls=1, nano_usd=None)
"""A call that used something, of which its server said nothing that can be believed."""
_MOST = 1 << 53
"""More than that is no count of tokens, nor a whole number in every JSON."""
_FAR_OFF = 1_000
"""An estimate is the most that a call can use. Some add to a prompt what we do not see; nobody so many times it."""


def count_of(said: Any) -> int | None:
    """The count that a server gave: a whole number from 0 up; None for anything else."""
    return said if type(said) is int and 0 <= said <= _MOST else None


def usage_of(
    price: Price | None,
    *,
    fresh: int | None,
    output: int | None,
    cached: int | None = 0,
    written: int | None = 0,
) -> Usage:
    """What these counts come to; `UNCOUNTED` when one of them is none, or nothing was read: no prompt is empty.

    `fresh` is the input that no cache gave (`cached`) or took (`written`).
    """
    if fresh is None or output is None or cached is None or written is None or not fresh + cached + written:
        return UNCOUNTED
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=output,
        cached_tokens=cached,
        calls=1,
        nano_usd=cost(price, fresh=fresh, cached=cached, written=written, output=output),
    )


def credible(used: Usage, estimate: Usage) -> bool:
    """Whether a call of this estimate can have used that much: nothing only if it was none at all."""
    tokens, likely = (each.input_tokens + each.output_tokens for each in (used, estimate))
    return not used.calls or 0 < tokens <= _FAR_OFF * max(likely, 1)
