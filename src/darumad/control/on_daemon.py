"""What is asked about the daemon itself: how it is, what happens, and to drain, resume and stop."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from darumad.control.border import Json
from darumad.control.desk import Ask, Desk
from darumad.control.event_names import check_event_name
from darumad.control.metrics import CONTENT_TYPE, measured, render
from darumad.control.outlook import Need
from darumad.control.overview import Overview, overview
from darumad.control.replies import (
    HealthView,
    PanicReply,
    SamplesView,
    SampleView,
    StateReply,
    StatusView,
    TreeRowView,
    TreeView,
    VersionView,
)
from darumad.control.streams import NDJSON, SSE, Subscription
from darumad.control.wire import EventsRequest, Nothing
from darumad.errors import DarumaError, Problem, Refused, Unavailable, unknown_item
from darumad.events import DaemonDraining, DaemonPanicked, DaemonPaused, DaemonResumed, Fact
from darumad.journal.requests import PAUSED, Note, Setting
from darumad.names import ItemId, Millis
from darumad.values import changed
from darumad.work.states import WorkState

API = 1
"""The version of the wire; additive within it."""
MOST_RUNNING = 100_000
"""More items than can ever be running at once."""
_ACCEPTED, _UNHEALTHY = 202, 503
_PATIENCE = 2.0
"""Seconds: whoever asks whether the daemon lives is answered, also while a disk hangs."""
_UNREAD = Need(
    "the journal cannot be read, so that nobody knows what waits: the log and `daruma journal check` say more"
)


async def status(desk: Desk, ask: Ask, request: Nothing) -> StatusView:  # noqa: ARG001 - an operation's signature
    """The daemon on one screen."""
    daemon, reader = desk.daemon, desk.daemon.reader
    now = daemon.clock.wall()
    signs, draining = daemon.vital_signs(), daemon.draining()
    counts = await desk.read(reader.counts)
    oldest = await desk.read(reader.oldest_ready_at)
    found = await desk.read(overview, daemon)
    return StatusView(
        state="draining" if draining else "paused" if daemon.paused() else "running" if _live(signs) else "unhealthy",
        settings_file=None if daemon.settings_file is None else str(daemon.settings_file),
        state_dir=str(daemon.state_dir),
        version=daemon.version,
        boot=daemon.boot,
        uptime_seconds=max(0, now - daemon.started_at) / 1000,
        healthy=_live(signs),
        vital_signs=signs,
        draining=draining,
        provider=daemon.chosen_provider(),
        queue={str(state): count for state, count in counts.items()},
        oldest_ready_seconds=None if oldest is None else max(0, now - oldest) / 1000,
        agents=dict(Counter(str(each.get("state", "")) for each in daemon.agents())),
        position=str(await desk.read(reader.last_position)),
        **_told(found),
    )


async def tree(desk: Desk, ask: Ask, request: Nothing) -> TreeView:  # noqa: ARG001
    """The supervision tree, from the ownership table."""
    rows = tuple(
        TreeRowView(
            path=each.path,
            kind=each.kind,
            state=each.state,
            incarnation=each.incarnation,
            restarts=each.restarts,
            last_exit=each.last_exit,
            mailbox_depth=each.mailbox_depth,
            errors_in_window=each.errors_in_window,
            last_error=each.last_error,
        )
        for each in desk.daemon.tree()
    )
    return TreeView(items=rows)


async def events(desk: Desk, ask: Ask, request: EventsRequest) -> Response:
    """What happened, from a position on, then what happens: as server-sent events or as lines of JSON.

    Raises:
        Refused: no event has the name or, yet, the position asked for; `not_found`: nothing ever happened to the
            item asked for.
    """
    sse = SSE.media_type in ask.accepts
    follow = sse if request.follow is None else request.follow
    if request.type is not None:
        check_event_name(request.type, "/type")
    if request.item is not None and not follow:
        await _check_heard_of(desk, request.item)
    asked = ask.resume_from or request.since
    since = int(asked) if asked and asked.isdecimal() else await _beginning(desk, request.within, follow=follow)
    # Where this stream begins, and the newest event there is: with these a follower goes on after a restart.
    newest = await desk.read(desk.daemon.reader.last_position)
    if since > newest and not follow:
        problem = Problem("/since", f"is {since}, and the newest event has position {newest}")
        raise Refused("no event has this position yet", problems=[problem])
    wanted = Subscription(since, request.item, request.type, follow)
    headers = {"Cache-Control": "no-store", "Daruma-Since": str(since), "Daruma-Newest": str(newest)}
    return desk.streams.open(wanted, SSE if sse else NDJSON, headers)


async def _check_heard_of(desk: Desk, subject: str) -> None:
    """Refuses a subject that is no item and that no event is about; one that is followed may be yet to come."""
    reader, name = desk.daemon.reader, ItemId(subject)
    if await desk.read(reader.record, name) is None and not await desk.read(reader.events, 0, 1, name):
        raise unknown_item(subject)


async def health(desk: Desk, ask: Ask, request: Nothing) -> HealthView:  # noqa: ARG001
    """What lives and what does not, and what waits for somebody."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await desk.read(overview, desk.daemon)
    except (TimeoutError, DarumaError):
        found = Overview((), (_UNREAD,))
    return changed(_health(desk), **_told(found))


async def live(desk: Desk) -> Json:
    """200 while every part of the daemon makes progress, else 503: a service manager should start it anew."""
    view = _health(desk)
    return Json(view, 200 if view.live else _UNHEALTHY)


