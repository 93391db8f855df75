"""What is asked about work: hand it in, look at it, wait for it, take it back, and fetch what it made."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from starlette.responses import FileResponse, Response

from darumad.control import uploads
from darumad.control.admission import Admission, Admitted, edited
from darumad.control.border import Json
from darumad.control.desk import Ask, Desk
from darumad.control.house import House, Running
from darumad.control.outlook import cancelled_by, crowding, held_up, idle, needs, still_to_come
from darumad.control.roots import Roots, take_in
from darumad.control.views import (
    CancelReply,
    ManyReply,
    PurgeReply,
    ReleaseReply,
    ResultView,
    Submitted,
    SubmittedBatch,
    UploadReply,
    WorkPage,
    WorkView,
    summary,
    view,
)
from darumad.control.wire import (
    LONGEST_WAIT,
    AnswerRequest,
    ArtifactRequest,
    BatchRequest,
    CancelRequest,
    EditRequest,
    ItemRequest,
    ListRequest,
    ManyRequest,
    ShowRequest,
    SubmitRequest,
    UploadRequest,
    WaitRequest,
    pointer,
)
from darumad.errors import DarumaError, Problem, Refused, Unavailable, unknown_agent, unknown_item
from darumad.events import WorkStopped
from darumad.journal.requests import Accept, Accepted, Cancel, Cancelled, Edit, Note, Purge, Release, Released
from darumad.names import AgentName, ItemId
from darumad.values import changed
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState

COMMIT_PATIENCE = 1.0
"""Seconds that a cancel waits for its commit before it revokes all the same."""
_DRAIN_RETRY = 5.0
_PAGE = 500
_SETTLED = frozenset({WorkState.SUCCEEDED, WorkState.DEAD, WorkState.CANCELLED, WorkState.PARKED})
_CREATED = 201


async def submit(desk: Desk, ask: Ask, request: SubmitRequest) -> Json:
    """Accepts one item: answered after COMMIT, so that it can no longer be lost."""
    admitted = Admission(desk.house, ask.caller.by).admit(request, ask.sent, ask.key)
    try:
        (reply,) = await _accept(desk, ask, [admitted])
    except Refused as refused:
        raise _of_one(refused) from None
    return Json(reply, _CREATED if reply.created else 200)


async def batch(desk: Desk, ask: Ask, request: BatchRequest) -> Json:
    """Accepts many items in one transaction, all or none."""
    sent, admission = ask.sent["items"], Admission(desk.house, ask.caller.by)
    admitted: list[Admitted] = []
    problems: list[Problem] = []
    for index, each in enumerate(request.items):
        try:
            admitted.append(admission.admit(each, sent[index], at=f"/items/{index}"))
        except Refused as refused:
            problems += refused.problems
    if problems:
        raise Refused("the batch is not valid, and nothing of it was accepted", problems=problems)
    _check_distinct(admitted)
    replies = tuple(await _accept(desk, ask, admitted))
    return Json(SubmittedBatch(items=replies), _CREATED if any(each.created for each in replies) else 200)


async def list_work(desk: Desk, ask: Ask, request: ListRequest) -> WorkPage:  # noqa: ARG001 - an operation's signature
    """Items, a page at a time.

    Raises:
        Refused: `unknown_agent`: there is no such agent, and there are no items of one that was; `not_found`: the item
            to begin behind is not kept any more, or never was: an empty page would look like the end. So of a parent.
    """
    key, _, value = (request.label or "").partition("=")
    records = await desk.read(
        desk.house.reader.records,
        state=request.state,
        agent=None if request.agent is None else AgentName(request.agent),
        label=(key, value) if request.label else None,
        conversation=request.conversation,
        parent=request.parent,
        after=None if request.after is None else ItemId(request.after),
        limit=request.limit + 1,
    )
    known = desk.house.definitions()
    if not records and request.agent is not None and request.agent not in known:
        raise unknown_agent(request.agent, known)
    for known_before in (request.after, request.parent):
        if not records and known_before is not None:
            await _record(desk, known_before)
    page = records[: request.limit]
    more = len(records) > request.limit
    return WorkPage(items=tuple(map(summary, page)), next=page[-1].item.id if more else None)


async def show(desk: Desk, ask: Ask, request: ShowRequest) -> WorkView:  # noqa: ARG001
    """One item and everything that has become of it."""
    reader, name = desk.house.reader, ItemId(request.id)
    record = await _record(desk, request.id)
    attempts = await desk.read(reader.attempts, name) if request.attempts else None
    steps = await desk.read(reader.steps, name) if request.steps else None
    effects = await desk.read(reader.effects, name) if request.steps else None
    cancelled = await cancelled_by(desk, record)
    children = await desk.read(reader.children, name)
    return view(
        record, attempts, steps, effects, waits_for=await needs(desk, record), cancelled=cancelled, children=children
    )


async def wait(desk: Desk, ask: Ask, request: WaitRequest) -> WorkView:
    """The item once it is finished or parked.

    Raises:
        Unavailable: `wait_expired`; or the daemon stops first.
    """
    deadline = desk.house.clock.monotonic() + min(request.timeout, LONGEST_WAIT)
    gone = asyncio.ensure_future(ask.gone())
    try:
        with desk.watch.item(request.id) as bell:
            while True:
                bell.clear()
                record = await _record(desk, request.id)
                waiting_for = await needs(desk, record)
                if record.state in _SETTLED:
                    return view(record, waits_for=waiting_for, cancelled=await cancelled_by(desk, record))
                left = deadline - desk.house.clock.monotonic()
                still = f"{request.id} is still {record.state.value}"
                await _rings(bell, gone, left, f"{still}: it waits for {waiting_for}" if waiting_for else still)
                if desk.watch.closed:
                    raise Unavailable("the daemon is stopping; the item will go on when it is back")
    finally:
        gone.cancel()


async def cancel(desk: Desk, ask: Ask, request: CancelRequest) -> CancelReply:
    """Cancels an item and stops what runs for it. Works while every role actor is wedged: it asks none.

    A commit that fails or hangs does not keep the item's owner: it is revoked all the same, and spends nothing more.
    """
    name, reason = ItemId(request.id), request.reason or "cancelled by its operator"
    told = f"cancelled by {ask.caller.by}" + (f": {request.reason}" if request.reason else "")
    before = await _record(desk, request.id)
    commit = desk.commits.begin(Cancel(items=(name,), reason=reason, audit=ask.audit(name)))
    await asyncio.wait({commit}, timeout=COMMIT_PATIENCE)
    answer = commit.result() if commit.done() else still_to_come(desk.house)
    if isinstance(answer, Refused):
        raise answer
    if isinstance(answer, Exception):
        raise await _revoked_all_the_same(desk, before, told, answer)
    cancelled = cast("Cancelled", answer)
    if not cancelled.running:
        return CancelReply(id=request.id, cancelled=cancelled.items, died=cancelled.died)
    if not request.wait:
        desk.leave_going(_stop_silently(desk, cancelled, told))
        return CancelReply(id=request.id, cancelled=cancelled.items, died=cancelled.died)
    return await _stop(desk, request.id, cancelled, told)


async def cancel_many(desk: Desk, ask: Ask, request: ManyRequest) -> ManyReply:
    """Cancels, in one transaction, whatever fits and can be; answers once it is done, and stops what ran behind it."""
    names = await _those(desk, request)
    reason = request.reason or "cancelled by its operator"
    asked = Cancel(items=names, reason=reason, audit=ask.audit(f"{len(names)} items"), those_that_can=True)
    cancelled = cast("Cancelled", await desk.commits.commit(asked))
    if cancelled.running:
        desk.leave_going(_stop_many(desk, cancelled, f"cancelled by {ask.caller.by}"))
    return ManyReply(items=cancelled.items, died=cancelled.died)


async def retry_many(desk: Desk, ask: Ask, request: ManyRequest) -> ManyReply:
    """Puts, in one transaction, whatever fits and can be on its way again."""
    names = await _those(desk, request)
    asked = Release(items=names, audit=ask.audit(f"{len(names)} items"), those_that_can=True)
    released = cast("Released", await desk.commits.commit(asked))
    desk.house.hint(None)
    return ManyReply(items=released.items)


async def _those(desk: Desk, request: ManyRequest) -> tuple[ItemId, ...]:
    """The ids of the items that fit.

    Raises:
        Refused: nothing was said that they should fit: all items are never meant by silence.
    """
    if request.label is None and request.state is None and request.agent is None:
        raise Refused(
            "say which: a label, a state or an agent", problems=[Problem("/label", "is required, or another")]
        )
    key, _, value = (request.label or "").partition("=")
    found: list[ItemId] = []
    while True:
        page = await desk.read(
            desk.house.reader.records,
            state=request.state,
            agent=None if request.agent is None else AgentName(request.agent),
            label=(key, value) if request.label else None,
            after=found[-1] if found else None,
            limit=_PAGE,
        )
        found += [each.item.id for each in page]
        if len(page) < _PAGE:
            return tuple(found)


async def _stop_many(desk: Desk, cancelled: Cancelled, reason: str) -> None:
    stopped, not_stopped, after_ms = await desk.house.revoke(cancelled.running, reason, True)  # noqa: FBT003 - the House's
    facts = [WorkStopped(name, (name,), (), after_ms) for name in stopped]
    facts += [WorkStopped(name, (), (name,), after_ms) for name in not_stopped]
    desk.house.journal.post(Note(facts=tuple(facts)))


async def retry(desk: Desk, ask: Ask, request: ItemRequest) -> ReleaseReply:
    """Puts a parked, scheduled or dead item on its way again."""
    return await _release(desk, Release(items=(ItemId(request.id),), audit=ask.audit(request.id)))


async def edit(desk: Desk, ask: Ask, request: EditRequest) -> WorkView:
    """Changes what was asked for, while nobody works on it: of a dead item before it is retried, or of one that waits.

    Raises:
        Refused: `invalid`: the item would not be valid so; `conflict`: it runs, is final, or was changed meanwhile.
    """
    before = (await _record(desk, request.id)).item
    after = edited(before, request, desk.house.clock.wall())
    fields = tuple(each for each in request.model_fields_set - {"id"} if getattr(after, each) != getattr(before, each))
    if fields:
        asked = Edit(item=after, before=before, fields=tuple(sorted(fields)), audit=ask.audit(request.id))
        await desk.commits.commit(asked)
        desk.house.hint(None)
    record = await _record(desk, request.id)
    return view(record, waits_for=await needs(desk, record))


async def purge(desk: Desk, ask: Ask, request: ItemRequest) -> PurgeReply:
    """Lets go of a finished item at once: what it was asked, what it did, what it made, and what its events say.

    Its id stays taken, and how it ended stays known.
    """
    house, name = desk.house, ItemId(request.id)
    record = await _record(desk, request.id)
    asked = Purge(item=name, remember_ms=round(house.remember * 1000), audit=ask.audit(name))
    await desk.commits.commit(asked)
    house.publisher.forget(name)
    uploads_kept = await desk.read(_remove_files, house, record)
    return PurgeReply(
        id=request.id, uploads_kept=uploads_kept, log_file=None if house.log_file is None else str(house.log_file)
    )


def _remove_files(house: House, record: WorkRecord) -> tuple[str, ...]:
    """Removes what the item wrote and what was uploaded for it alone; the uploads that others name too."""
    house.remove_workspaces(record.item.id)
    digests = {each.upload for each in record.item.inputs if each.upload}
    shared = {each for each in digests if house.reader.names_upload(each)}
    for digest in digests - shared:
        (house.upload_dir / digest).unlink(missing_ok=True)
    return tuple(sorted(shared))


async def answer(desk: Desk, ask: Ask, request: AnswerRequest) -> ReleaseReply:
    """Answers what a parked item asked, and puts it on its way."""
    audit = ask.audit(request.id)
    return await _release(desk, Release(items=(ItemId(request.id),), audit=audit, answers=request.answers))


async def result(desk: Desk, ask: Ask, request: ItemRequest) -> ResultView:  # noqa: ARG001
    """What a succeeded item made.

    Raises:
        Refused: `not_found`; `conflict` while there is no result.
    """
    found = await desk.read(desk.house.reader.result, ItemId(request.id))
    if found is None:
        record = await _record(desk, request.id)
        raise Refused(f"{request.id} has no result: it is {record.state.value}", code="conflict")
    return ResultView.model_construct(**{**found, "item_id": request.id})


async def artifact(desk: Desk, ask: Ask, request: ArtifactRequest) -> Response:
    """One file of a result, as it was when the item succeeded.

    Raises:
        Refused: `no_file`: the result has no such file, or it is gone with its workspace.
    """
    made = await result(desk, ask, ItemRequest(id=request.id))
    listed = {each["name"]: each for each in (made.model_extra or {}).get("artifacts") or ()}
    entry = listed.get(request.name)
    place = desk.house.workspace_of(await _record(desk, request.id))
    path = None if entry is None else _inside(place, request.name)  # a name that nobody listed need not even be a path
    if entry is None or path is None:
        raise Refused(f"the result of {request.id} has no file {request.name}", code="no_file")
    return FileResponse(path, media_type=entry["media_type"], headers={"Daruma-Sha256": entry["sha256"]})


async def upload(desk: Desk, ask: Ask, request: UploadRequest) -> UploadReply:
    """Takes a file in, to be named by its digest in an item's `inputs`."""
    return await uploads.keep(ask.body, request.sha256, desk.house.upload_dir, desk.house.low_water)


