"""The composition root: builds the house in order, keeps watch over it, takes it down in reverse.

No rule lives here.
"""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from darumad.clock import SystemClock
from darumad.control import ControlServer
from darumad.cores import one_core
from darumad.daemon import housekeeping
from darumad.daemon.assembly import (
    WITHIN,
    Kernel,
    Minds,
    build_kernel,
    build_minds,
    credentials_of,
)
from darumad.daemon.doors import Doorkeeper, Entrances, doors, sockets
from darumad.daemon.engine import Engine
from darumad.daemon.forks import part_with_children
from darumad.daemon.front import Watchers, daemon_for_control
from darumad.daemon.guardian import Ending, Guardian, Watched
from darumad.daemon.housekeeping import Housekeeping
from darumad.daemon.last_resort import LastResort
from darumad.daemon.loop_watch import LoopWatch
from darumad.daemon.signs import SignsTold, VitalSigns
from darumad.daemon.turns import SwitchInterval
from darumad.errors import DarumaError, Unavailable
from darumad.events import DaemonReady, DaemonStopping
from darumad.journal.requests import Rescue
from darumad.logs import Logs, check_file, configure, logger
from darumad.names import Seconds
from darumad.notify import Notifier
from darumad.redaction import redact
from darumad.settings import Settings
from darumad.supervision import StartError
from darumad.values import Value
from darumad.work.states import WorkState

__all__ = ["run"]

log = logger(__name__)
EXIT: dict[Ending, int] = {"asked": 0, "root": 70, "broken_disk": 74, "stuck": 75, "leaked": 75}
_NO_THREAD = "can't start new thread"
"""What Python says of it, and nothing else tells it from any other RuntimeError."""
_LAST_STEPS = Seconds(1.0)
"""How long what is under way already may take: an actor's thread that was given up to end by itself before the stop is
called unclean, the orchestrator to move on what it was told of last."""


def run(settings: Settings, *, stands: Callable[[], None]) -> int:
    """Run the daemon in the foreground until it is told to stop or must end; the process's exit code.

    `stands` is called once, when everything is built and before anybody is told that it is ready.

    Raises:
        Refused: the settings, the log's file, the sockets or the state directory cannot be used; nothing was started.
        Unavailable: `no_threads`: the system has none left for it.
    """
    try:
        return _run(settings, stands)
    except (RuntimeError, StartError) as error:
        if not _lacks_threads(error):
            raise
        raise Unavailable("the system gives this process no more threads", code="no_threads") from error


