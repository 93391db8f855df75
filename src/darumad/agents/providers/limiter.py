"""The limiter of one provider: so many requests, tokens in and tokens out within any minute. Its holder guards it.

A call counts from when it is booked until a minute after it ended: it reached the server somewhere in between, however
slow the way was, so no window of the server's own ever holds more. What the server says is left is heeded on top.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from darumad.values import Value

WINDOW = 60.0
"""Seconds."""


class Measure(StrEnum):
    """What is limited."""

    REQUESTS = "requests"
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"


Amounts = Mapping[Measure, int]


class Remaining(Value):
    """What a server says is left of a measure, and in how many seconds all of it is there again."""

    remaining: int
    resets_in: float


@dataclass(slots=True)
class _Window:
    """One measure's last minute: what is open, and what ended when."""

    limit: int
    open: int = 0
    held: int = 0
    ended: deque[tuple[float, int]] = field(default_factory=deque)

    def when(self, now: float, amount: int) -> float:
        """When `amount` fits; more than the limit fits alone. What is open ends at the earliest now."""
        self._forget(now)
        held = self.open + self.held
        if held + amount <= self.limit or held == 0:
            return now
        for at, each in self.ended:
            held -= each
            if held + amount <= self.limit or held == 0:
                return at + WINDOW
        return now + WINDOW

    def end(self, now: float, booked: int, used: int) -> None:
        """A call for which `booked` was counted has ended and used so much."""
        self.open -= booked
        if used:
            self.ended.append((now, used))
            self.held += used

    def _forget(self, now: float) -> None:
        while self.ended and self.ended[0][0] <= now - WINDOW:
            self.held -= self.ended.popleft()[1]


class Booking(Value, eq=False):
    """Leave to send a call that needs so much. Each is itself only: two calls may need the same."""

    needs: Amounts


class Limiter:
    """What one provider may be sent. `limits` leaves out what is not limited; times are monotonic seconds."""

    def __init__(self, limits: Amounts) -> None:
        self._windows = {measure: _Window(limit) for measure, limit in limits.items()}
        self._left: dict[Measure, tuple[int, float]] = {}
        self._open: set[Booking] = set()

    def when(self, now: float, needs: Amounts) -> float:
        """When a call that needs so much may be sent."""
        at = now
        for measure, (remaining, resets_at) in self._left.items():
            if remaining < needs.get(measure, 0):
                at = max(at, resets_at)
        for measure, window in self._windows.items():
            at = max(at, window.when(now, needs.get(measure, 0)))
        return at

    def book(self, needs: Amounts) -> Booking:
        """Count such a call as open; `when` said now."""
        for measure, amount in needs.items():
            if measure in self._left:
                remaining, resets_at = self._left[measure]
                self._left[measure] = (remaining - amount, resets_at)
        for measure, window in self._windows.items():
            window.open += needs.get(measure, 0)
        booking = Booking(needs)
        self._open.add(booking)
        return booking

    def settle(self, now: float, booking: Booking, used: Amounts) -> None:
        """A booked call has ended; it used nothing when it was never sent. Of one that was let go nothing is heard."""
        if booking not in self._open:
            return
        self._open.discard(booking)
        for measure, window in self._windows.items():
            window.end(now, booking.needs.get(measure, 0), used.get(measure, 0))

    def let_go(self, now: float) -> None:
        """Who made the open calls is gone: they count as if they had ended now, as booked."""
        for booking in tuple(self._open):
            self.settle(now, booking, booking.needs)

    def forget_what_was_said(self) -> None:
        """Somebody knows better than what the server said last: the limits of the settings hold as before."""
        self._left.clear()

    def heed(self, now: float, said: Mapping[Measure, Remaining]) -> None:
        """Take a server's word for what is left."""
        for measure, left in said.items():
            self._left[measure] = (left.remaining, now + left.resets_in)
