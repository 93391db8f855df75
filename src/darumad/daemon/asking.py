"""Each provider in use is asked after the start, and again while it cannot be reached: some start later than we do."""

from collections.abc import Callable, Collection
from functools import partial

from darumad.agents.providers import Validity
from darumad.clock import Clock
from darumad.daemon.ticker import Ticker
from darumad.names import Seconds

AFTER = Seconds(0.5)
"""Seconds after the start until the providers are asked: what asking imports is as much as a third of the start."""
AGAIN = Seconds(30.0)
"""Seconds until who could not be reached is asked again; longer than one has to answer."""


class Asking:
    """Asks until each was reached; `well` is told of those that were found so. What refuses is not asked again.

    `ask` begins in the background, and tells what came of it.
    """

    def __init__(
        self, clock: Clock, ask: Callable[[str, Callable[[Validity], None]], None], well: Callable[[str], None]
    ) -> None:
        self._ask = ask
        self._well = well
        self._unreached: frozenset[str] = frozenset()
        self._ticker = Ticker(clock, self._tick)

    def open(self, providers: Collection[str]) -> None:
        """Ask these, in the background and not at once."""
        self._unreached = frozenset(providers)
        self._ticker.begin(AFTER)

    def close(self) -> None:
        """Ask nobody any more."""
        self._ticker.end()

    def _tick(self) -> Seconds | None:
        asked = self._unreached
        for provider in sorted(asked):
            self._ask(provider, partial(self._heard, provider))
        return AGAIN if asked else None

    def _heard(self, provider: str, found: Validity) -> None:
        """On the loop, which alone takes away."""
        if not found.unreachable:
            self._unreached -= {provider}
        if found.connected:
            self._well(provider)
