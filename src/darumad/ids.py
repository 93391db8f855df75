"""Ids that the daemon makes: UUIDv7, which sort by the time they were made."""

import uuid
from collections.abc import Callable

from darumad.names import Millis


def uuid7(now: Millis, random_bits: Callable[[int], int]) -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of wall milliseconds `now`, then 74 random ones."""
    time = (now & (1 << 48) - 1) << 80
    return str(uuid.UUID(int=time | 0x7 << 76 | random_bits(12) << 64 | 0b10 << 62 | random_bits(62)))
