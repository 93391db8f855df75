"""Naming: the ids that this program gives items before it sends them, so that a repeat is the same item."""

import secrets

from darumad.clock import SystemClock
from darumad.ids import uuid7


def new_id() -> str:
    """A fresh UUIDv7."""
    return uuid7(SystemClock().wall(), secrets.randbits)
