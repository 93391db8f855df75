"""What is asked about work: list it, look at it, wait for it, fetch what it made. Nothing here changes anything."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from starlette.responses import FileResponse, Response

from darumad.control.daemon import Reader
from darumad.control.desk import Ask, Desk
from darumad.control.outlook import cancelled_by, needs
from darumad.control.replies import AmountView, ResultView, WorkPage, WorkView
from darumad.control.views import summary_of, view_of
from darumad.control.wire import ArtifactRequest, ItemRequest, ListRequest, ShowRequest, WaitRequest
from darumad.errors import Refused, Unavailable
from darumad.names import AgentName, ItemId
from darumad.values import changed
from darumad.work.budget import item_budget
from darumad.work.spent import spent
from darumad.work.states import WorkState

_LONGEST_WAIT = 300.0
"""Seconds that one request may wait for an item; a client asks again."""
_ALL = 100_000
"""More events than one item ever has."""
_SETTLED = frozenset({WorkState.SUCCEEDED, WorkState.DEAD, WorkState.CANCELLED, WorkState.PARKED})


async def list_work(desk: Desk, ask: Ask, request: ListRequest) -> WorkPage:  # noqa: ARG001 - an operation's signature
    """Items, a page at a time.

    Raises:
        Refused: `unknown_agent`: there is no such agent, and there are no items of one that was; `not_found`: the item
            to begin behind is not kept any more, or never was: an empty page would look like the end. So of a parent.
    """
    key, _, value = (request.label or "").partition("=")
    records = await desk.read(
        desk.daemon.reader.records,
        state=request.state,
        agent=None if request.agent is None else AgentName(request.agent),
        label=(key, value) if request.label else None,
        conversation=request.conversation,
        parent=request.parent,
        after=request.after,
        limit=request.limit + 1,
    )
    if not records:
        desk.check_agent(request.agent)
    for known_before in (request.after, request.parent):
        if not records and known_before is not None:
            await desk.record(known_before)
    page = records[: request.limit]
    more = len(records) > request.limit
    return WorkPage(items=tuple(map(summary_of, page)), next=page[-1].item.id if more else None)


async def show(desk: Desk, ask: Ask, request: ShowRequest) -> WorkView:  # noqa: ARG001
    """One item and everything that has become of it."""
    reader, name = desk.daemon.reader, ItemId(request.id)
    record = await desk.record(request.id)
    attempts = await desk.read(reader.attempts, name)
    steps = tuple(await desk.read(reader.steps, name)) if request.steps else None
    effects = tuple(await desk.read(reader.effects, name)) if request.steps else None
    cancelled = await cancelled_by(desk, record)
    children = await desk.read(reader.children, name)
    events = await desk.read(reader.events, 0, _ALL, name)
    return changed(
        view_of(record),
        waits_for=await needs(desk, record),
        cancelled=cancelled,
        children=tuple(children) or None,
        attempts=tuple(attempts) if request.attempts else None,
        steps=steps,
        effects=effects,
        spent=spent(events, desk.daemon.clock.wall()),
        used=await desk.read(_used, reader, name, attempts),
    )


def _used(reader: Reader, name: ItemId, attempts: Sequence[Mapping[str, Any]]) -> AmountView:
    """What was booked for the item. Where a price was unknown the sum is, too: the account adds nothing for it."""
    budget = item_budget(name)
    spent_on = reader.accounts([budget])[budget].spent
    known = all(each["usage"]["nano_usd"] is not None for each in attempts)
    return AmountView(nano_usd=spent_on.nano_usd if known else None, tokens=spent_on.tokens, calls=spent_on.calls)


async def wait(desk: Desk, ask: Ask, request: WaitRequest) -> WorkView:
    """The item once it is finished or parked.

    Raises:
        Unavailable: `wait_expired`: the time is up, or the caller has hung up; or the daemon stops first.
    """
    deadline = desk.daemon.clock.monotonic() + min(request.timeout, _LONGEST_WAIT)
    gone = asyncio.ensure_future(ask.gone())
    try:
        with desk.watch.item(request.id) as bell:
            return await _settled(desk, request.id, bell, gone, deadline)
    finally:
        gone.cancel()


async def _settled(
    desk: Desk, name: str, bell: asyncio.Event, gone: "asyncio.Future[None]", deadline: float
) -> WorkView:
    """The item once it is finished or parked: looked at now, and again whenever `bell` rings."""
    while True:
        bell.clear()
        record = await desk.record(name)
        waiting_for = await needs(desk, record)
        if record.state in _SETTLED:
            return changed(view_of(record), waits_for=waiting_for, cancelled=await cancelled_by(desk, record))
        left = deadline - desk.daemon.clock.monotonic()
        still = f"{name} is still {record.state.value}"
        await _rings(bell, gone, left, f"{still}: it waits for {waiting_for}" if waiting_for else still)
        if desk.watch.closed:
            raise Unavailable("the daemon is stopping; the item will go on when it is back")


async def _rings(bell: asyncio.Event, gone: "asyncio.Future[None]", left: float, still: str) -> None:
    """Wait until something about the item was committed; `still` is the message when nothing was.

    Raises:
        Unavailable: `wait_expired`: the time is up, or the caller has hung up.
    """
    ringing = asyncio.ensure_future(bell.wait())
    try:
        waiting: set[asyncio.Future[Any]] = {ringing, gone}
        await asyncio.wait(waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ringing.cancel()
    if not bell.is_set():
        raise Unavailable(still, code="wait_expired")


async def result(desk: Desk, ask: Ask, request: ItemRequest) -> ResultView:  # noqa: ARG001
    """What a succeeded item made.

    Raises:
        Refused: `not_found`; `conflict` while there is no result.
    """
    found = await desk.read(desk.daemon.reader.result, ItemId(request.id))
    if found is None:
        record = await desk.record(request.id)
        raise Refused(f"{request.id} has no result: it is {record.state.value}", code="conflict")
    return cast("ResultView", {**found, "item_id": request.id})


async def artifact(desk: Desk, ask: Ask, request: ArtifactRequest) -> Response:
    """One file of a result, as it was when the item succeeded.

    Raises:
        Refused: `no_file`: the result has no such file, or it is gone with its workspace.
    """
    made = await result(desk, ask, ItemRequest(id=request.id))
    listed = {each["name"]: each for each in made.get("artifacts", ())}
    entry = listed.get(request.name)
    place = desk.daemon.workspace_of(await desk.record(request.id))
    path = None if entry is None else _inside(place, request.name)  # a name that nobody listed need not even be a path
    if entry is None or path is None:
        raise Refused(f"the result of {request.id} has no file {request.name}", code="no_file")
    return FileResponse(path, media_type=entry["media_type"], headers={"Daruma-Sha256": entry["sha256"]})


def _inside(workspace: Path, name: str) -> Path | None:
    """The file called `name` below `workspace`; None when it is not there or leads out of it."""
    root = workspace.resolve()
    path = (root / name).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None