def _lacks_threads(error: BaseException) -> bool:
    """Whether what began it all is that no thread could be."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) == _NO_THREAD


def _run(settings: Settings, stands: Callable[[], None]) -> int:
    faulthandler.enable()
    part_with_children()
    if settings.log.file:
        check_file(settings.log.file)
    clock = SystemClock()
    logs = configure(settings.log, clock=clock, environ=os.environ)
    guardian = Guardian(clock, Notifier(os.environ))
    try:
        with ExitStack() as stack:
            if settings.daemon.one_core:
                stack.enter_context(one_core())
            turns = SwitchInterval(clock, settings.daemon.switch_interval)
            turns.open()
            stack.callback(turns.close)
            _on_rotation(guardian, logs, stack)
            _on_signals(guardian, stack)
            with LastResort(WITHIN) as start, _heard_by(start), ExitStack() as parts:
                house = _built(settings, clock, guardian, logs, parts)
                stack.push(parts.pop_all())
            stands()
            ending, why = _served(house)
            code = EXIT[ending]
            last_resort = clock.call_at(clock.monotonic() + 2 * WITHIN, lambda: os._exit(code))
        last_resort.cancel()
        ending, why = guardian.after_all(ending, why)
        log.info("daemon_stopped", ending=ending, why=why)
        return EXIT[ending]
    finally:
        logs.close()


class _House(Value):
    """All that stands once the house is built, for who watches over it."""

    kernel: Kernel
    minds: Minds
    engine: Engine
    signs: VitalSigns
    server: ControlServer
    entrances: Entrances


def _built(settings: Settings, clock: SystemClock, guardian: Guardian, logs: Logs, stack: ExitStack) -> _House:
    keyring = credentials_of(settings, os.environ)
    for each in keyring.known().values():
        redact.conceal(each.reveal())
    entrances = sockets(settings, stack)
    kernel = build_kernel(settings, clock, guardian, stack)
    minds = build_minds(kernel, keyring)
    engine = Engine(kernel, minds)
    minds.templates.load(unless=lambda: guardian.is_to_end)
    engine.dispatch.draining = guardian.is_to_end  # nothing is begun that the stop would only wait for
    minds.keys.serve(minds.broker, minds.providers, engine.hint)
    signs = VitalSigns(kernel, minds, engine)
    keeping = Housekeeping(
        _housekeeping_ports(kernel, minds, engine, signs), settings.retention, settings.journal.check_after
    )
    signs.keeping = keeping
    watchers = Watchers(signs=signs, journal_wrong=keeping.journal_wrong, lost_lines=lambda: logs.dropped)
    server = ControlServer(daemon_for_control(kernel, minds, engine, watchers))
    signs.server = server
    server.start()
    stack.callback(server.stop, WITHIN)
    engine.start(doors(server, entrances))
    stack.callback(_stop_tree, engine, guardian)
    engine.treasury.open()
    stack.callback(engine.treasury.close)
    minds.keys.open()
    stack.callback(minds.keys.close)
    keeping.start()
    stack.callback(keeping.close, WITHIN)
    server.let_in()
    return _House(kernel, minds, engine, signs, server, entrances)


def _served(house: _House) -> tuple[Ending, str]:
    """How it came to end, and why: told that it is ready, watched over, and wound down."""
    kernel, chosen, guardian = house.kernel, house.minds.chosen, house.kernel.guardian
    kernel.note(DaemonReady("daemon", chosen.provider))
    guardian.notifier.ready(house.signs.status())
    log.info("daemon_ready_at", socket=str(kernel.settings.control.socket), provider=chosen.provider, why=chosen.why)
    ending, why = guardian.watch(
        Watched(
            signs=house.signs,
            root_ended=lambda: house.engine.root.wait(0) is not None,
            stuck=_stuck(kernel, house.minds, house.engine),
            status=house.signs.status,
            keep_door=Doorkeeper(house.entrances, house.server, kernel.note).look,
            heed=SignsTold(kernel.note),
        )
    )
    house.engine.dispatch.draining = True  # before anybody is told: who hears of the stop and still submits is refused
    kernel.note(DaemonStopping("daemon", why or ending))
    guardian.notifier.stopping("draining", kernel.settings.daemon.drain_timeout + 2 * WITHIN)
    _wind_down(kernel, house.minds, ending)
    house.server.hush()
    return ending, why


def _stuck(kernel: Kernel, minds: Minds, engine: Engine) -> Callable[[], str | None]:
    """What the guardian asks again and again: why the process must be replaced, if it must."""
    loop = LoopWatch(
        kernel, minds.bridge, leaked=lambda: engine.root.leaked, over=engine.hint, left_behind=engine.left_behind
    )

    def stuck() -> str | None:
        if not kernel.journal.in_place:
            kernel.guardian.end("broken_disk", "the journal's file was removed or replaced while it was written")
        return loop.look()

    return stuck


def _housekeeping_ports(
    kernel: Kernel, minds: Minds, engine: Engine, signs: VitalSigns
) -> housekeeping.HousekeepingPorts:
    return housekeeping.HousekeepingPorts(
        clock=kernel.clock,
        journal=kernel.journal,
        workspaces=minds.workspaces,
        uploads=kernel.settings.state_dir / "uploads",
        directory=kernel.settings.state_dir,
        note=kernel.note,
        look_again=engine.hint,
        look_at_the_date=engine.treasury.look_at_the_date,
        look_at_the_claims=signs.claims.look,
    )


def _wind_down(kernel: Kernel, minds: Minds, ending: Ending) -> None:
    """Let what runs finish, with the doors open for reads and cancels, then put back what still runs."""
    within = kernel.settings.daemon.drain_timeout if ending == "asked" else _LAST_STEPS
    # What the bridge has finished is still to be moved on: only the journal knows that nothing runs any more.
    reader = kernel.journal.reader()
    kernel.guardian.linger(
        lambda: minds.bridge.health().running == 0 and not reader.counts()[WorkState.RUNNING], within
    )
    if ending != "broken_disk":
        _put_back(kernel)


def _put_back(kernel: Kernel) -> None:
    """What still runs is ready again; where the journal does not answer, the next boot does it."""
    try:
        kernel.journal.call(Rescue(live=frozenset()), WITHIN)
    except DarumaError as error:
        log.warning("not_put_back", error=str(error))


def _stop_tree(engine: Engine, guardian: Guardian) -> None:
    """Stop the tree. A thread that does not end with it is shown with its stack, for its process ends all the same."""
    engine.root.stop()
    guardian.linger(lambda: not engine.root.leaked, _LAST_STEPS)
    guardian.ran_on = engine.root.leaked
    if guardian.ran_on:
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)


def _on_signals(guardian: Guardian, stack: ExitStack) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.signal(number, lambda got, _: guardian.end("asked", signal.Signals(got).name))
        stack.callback(signal.signal, number, before)


@contextmanager
def _heard_by(start: LastResort) -> Iterator[None]:
    before = signal.set_wakeup_fd(start.descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


def _on_rotation(guardian: Guardian, logs: Logs, stack: ExitStack) -> None:
    """SIGHUP and SIGUSR1 open the log's file anew."""
    for number in (signal.SIGHUP, signal.SIGUSR1):
        before = signal.signal(number, lambda *_: guardian.post(logs.reopen))
        stack.callback(signal.signal, number, before)
