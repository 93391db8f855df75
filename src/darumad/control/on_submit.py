"""What is handed in: items, one or many, and the files that they name."""

from collections.abc import Sequence
from typing import Any, cast

from darumad.control import uploads
from darumad.control.admission import Admission, Admitted
from darumad.control.border import Json
from darumad.control.desk import Ask, Desk
from darumad.control.outlook import crowding, held_up, idle
from darumad.control.replies import Submitted, SubmittedBatch, UploadReply
from darumad.control.roots import Roots, take_in
from darumad.control.wire import BatchRequest, SubmitRequest, UploadRequest
from darumad.errors import Problem, Refused, Unavailable, pointer
from darumad.journal.requests import Accept, Accepted
from darumad.plural import counted
from darumad.values import changed
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState

_DRAIN_RETRY = 5.0
_CREATED = 201


async def submit(desk: Desk, ask: Ask, request: SubmitRequest) -> Json:
    """Accepts one item: answered after COMMIT, so that it can no longer be lost."""
    admitted = Admission(desk.daemon, ask).admit(request, ask.sent, ask.key)
    try:
        (reply,) = await _accept(desk, ask, [admitted])
    except Refused as refused:
        raise _of_one(refused) from None
    return Json(reply, _CREATED if reply.created else 200)


def rest(desk: Desk, ask: Ask, refused: Refused) -> Refused:
    """`refused` for its form, with what the rules say of the fields that have theirs."""
    more = Admission(desk.daemon, ask).rest(ask.sent, refused.problems)
    return Refused(refused.message, code=refused.code, problems=(*refused.problems, *more))


def rest_all(desk: Desk, ask: Ask, refused: Refused) -> Refused:
    """The same of every item that is one."""
    items: Any = ask.sent.get("items")
    places = [pointer("items", index) for index in range(len(items))] if isinstance(items, list) else []
    if any(each.pointer in {*places, "/items"} for each in refused.problems):
        return refused
    admission = Admission(desk.daemon, ask)
    more = [each for index, at in enumerate(places) for each in admission.rest(items[index], refused.problems, at)]
    return Refused(refused.message, code=refused.code, problems=(*refused.problems, *more))


async def batch(desk: Desk, ask: Ask, request: BatchRequest) -> Json:
    """Accepts many items in one transaction, all or none."""
    sent, key, admission = ask.sent["items"], ask.key, Admission(desk.daemon, ask)
    admitted: list[Admitted] = []
    problems: list[Problem] = []
    for index, each in enumerate(request.items):
        try:
            admitted.append(admission.admit(each, sent[index], _key_of(key, index), at=f"/items/{index}"))
        except Refused as refused:
            problems += refused.problems
    if problems:  # what is wrong with the one key is so with each item's
        raise Refused("the batch is not valid, and nothing of it was accepted", problems=tuple(dict.fromkeys(problems)))
    _check_distinct(admitted)
    replies = tuple(await _accept(desk, ask, admitted))
    return Json(SubmittedBatch(items=replies), _CREATED if any(each.created for each in replies) else 200)


def _key_of(key: str | None, index: int) -> str | None:
    """The id of the batch's item number `index`, if it has none of its own. An empty key stays empty: it is refused."""
    return f"{key}.{index}" if key else key


async def upload(desk: Desk, ask: Ask, request: UploadRequest) -> UploadReply:
    """Takes a file in, to be named by its digest in an item's `inputs`."""
    return await uploads.keep(ask.body, request.sha256, desk.daemon.upload_dir, desk.daemon.low_water)


async def _accept(desk: Desk, ask: Ask, admitted: Sequence[Admitted]) -> Sequence[Submitted]:
    if desk.daemon.draining():
        await _only_known(desk, admitted)
    if any(each.unmet or each.names_paths for each in admitted):
        admitted = await _met(desk, admitted)
    names = tuple(each.new for each in admitted)
    target = names[0].item.id if len(names) == 1 else counted(len(names), "item")
    accept = Accept(items=names, audit=ask.audit(target), max_unfinished=desk.daemon.max_unfinished)
    accepted = cast("Accepted", await desk.commits.commit(accept))
    for record in accepted.records:
        if record.state is WorkState.READY:
            desk.turn.became_ready(record.item.agent, record.stage)
    stuck, crowded = await held_up(desk, accepted.records), crowding(desk.daemon)
    told = zip(accepted.records, accepted.created, admitted, idle(desk, accepted.records), strict=True)
    return [
        _submitted(record, created, (*each.warnings, *waits, *stuck.get(record.item.id, ()), *crowded))
        for record, created, each, waits in told
    ]


async def _only_known(desk: Desk, admitted: Sequence[Admitted]) -> None:
    """While the daemon drains, a repeat of an accepted item is still answered.

    Raises:
        Unavailable: `draining`: one of the items is new.
    """
    for each in admitted:
        if await desk.read(desk.daemon.reader.record, each.new.item.id) is None:
            raise Unavailable(
                "the daemon takes nothing new in: it is draining", code="draining", retry_after=_DRAIN_RETRY
            )


async def _met(desk: Desk, admitted: Sequence[Admitted]) -> Sequence[Admitted]:
    """The same items, with the files that they name by path copied among the uploads.

    A repeat of an accepted item is left alone: its agent and its files may have changed since.

    Raises:
        Refused: an item requires what its agent does not offer, in which case no file is copied; or a file cannot be
            read.
    """
    asked = [each for each in admitted if each.unmet or each.names_paths]
    new = [each for each in asked if await desk.read(desk.daemon.reader.record, each.new.item.id) is None]
    problems = [problem for each in new for problem in each.unmet]
    if problems:
        raise Refused("the item is not valid", problems=problems)
    taken = {each.at: await _taken_in(desk, each, problems) for each in new}
    if problems:
        raise Refused("the item is not valid", problems=problems)
    return [taken.get(each.at, each) for each in admitted]


async def _taken_in(desk: Desk, admitted: Admitted, problems: list[Problem]) -> Admitted:
    """The same item with its files among the uploads. What is wrong with a file is added to `problems`."""
    daemon, new = desk.daemon, admitted.new
    roots = Roots(directories=daemon.input_roots, upload_dir=daemon.upload_dir, spare=daemon.low_water)
    try:
        taken = await desk.copy(take_in, new.item, roots, admitted.at)
    except Refused as refused:
        problems += refused.problems
        return admitted
    return changed(admitted, new=changed(new, item=taken.item), warnings=(*admitted.warnings, *taken.warnings))


def _submitted(record: WorkRecord, created: bool, warnings: tuple[str, ...]) -> Submitted:  # noqa: FBT001 - as it came
    return Submitted(
        id=record.item.id,
        state=str(record.state),
        created=created,
        reason=record.reason,
        questions=record.questions,
        warnings=warnings,
    )


def _of_one(refused: Refused) -> Refused:
    """The journal's refusal of a batch of one, with its pointers as in the single item that the caller sent."""
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
