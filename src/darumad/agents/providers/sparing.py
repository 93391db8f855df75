"""Which of many alike occurrences are told: a storm of 429s is one fact a minute, not one a call. Pure.

Its holder guards it.
"""

from collections.abc import Hashable

PERIOD = 60.0
"""Seconds between two that are told."""


class Sparing:
    """Tells the first of a thing, and then at most one a `PERIOD` with how many there have been since."""

    def __init__(self) -> None:
        self._told_at: dict[Hashable, float] = {}
        self._kept: dict[Hashable, int] = {}

    def times(self, what: Hashable, now: float) -> int:
        """How many `what` are to be told at `now`, monotonic seconds, this one included; 0: keep it for later."""
        kept = self._kept.pop(what, 0) + 1
        told_at = self._told_at.get(what)
        if told_at is not None and now < told_at + PERIOD:
            self._kept[what] = kept
            return 0
        self._told_at[what] = now
        return kept