async def _accept(desk: Desk, ask: Ask, admitted: Sequence[Admitted]) -> Sequence[Submitted]:
    if desk.house.draining():
        await _only_known(desk, admitted)
    if any(each.unmet or each.names_paths for each in admitted):
        admitted = await _met(desk, admitted)
    names = tuple(each.new for each in admitted)
    target = names[0].item.id if len(names) == 1 else f"{len(names)} items"
    accept = Accept(items=names, audit=ask.audit(target), max_unfinished=desk.house.max_unfinished)
    accepted = cast("Accepted", await desk.commits.commit(accept))
    for record in accepted.records:
        if record.state is WorkState.READY:
            desk.turn.became_ready(record.item.agent, record.stage)
    stuck, crowded = await held_up(desk, accepted.records), crowding(desk.house)
    told = zip(accepted.records, accepted.created, admitted, idle(desk, accepted.records), strict=True)
    return [
        _submitted(record, created, (*each.warnings, *waits, *stuck.get(record.item.id, ()), *crowded))
        for record, created, each, waits in told
    ]


async def _only_known(desk: Desk, admitted: Sequence[Admitted]) -> None:
    """While draining an id that was accepted before is still answered with its item; nothing new comes in."""
    for each in admitted:
        if await desk.read(desk.house.reader.record, each.new.item.id) is None:
            raise Unavailable(
                "the daemon takes nothing new in: it is draining", code="draining", retry_after=_DRAIN_RETRY
            )


