"""A turn of the control loop: what is asked, or told, once for all the requests that are answered in it.

One commit wakes the loop for many callers at once. What holds for all of them is asked once, and what all of them
brought is told as one.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping

from darumad.control.daemon import Daemon
from darumad.names import AgentName, Stage


class Turn:
    """Used on the loop only; what is kept here is forgotten before the next turn."""

    def __init__(self, daemon: Daemon, loop: asyncio.AbstractEventLoop) -> None:
        self._daemon = daemon
        self._loop = loop
        self._unmade: Mapping[AgentName, str] | None = None
        self._ready: Counter[tuple[AgentName, Stage]] = Counter()

    def unmade(self) -> Mapping[AgentName, str]:
        """Why which definitions have no agent, as it is in this turn."""
        if self._unmade is None:
            self._unmade = self._daemon.unmade()
            self._loop.call_soon(self._forget)
        return self._unmade

    def became_ready(self, agent: AgentName, stage: Stage) -> None:
        """One more item is ready; whoever hands work out is told at the end of the turn."""
        if not self._ready:
            self._loop.call_soon(self._tell)
        self._ready[agent, stage] += 1

    def _forget(self) -> None:
        self._unmade = None

    def _tell(self) -> None:
        ready, self._ready = self._ready, Counter()
        self._daemon.hint(ready)