async def ready(desk: Desk) -> Json:
    """200 while the daemon takes work in, else 503."""
    view = _health(desk)
    return Json(view, 200 if view.ready else _UNHEALTHY)


async def metrics(desk: Desk, ask: Ask | None = None, request: Nothing | None = None) -> Response:  # noqa: ARG001
    """The Prometheus page, rendered off the loop."""
    page = await desk.read(render, desk.daemon, desk.lag())
    return Response(page, media_type=CONTENT_TYPE)


async def samples(desk: Desk, ask: Ask, request: Nothing) -> SamplesView:  # noqa: ARG001 - an operation's signature
    """What stands on the Prometheus page, value by value."""
    found = await desk.read(measured, desk.daemon, desk.lag())
    return SamplesView(items=tuple(SampleView(name=name, labels=labels, value=value) for name, labels, value in found))


async def drain(desk: Desk, ask: Ask, request: Nothing) -> StateReply:  # noqa: ARG001
    """Takes nothing new in and hands nothing out; what runs may finish."""
    by = ask.peer.by
    await _record(desk, ask, DaemonDraining(subject="daemon", by=by))
    desk.daemon.drain(by)
    return StateReply(state="draining")


async def resume(desk: Desk, ask: Ask, request: Nothing) -> StateReply:  # noqa: ARG001
    """Ends a drain and a pause."""
    by = ask.peer.by
    await _set_paused(desk, ask, "no", DaemonResumed(subject="daemon", by=by))
    desk.daemon.resume(by)
    return StateReply(state="running")


async def pause(desk: Desk, ask: Ask, request: Nothing) -> StateReply:  # noqa: ARG001
    """Claims nothing new until somebody resumes, also over a restart; what runs finishes its stage."""
    by = ask.peer.by
    desk.daemon.pause(by)
    await _remember_pause(desk, ask, DaemonPaused(subject="daemon", by=by))
    return StateReply(state="paused")


async def panic(desk: Desk, ask: Ask, request: Nothing) -> PanicReply:  # noqa: ARG001
    """Stops everything that runs, at once, and pauses: first it is revoked, then it is put back."""
    by, reader = ask.peer.by, desk.daemon.reader
    desk.daemon.pause(by)
    running = await desk.read(reader.records, state=WorkState.RUNNING, limit=MOST_RUNNING)
    held = [(each.item.id, each.holder or "", each.fence) for each in running]
    stopped, not_stopped, _ = await desk.daemon.revoke(held, f"panic, by {by}", False)  # noqa: FBT003 - the Daemon's
    fact = DaemonPanicked("daemon", by, tuple(stopped), tuple(not_stopped))
    await _remember_pause(desk, ask, fact)
    return PanicReply(state="paused", stopped=fact.stopped, not_stopped=fact.not_stopped)


async def _remember_pause(desk: Desk, ask: Ask, fact: Fact) -> None:
    """Keeps for the next life that this one is paused, which it is whether or not that can be kept."""
    try:
        await _set_paused(desk, ask, "yes", fact)
    except Unavailable as error:
        raise error.adding("it is paused, but not over a restart") from error


async def _set_paused(desk: Desk, ask: Ask, word: str, fact: Fact) -> None:
    await desk.commits.commit(Setting(values={PAUSED: word}, facts=(fact,), audits=(ask.audit("daemon"),)))


async def stop(desk: Desk, ask: Ask, request: Nothing) -> Json:  # noqa: ARG001
    """Ends the daemon as SIGTERM does; answered before."""
    await _record(desk, ask)
    desk.daemon.stop(ask.peer.by)
    return Json(StateReply(state="stopping"), _ACCEPTED)


async def version(desk: Desk, ask: Ask, request: Nothing) -> VersionView:  # noqa: ARG001
    """What answers here."""
    return VersionView(version=desk.daemon.version, api=API, boot=desk.daemon.boot)


async def _record(desk: Desk, ask: Ask, *facts: Fact) -> None:
    await desk.commits.commit(Note(facts=facts, audit=ask.audit("daemon")))


async def _beginning(desk: Desk, within: float | None, *, follow: bool) -> int:
    """Where a stream begins that names no position.

    With what happened `within` so many seconds, where that is said; else a follower's at the present, a reader's at the
    first event.
    """
    if within is not None:
        since = Millis(max(0, desk.daemon.clock.wall() - round(within * 1000)))
        return await desk.read(desk.daemon.reader.position_before, since)
    return await desk.read(desk.daemon.reader.last_position) if follow else 0


def _health(desk: Desk) -> HealthView:
    signs = desk.daemon.vital_signs()
    live, unmade, wrong = _live(signs), desk.daemon.unmade(), desk.daemon.journal_wrong()
    no_room, providers = desk.daemon.no_room(), desk.daemon.providers.standing()
    shut = any(each is not True for each in providers.values())
    return HealthView(
        live=live,
        ready=live and no_room is None and not desk.daemon.draining(),
        degraded=bool(unmade or wrong or no_room or shut),
        vital_signs=signs,
        agents={name: unmade.get(name, True) for name in desk.daemon.definitions()},
        providers=providers,
        journal=None if wrong is None else tuple(wrong),
        disk=no_room,
    )


def _told(found: Overview) -> dict[str, Any]:
    """The overview as the views have it."""
    return {
        "held_back": tuple(each.says for each in found.held_back),
        "amiss": tuple(each.says for each in found.amiss),
        "needs_somebody": found.needs_somebody,
    }


def _live(signs: Mapping[str, bool | str]) -> bool:
    return all(each is True for each in signs.values())