async def _met(desk: Desk, admitted: Sequence[Admitted]) -> Sequence[Admitted]:
    """What was admitted, with what it names by path taken in.

    An id that was accepted before is answered with its item all the same, whatever has become of what it names.

    Raises:
        Refused: what cannot be met as things are now. Nothing is taken in for a batch that is refused for that.
    """
    asked = [each for each in admitted if each.unmet or each.names_paths]
    new = [each for each in asked if await desk.read(desk.house.reader.record, each.new.item.id) is None]
    problems = [problem for each in new for problem in each.unmet]
    if problems:
        raise Refused("the item is not valid", problems=problems)
    taken = {each.at: await _taken_in(desk, each, problems) for each in new}
    if problems:
        raise Refused("the item is not valid", problems=problems)
    return [taken.get(each.at, each) for each in admitted]


async def _taken_in(desk: Desk, admitted: Admitted, problems: list[Problem]) -> Admitted:
    """The same with its files among the uploads; what cannot be had is added to `problems`."""
    house, new = desk.house, admitted.new
    roots = Roots(directories=house.input_roots, upload_dir=house.upload_dir, spare=house.low_water)
    try:
        item = await desk.copy(take_in, new.item, roots, admitted.at)
    except Refused as refused:
        problems += refused.problems
        return admitted
    return admitted._replace(new=changed(new, item=item))


