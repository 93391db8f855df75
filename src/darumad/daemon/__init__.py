"""The composition root: builds the house in order, keeps watch over it, takes it down in reverse.

No rule lives here.
"""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

from darumad.clock import SystemClock
from darumad.control import ControlServer
from darumad.daemon.assembly import (
    STUCK,
    WITHIN,
    Engine,
    Kernel,
    Minds,
    control_house,
    credentials_of,
    doors,
    kernel,
    minds,
    sockets,
)
from darumad.daemon.guardian import Ending, Guardian, Watched
from darumad.events import BridgeStalled, DaemonReady, DaemonStopping
from darumad.journal.requests import Rescue
from darumad.logs import configure, logger
from darumad.names import Seconds
from darumad.notify import Notifier
from darumad.redaction import redact
from darumad.settings import Settings

__all__ = ["run"]

log = logger(__name__)
EXIT: dict[Ending, int] = {"asked": 0, "root": 70, "broken_disk": 74, "stuck": 75}


def run(settings: Settings) -> int:
    """Run the daemon in the foreground until it is told to stop or must end; the process's exit code.

    Raises:
        Refused: the settings, the sockets or the state directory cannot be used; nothing was started.
    """
    faulthandler.enable()
    sys.setswitchinterval(settings.daemon.switch_interval)
    clock = SystemClock()
    logs = configure(settings.log, clock=clock, environ=os.environ)
    notifier = Notifier(os.environ)
    guardian = Guardian(clock, notifier)
    try:
        with ExitStack() as stack:
            ending, why = _serve(settings, clock, guardian, notifier, stack)
        log.info("daemon_stopped", ending=ending, why=why)
        return EXIT[ending]
    finally:
        logs.close()


def _serve(
    settings: Settings, clock: SystemClock, guardian: Guardian, notifier: Notifier, stack: ExitStack
) -> tuple[Ending, str]:
    _on_signals(guardian, stack)
    credentials = credentials_of(settings, os.environ)
    for each in credentials.values():
        redact.conceal(each.reveal())
    listening = sockets(settings, stack)
    house = kernel(settings, clock, guardian, stack)
    behind = minds(house, credentials, stack)
    engine = Engine(house, behind)
    signs = _Signs(house, behind, engine)
    server = ControlServer(control_house(house, behind, engine, signs))
    signs.server = server
    server.start()
    stack.callback(server.stop, WITHIN)
    engine.start(doors(server, listening))
    stack.callback(_stop_tree, engine)
    house.note(DaemonReady("daemon", behind.chosen.provider))
    notifier.ready(signs.status())
    log.info(
        "daemon_ready_at", socket=str(settings.control.socket), provider=behind.chosen.provider, why=behind.chosen.why
    )
    ending, why = guardian.watch(
        Watched(signs=signs, root_ended=lambda: engine.root.wait(0) is not None, stuck=signs.stuck, status=signs.status)
    )
    house.note(DaemonStopping("daemon", why or ending))
    notifier.stopping("draining", settings.daemon.drain_timeout + 2 * WITHIN)
    _wind_down(house, behind, engine, ending)
    server.hush()
    return ending, why


class _Signs:
    """The vital signs, from tables and counters alone: True is green, a sentence is why not."""

    def __init__(self, house: Kernel, behind: Minds, engine: Engine) -> None:
        self._house = house
        self._bridge = behind.bridge
        self._engine = engine
        self._told_stalled = False
        self.server: ControlServer | None = None

    def __call__(self) -> dict[str, bool | str]:
        limit = self._house.settings.bridge.stalled_after
        late = self._bridge.health().late
        return {
            "actors": self._actors(),
            "bridge": True if late <= limit else f"the loop is {late:.1f} s late",
            "writer": _moving(self._house.journal.health().batch_age),
            "publisher": _moving(self._house.publisher.health().batch_age),
            "control": self._control(limit),
        }

    def status(self) -> str:
        """One line for the service manager."""
        health = self._bridge.health()
        return f"boot {self._house.journal.boot}, {health.running} running"

    def stuck(self) -> str | None:
        """Why the process must be replaced; None while it need not be.

        A stalled loop is recorded once, with its stack.
        """
        settings = self._house.settings.bridge
        late = self._bridge.health().late
        if late > settings.stalled_after and not self._told_stalled:
            self._house.note(BridgeStalled("bridge", int(late * 1000), self._house.loop.stack()))
        self._told_stalled = late > settings.stalled_after
        if late <= settings.dead_after:
            return None
        faulthandler.dump_traceback(all_threads=True)
        return f"the bridge's loop has not turned for {late:.1f} s"

    def _actors(self) -> bool | str:
        try:
            down = [
                row.path for row in self._engine.root.tree() if row.path.endswith("orchestrator") and row.state != "up"
            ]
        except Exception as error:  # noqa: BLE001 - while the tree is being built or taken down there is none to read
            return str(error)
        return True if not down else f"{down[0]} is not up"

    def _control(self, limit: Seconds) -> bool | str:
        if self.server is None:
            return "the control loop does not run yet"
        late = self._house.clock.monotonic() - self.server.ticked_at
        return True if late <= 0.25 + limit else f"the control loop is {late:.1f} s late"


def _moving(batch_age: Seconds | None) -> bool | str:
    return True if batch_age is None or batch_age < STUCK else f"one batch has run for {batch_age:.0f} s"


def _wind_down(house: Kernel, behind: Minds, engine: Engine, ending: Ending) -> None:
    """Drain with the doors open for reads and cancels, then put back what still runs."""
    engine.admission.draining = True
    within = house.settings.daemon.drain_timeout if ending == "asked" else Seconds(0.0)
    _until(lambda: behind.bridge.health().running == 0, house.clock, within)
    if ending in {"asked", "root"}:
        house.journal.call(Rescue(live=frozenset(), why="the daemon is stopping"), WITHIN)


def _until(done: Callable[[], bool], clock: SystemClock, within: Seconds) -> None:
    waited = threading.Event()
    end = clock.monotonic() + within
    while not done() and clock.monotonic() < end:
        waited.wait(0.05)


def _stop_tree(engine: Engine) -> None:
    engine.root.stop()


def _on_signals(guardian: Guardian, stack: ExitStack) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.signal(number, lambda got, _: guardian.end("asked", signal.Signals(got).name))
        stack.callback(signal.signal, number, before)
