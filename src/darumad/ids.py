"""Ids: UUIDv7, which the daemon makes and which sort by the time they were made; and those that other systems give."""

import re
import uuid
from collections.abc import Callable

from darumad.names import Millis

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,256})?"
)
"""W3C Trace Context, level 1: version, trace-id, parent-id, flags, and what a later version adds behind them.

Ids of zeros are none, nor is version `ff`. What goes on as a header is plain and short, whatever a variable holds.
"""


def uuid7(now: Millis, random_bits: Callable[[int], int]) -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of wall milliseconds `now`, then 74 random ones."""
    time = (now & (1 << 48) - 1) << 80
    return str(uuid.UUID(int=time | 0x7 << 76 | random_bits(12) << 64 | 0b10 << 62 | random_bits(62)))


def traced(traceparent: str | None) -> str | None:
    """The trace-id in a `traceparent`, 32 hexadecimal digits; None where there is none, or none that is one."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found[1] if found else None
