"""The watch over the loop that all agents share: a stall is told, a loop that is of no more use is replaced.

One call holds it, or too many tasks that were cancelled run on. A loop is a life like any other: when it must be
replaced too often, or too many threads were given up, the process is.
"""

import faulthandler
from collections.abc import Callable

from darumad.bridge import TOO_MANY, Bridge, LoopThread
from darumad.daemon.assembly import Kernel
from darumad.events import BridgeReplaced, BridgeStalled
from darumad.logs import logger
from darumad.names import AgentName
from darumad.supervision import Intensity

log = logger(__name__)
MOST, PERIOD = 2, 3600.0
"""So many loops may be replaced within so many seconds; one more, and the process is."""
IGNORING_CAP = 32
"""So many stages whose tasks ignore their cancel are too many: what they hold is let go with their loop."""


class LoopWatch:
    """Looked through by the guardian, a few times a second.

    `leaked` counts the actors' threads that were given up; `over` is called when a stall is: nothing was claimed in it.
    `left_behind` is told whose template's callback held the loop.
    """

    def __init__(
        self,
        kernel: Kernel,
        bridge: Bridge,
        *,
        leaked: Callable[[], int],
        over: Callable[[], None],
        left_behind: Callable[[AgentName], None],
    ) -> None:
        self._kernel = kernel
        self._bridge = bridge
        self._leaked = leaked
        self._over = over
        self._left_behind = left_behind
        self._intensity = Intensity(MOST, PERIOD)
        self._told = False

    def look(self) -> str | None:
        """Why the process must be replaced; None while it need not be. It records a stall once, with its stack."""
        settings, loop = self._kernel.settings.bridge, self._kernel.loops.now
        self._tell_stall()
        health = self._bridge.health()
        if health.forsaken >= TOO_MANY:
            return f"{health.forsaken} threads of agents were given up and still run"
        if health.let_go and self._at_the_cap(health.let_go):
            return f"{self._leaked()} threads of actors and {health.let_go} of loops were given up and still run"
        held = loop.held()
        if held < settings.dead_after and health.ignoring < IGNORING_CAP:
            return None
        too_often = self._too_often()
        convicted = self._convict(loop) if held >= settings.dead_after else 0
        if too_often is None:
            self._replace(int(held * 1000), health.ignoring, convicted)
        return too_often

    def _tell_stall(self) -> None:
        loop, limit = self._kernel.loops.now, self._kernel.settings.bridge.stalled_after
        late = loop.late()
        if late > limit and not self._told:
            self._kernel.note(BridgeStalled("bridge", int(late * 1000), loop.stack()))
        elif self._told and late <= limit:
            self._over()
        self._told = late > limit

    def _too_often(self) -> str | None:
        """Why it would be one replacement too many."""
        with_this = self._bridge.health().let_go + 1
        if self._at_the_cap(with_this):
            why = (
                f"the agents' loop must be replaced, and with its thread {self._leaked() + with_this} would be given up"
            )
        elif not self._intensity.spend(self._kernel.clock.monotonic()):
            why = f"the agents' loop had to be replaced {MOST + 1} times within {PERIOD / 60:.0f} minutes"
        else:
            return None
        faulthandler.dump_traceback(all_threads=True)
        return why

    def _at_the_cap(self, loops: int) -> bool:
        """Whether the threads of so many loops are too many, with those of actors."""
        return self._leaked() + loops >= self._kernel.settings.supervision.leak_cap

    def _convict(self, loop: LoopThread) -> int:
        """How many tasks hold it: one, or none where it is a callback, for which only its template can answer."""
        culprit = loop.culprit()
        if culprit.owner is not None:
            return self._bridge.convict(culprit)
        agent = self._bridge.author(culprit)
        if agent is not None:
            log.error("loop_held_by_a_callback", agent=agent, held=round(culprit.held))
            self._left_behind(agent)
        return 0

    def _replace(self, held_ms: int, ignoring: int, convicted: int) -> None:
        interrupted = self._bridge.replace() + convicted
        self._kernel.note(BridgeReplaced("bridge", held_ms, ignoring, interrupted))
