"""How long an item waits before it is tried again. Chance comes in as a number, so the answer is always the same."""

from darumad.names import Seconds
from darumad.values import Value


class Backoff(Value, kw_only=True):
    """Waits that grow from `first` by `factor`, in seconds, each up to `jitter` longer, none above `max`."""

    first: Seconds
    max: Seconds
    factor: float = 2.0
    jitter: float = 0.2

    def delay(self, before: int, unit: float) -> Seconds:
        """The wait after `before` earlier ones, at least 0 s.

        Args:
            before: how many waits there were already; 0 for the first.
            unit: chance, 0.0 to 1.0; 0 gives the wait without jitter.
        """
        # The exponent is bounded: thousands of delays are honest (an outage costs nothing), a float's range is not.
        grown = self.first * self.factor ** min(before, 64)
        return Seconds(min(self.max, grown * (1 + self.jitter * unit)))


RETRY = Backoff(first=Seconds(2), max=Seconds(300))
"""The default wait after a failure of the item's own."""
OUTAGE = Backoff(first=Seconds(5), max=Seconds(300), jitter=0.0)
"""The wait while a provider fails and nothing says for how long."""
