"""The front: the daemon as the control room sees it. Every question is led to the room that can answer it."""

import asyncio
import functools
from collections.abc import Callable, Sequence

from darumad import __version__
from darumad.actors import instances, places
from darumad.bridge import Bridge, Limit, Stopped
from darumad.control import Daemon
from darumad.control.daemon import Revoked, Running
from darumad.daemon import configured
from darumad.daemon.assembly import Kernel, Minds
from darumad.daemon.engine import Engine
from darumad.daemon.gauges import gauges
from darumad.logs import logger
from darumad.names import Seconds
from darumad.values import Value
from darumad.work.ports import Owner

log = logger(__name__)


class Watchers(Value, kw_only=True):
    """Who knows how the daemon is: its vital signs, what a check found in the journal, how many log lines were lost."""

    signs: Callable[[], dict[str, bool | str]]
    journal_wrong: Callable[[], Sequence[str] | None]
    lost_lines: Callable[[], int]


def daemon_for_control(kernel: Kernel, minds: Minds, engine: Engine, watchers: Watchers) -> Daemon:
    """The daemon as the control room sees it."""
    settings = kernel.settings
    definitions = configured.LoadedDefinitions(configured.agent_definitions(settings), minds.templates)
    switches = _Switches(engine)
    return Daemon(
        clock=kernel.clock,
        tally=kernel.tally,
        journal=kernel.journal,
        reader=kernel.journal.reader(),
        publisher=kernel.publisher,
        tree=lambda: places(engine.root),
        agents=lambda: instances(engine.root, minds.bridge, kernel.clock.wall(), engine.gated),
        unmade=engine.unmade,
        shut=minds.broker.shut,
        held=lambda: engine.held,
        unplaced=engine.unplaced,
        lanes=configured.lanes(settings),
        vital_signs=watchers.signs,
        journal_wrong=watchers.journal_wrong,
        no_room=kernel.journal.no_room,
        hint=engine.hint,
        revoke=functools.partial(_revoke, minds.bridge),
        restart_instances=engine.restart,
        wake=engine.wake,
        drain=switches.drain,
        pause=switches.pause,
        paused=lambda: engine.dispatch.paused,
        resume=switches.resume,
        stop=lambda by: kernel.guardian.end("asked", by),
        draining=lambda: engine.dispatch.draining,
        chosen_provider=lambda: {
            "provider": minds.chosen.provider, "model": minds.chosen.model, "why": minds.chosen.why,
        },
        definitions=lambda: definitions,
        settings_file=settings.read_from,
        state_dir=settings.state_dir.absolute(),
        upload_dir=settings.state_dir / "uploads",
        input_roots=settings.item.input_roots,
        low_water=settings.journal.low_water,
        head_timeout=settings.control.head_timeout,
        body_timeout=settings.control.body_timeout,
        workspace_of=minds.workspaces.of,
        remove_workspaces=lambda item: minds.workspaces.remove(minds.workspaces.home_of(item)),
        remember=Seconds(settings.retention.results + settings.retention.ids),
        log_file=settings.log.file,
        new_id=kernel.new_id,
        report=operation_failed,
        boot=kernel.journal.boot,
        version=__version__,
        started_at=kernel.clock.wall(),
        max_unfinished=settings.queue.max_items,
        unfinished=lambda: kernel.journal.health().unfinished,
        treasury=engine.treasury,
        keys=minds.keys,
        providers=minds.providers,
        gauges=lambda: gauges(kernel.journal, minds.bridge, minds.broker, engine.root, watchers.lost_lines()),
    )  # fmt: skip


class _Switches(Value):
    """Whether anything new is claimed, as whoever asks has it; the log says who did."""

    engine: Engine

    def drain(self, by: str) -> None:
        log.info("drain_asked", by=by)
        self.engine.dispatch.draining = True

    def pause(self, by: str) -> None:
        log.info("pause_asked", by=by)
        self.engine.dispatch.paused = True

    def resume(self, by: str) -> None:
        log.info("resume_asked", by=by)
        self.engine.dispatch.draining = self.engine.dispatch.paused = False
        self.engine.hint()


async def _revoke(
    bridge: Bridge,
    running: Sequence[Running],
    reason: str,
    cancelled: bool,  # noqa: FBT001 - the Daemon's
) -> Revoked:
    waiting = asyncio.get_running_loop()
    done: asyncio.Future[Stopped] = waiting.create_future()

    def reply(stopped: Stopped) -> None:
        waiting.call_soon_threadsafe(done.set_result, stopped)

    log.debug("revoking", items=[each[0] for each in running], reason=reason)
    owned = [Owner(item, fence) for item, _, fence in running]
    bridge.cancel(owned, Limit.CANCELLED if cancelled else Limit.REVOKED, reply, reason)
    answer = await asyncio.shield(done)  # a caller that hangs up does not stop the stopping
    return [str(each) for each in answer.stopped], [str(each) for each in answer.not_stopped], answer.after_ms


def operation_failed(operation: str, error: BaseException, trace_id: str | None) -> None:
    """An operation of the control room broke: its caller was told to look into the log, so the log says where."""
    log.error("operation_failed", operation=operation, trace_id=trace_id, exc_info=error)
