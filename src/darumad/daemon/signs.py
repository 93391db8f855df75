"""The vital signs: whether every part of the daemon makes progress, read from tables and counters.

Nothing here waits. An actor is sent a beat and goes on; what is looked at is how long a beat has not come back.
"""

from collections.abc import Callable, Mapping

from darumad.clock import Clock
from darumad.control.server import TICK, ControlServer
from darumad.daemon.assembly import Kernel, Minds
from darumad.daemon.claim_watch import ClaimWatch
from darumad.daemon.engine import Engine
from darumad.daemon.housekeeping import PATIENCE, Housekeeping
from darumad.events import DaemonDegraded, DaemonRestored, Fact
from darumad.names import Seconds

BEAT = Seconds(0.25)
"""Seconds between two beats at least, and what a beat may take before it is late."""


class Pulse:
    """Sends beats to something with a mailbox. `send` posts its argument there, to be called on the other side."""

    def __init__(self, clock: Clock, send: Callable[[Callable[[], None]], None]) -> None:
        self._clock = clock
        self._send = send
        self._sent_at = -BEAT
        self._unanswered_since: float | None = None

    def late(self) -> Seconds:
        """For how many seconds a beat has not come back; 0 while they do.

        A beat may be lost with the life it was sent to, so that others follow it: any of them is an answer.
        """
        now, since = self._clock.monotonic(), self._unanswered_since
        if now - self._sent_at >= BEAT:
            self._sent_at, self._unanswered_since = now, since if since is not None else now
            self._send(self._came_back)
        return Seconds(0.0 if since is None else max(0.0, now - since - BEAT))

    def _came_back(self) -> None:
        self._unanswered_since = None


class VitalSigns:
    """What is green is True; anything else is a sentence that says why it is not."""

    def __init__(self, kernel: Kernel, minds: Minds, engine: Engine) -> None:
        self._kernel = kernel
        self._bridge = minds.bridge
        self._engine = engine
        self._root = Pulse(kernel.clock, engine.beat_root)
        self._orchestrator = Pulse(kernel.clock, engine.beat_orchestrator)
        self.server: ControlServer | None = None
        self.keeping: Housekeeping | None = None
        self.claims = ClaimWatch(kernel, minds, engine)

    def __call__(self) -> dict[str, bool | str]:
        """Every part by its name."""
        limit = self._kernel.settings.bridge.stalled_after
        patience = self._kernel.settings.journal.stuck_after
        return {
            "actors": self._actors(),
            "bridge": _turning("the agents' loop", self._bridge.health().late, limit),
            "writer": _moving(self._kernel.journal.health().batch_age, patience),
            "publisher": _moving(self._kernel.publisher.health().batch_age, patience),
            "control": self._control(limit),
            "claims": self.claims.sign,
            "housekeeping": self._housekeeping(),
        }

    def status(self) -> str:
        """One line for the service manager."""
        health = self._bridge.health()
        return f"boot {self._kernel.journal.boot}, {health.running} running"

    def _actors(self) -> bool | str:
        """The root, which restarts everything else, and the orchestrator, which hands everything out."""
        rows = {row.path: row.state for row in self._engine.root.tree()}
        down = [path for path, state in rows.items() if path.endswith("/orchestrator") and state != "up"]
        if down:
            return f"{down[0]} is not up"
        limit = self._kernel.settings.supervision.ping_deadline
        late = max((self._root.late(), "the root supervisor"), (self._orchestrator.late(), "the orchestrator"))
        return True if late[0] <= limit else f"{late[1]} has taken no message for {late[0]:.1f} s"

    def _control(self, limit: Seconds) -> bool | str:
        if self.server is None:
            return "the control loop does not run yet"
        late = self._kernel.clock.monotonic() - self.server.ticked_at - TICK
        return _turning("the control loop", Seconds(late), limit)

    def _housekeeping(self) -> bool | str:
        """Whether it goes on: without it nobody looks at the claims, the clock, the disk and the journal."""
        late = Seconds(0.0) if self.keeping is None else self.keeping.late()
        return True if late <= PATIENCE else f"housekeeping has been at one thing for {late:.0f} s"


class SignsTold:
    """Tells once of a part whose sign has turned red, and once when it is green again."""

    def __init__(self, note: Callable[[Fact], None]) -> None:
        self._note = note
        self._red: frozenset[str] = frozenset()

    def __call__(self, signs: Mapping[str, bool | str]) -> None:
        """What a look found."""
        red = {part: str(sign) for part, sign in signs.items() if sign is not True}
        for part in sorted(red.keys() - self._red):
            self._note(DaemonDegraded("daemon", part, red[part]))
        for part in sorted(self._red - red.keys()):
            self._note(DaemonRestored("daemon", part))
        self._red = frozenset(red)


def _turning(what: str, late: Seconds, limit: Seconds) -> bool | str:
    return True if late <= limit else f"{what} is {late:.1f} s late"


def _moving(batch_age: Seconds | None, patience: Seconds) -> bool | str:
    return True if batch_age is None or batch_age < patience else f"one batch has run for {batch_age:.0f} s"
