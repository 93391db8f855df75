"""Restart intensity: how many restarts a supervisor takes before it gives up. Pure."""

from collections import deque


class Intensity:
    """At most `limit` restarts within `period` seconds; one more and the supervisor exits.

    The window is half-open, `now - t < period`, in float seconds; OTP's is inclusive, in whole seconds.
    Source: Erlang/OTP design principles, Supervisor, "Maximum Restart Intensity".
    """

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._restarts: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Count a restart at `now`. False when it is one too many."""
        self._restarts.append(now)
        while now - self._restarts[0] >= self._period:
            self._restarts.popleft()
        return len(self._restarts) <= self._limit

    @property
    def history(self) -> tuple[float, ...]:
        """When the restarts in the window happened, oldest first."""
        return tuple(self._restarts)