def _submitted(record: WorkRecord, created: bool, warnings: tuple[str, ...]) -> Submitted:  # noqa: FBT001 - as it came
    return Submitted(
        id=record.item.id,
        state=record.state.value,
        created=created,
        reason=record.reason,
        questions=record.questions,
        warnings=warnings,
    )


def _of_one(refused: Refused) -> Refused:
    """What the journal said of a batch of one, with the fields where its caller wrote them."""
    at = pointer("items", 0)
    problems = [Problem(each.pointer.removeprefix(at), each.detail) for each in refused.problems]
    return Refused(refused.message, code=refused.code, problems=problems)


def _check_distinct(admitted: Sequence[Admitted]) -> None:
    seen: dict[str, int] = {}
    for index, each in enumerate(admitted):
        first = seen.setdefault(each.new.item.id, index)
        if first != index:
            problem = Problem(pointer("items", index, "id"), f"is the id of item {first} as well")
            raise Refused("two items of the batch have one id", problems=[problem])


async def _record(desk: Desk, name: str) -> WorkRecord:
    record = await desk.read(desk.house.reader.record, ItemId(name))
    if record is None:
        raise unknown_item(name)
    return record


async def _rings(bell: asyncio.Event, gone: "asyncio.Future[None]", left: float, still: str) -> None:
    """Waits until something about the item was committed; `still` is what there is to say when nothing was.

    Raises:
        Unavailable: `wait_expired`: the time is up, or nobody listens any more.
    """
    ringing = asyncio.ensure_future(bell.wait())
    try:
        waiting: set[asyncio.Future[Any]] = {ringing, gone}
        await asyncio.wait(waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ringing.cancel()
    if not bell.is_set():
        raise Unavailable(still, code="wait_expired")


def _held(record: WorkRecord) -> tuple[Running, ...]:
    """Who held the item when it was read."""
    if record.state is not WorkState.RUNNING or record.holder is None:
        return ()
    return ((record.item.id, record.holder, record.fence),)


async def _stop(desk: Desk, name: str, cancelled: Cancelled, reason: str) -> CancelReply:
    """Revokes the owners, waits for what ran to stop, and records what became of it."""
    fact = await _revoked(desk, name, cancelled.running, reason, cancelled=True)
    return CancelReply(
        id=name,
        cancelled=cancelled.items,
        died=cancelled.died,
        stopped=fact.stopped,
        not_stopped=fact.not_stopped,
        after_ms=fact.after_ms,
    )


async def _revoked(desk: Desk, name: str, running: Sequence[Running], reason: str, *, cancelled: bool) -> WorkStopped:
    stopped, not_stopped, after_ms = await desk.house.revoke(running, reason, cancelled)
    fact = WorkStopped(subject=name, stopped=tuple(stopped), not_stopped=tuple(not_stopped), after_ms=after_ms)
    desk.house.journal.post(Note(facts=(fact,)))
    return fact


async def _revoked_all_the_same(desk: Desk, before: WorkRecord, reason: str, error: Exception) -> Exception:
    """The error of a cancel that was not committed, after whoever held the item was revoked; it says so."""
    running = _held(before)
    if not running or not isinstance(error, DarumaError):
        return error
    fact = await _revoked(desk, before.item.id, running, reason, cancelled=False)
    done = "stopped all the same" if fact.stopped else "revoked, and has not stopped yet"
    return type(error)(f"{error.message}; what ran for {before.item.id} was {done}", code=error.code)


async def _stop_silently(desk: Desk, cancelled: Cancelled, reason: str) -> None:
    await _stop(desk, cancelled.items[0], cancelled, reason)


async def _release(desk: Desk, request: Release) -> ReleaseReply:
    released = cast("Released", await desk.commits.commit(request))
    desk.house.hint(None)
    return ReleaseReply(id=request.items[0], released=released.items)


def _inside(workspace: Path, name: str) -> Path | None:
    """The file called `name` below `workspace`; None when it is not there or leads out of it."""
    root = workspace.resolve()
    path = (root / name).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None
