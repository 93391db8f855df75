"""The limiter of one provider: so many requests, tokens in and tokens out within any minute. Its holder guards it.

A call is booked for the first instant at which it fits, behind all that were booked before, and is settled at what it
really used. What the server itself says is left is heeded on top.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

WINDOW = 60.5
"""Seconds. A minute, and half a second for what arrives later than it was sent."""


class Measure(StrEnum):
    """What is limited."""

    REQUESTS = "requests"
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"


Amounts = Mapping[Measure, int]


@dataclass(frozen=True, slots=True)
class Left:
    """What a server says is left of a measure, and in how many seconds all of it is there again."""

    remaining: int
    resets_in: float


@dataclass(slots=True)
class _Entry:
    at: float
    amount: int
    counted: bool = True


@dataclass(slots=True)
class _Window:
    """One measure's last minute."""

    limit: int
    entries: deque[_Entry] = field(default_factory=deque)
    held: int = 0

    def earliest(self, at: float, amount: int) -> float:
        """When `amount` fits, not before `at`; more than the limit fits alone."""
        held = self.held
        for entry in self.entries:
            fits = held + amount <= self.limit or held == 0
            if entry.at > at - WINDOW and fits:
                break
            if entry.at > at - WINDOW:
                at = entry.at + WINDOW
            held -= entry.amount
        return at

    def book(self, at: float, amount: int) -> _Entry:
        """Count `amount` at `at`, which no later booking comes before."""
        while self.entries and self.entries[0].at <= at - WINDOW:
            gone = self.entries.popleft()
            gone.counted = False
            self.held -= gone.amount
        entry = _Entry(at, amount)
        self.entries.append(entry)
        self.held += amount
        return entry

    def settle(self, entry: _Entry, amount: int) -> None:
        """An entry's true amount."""
        if entry.counted:
            self.held += amount - entry.amount
        entry.amount = amount


@dataclass(frozen=True, slots=True)
class Booking:
    """Leave to send at `at`, monotonic seconds."""

    at: float
    _entries: Mapping[Measure, _Entry]


class Limiter:
    """What one provider may be sent. `limits` leaves out what is not limited; times are monotonic seconds."""

    def __init__(self, limits: Amounts) -> None:
        self._windows = {measure: _Window(limit) for measure, limit in limits.items()}
        self._left: dict[Measure, tuple[int, float]] = {}
        self._last = 0.0

    def when(self, now: float, needs: Amounts) -> float:
        """When a call that needs so much could be sent."""
        at = max(now, self._last)
        for measure, amount in needs.items():
            remaining, resets_at = self._left.get(measure, (amount, now))
            if remaining < amount and resets_at > now:
                at = max(at, resets_at)
        for measure, window in self._windows.items():
            at = max(at, window.earliest(at, needs.get(measure, 0)))
        return at

    def book(self, now: float, needs: Amounts) -> Booking:
        """Take the first place for such a call."""
        at = self._last = self.when(now, needs)
        for measure, amount in needs.items():
            if measure in self._left:
                remaining, resets_at = self._left[measure]
                self._left[measure] = (remaining - amount, resets_at)
        return Booking(at, {measure: each.book(at, needs.get(measure, 0)) for measure, each in self._windows.items()})

    def settle(self, booking: Booking, used: Amounts) -> None:
        """Count what a booked call really used; nothing, when it was never sent."""
        for measure, entry in booking._entries.items():  # noqa: SLF001 - a booking is this class's own
            self._windows[measure].settle(entry, used.get(measure, 0))

    def heed(self, now: float, said: Mapping[Measure, Left]) -> None:
        """Take a server's word for what is left."""
        for measure, left in said.items():
            self._left[measure] = (left.remaining, now + left.resets_in)
