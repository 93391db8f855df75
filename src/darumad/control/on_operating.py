"""What an operator does about one item: puts it on its way again, answers it, changes it, lets go of it.

How one is cancelled stands in `on_cancel`.
"""

from typing import cast

from darumad.control.admission import edited
from darumad.control.daemon import Daemon
from darumad.control.desk import Ask, Desk
from darumad.control.outlook import needs, refusing_for
from darumad.control.replies import PurgeReply, ReleaseReply, WorkView
from darumad.control.views import view_of, why_unreadable
from darumad.control.wire import AnswerRequest, EditRequest, ItemRequest
from darumad.errors import Refused
from darumad.journal.requests import Edit, Note, Purge, Release, Released
from darumad.names import ItemId
from darumad.values import changed
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState


async def retry(desk: Desk, ask: Ask, request: ItemRequest) -> ReleaseReply:
    """Puts a parked, scheduled or dead item on its way again, and one that is ready while its provider is not called.

    It is its operator's word that what such a provider refused is mended.
    """
    record = await desk.record(request.id)
    refusing = refusing_for(desk.daemon, {record.item.agent})
    if record.state is WorkState.READY and refusing:
        await desk.commits.commit(Note(facts=(), audit=ask.audit(request.id)))
        reply = ReleaseReply(id=record.item.id, released=(record.item.id,))
    else:
        reply = await _release(desk, Release(items=(record.item.id,), audit=ask.audit(request.id)))
    await desk.read(desk.daemon.keys.mended, refusing)
    return reply


async def answer(desk: Desk, ask: Ask, request: AnswerRequest) -> ReleaseReply:
    """Answers what a parked item asked, and puts it on its way."""
    audit = ask.audit(request.id)
    return await _release(desk, Release(items=(ItemId(request.id),), audit=audit, answers=request.answers))


async def _release(desk: Desk, request: Release) -> ReleaseReply:
    released = cast("Released", await desk.commits.commit(request))
    desk.daemon.hint(None)
    return ReleaseReply(id=request.items[0], released=released.items)


async def edit(desk: Desk, ask: Ask, request: EditRequest) -> WorkView:
    """Changes what was asked for, while nobody works on it. Null takes off what it may do without, [] and {} the rest.

    That is of a dead item before it is retried, or of one that waits.

    Raises:
        Refused: `invalid`: the item would not be valid so; `conflict`: it runs, is final, or was changed meanwhile;
            `bad_journal`: nobody can tell what it would be changed from.
    """
    found = await desk.record(request.id)
    if found.unreadable is not None:
        raise Refused(str(why_unreadable(found)), code="bad_journal")
    before = found.item
    after = edited(before, request, desk.daemon.clock.wall())
    fields = tuple(each for each in request.model_fields_set - {"id"} if getattr(after, each) != getattr(before, each))
    if fields:
        asked = Edit(item=after, before=before, fields=tuple(sorted(fields)), audit=ask.audit(request.id))
        await desk.commits.commit(asked)
        desk.daemon.hint(None)
    record = await desk.record(request.id)
    return changed(view_of(record), waits_for=await needs(desk, record))


async def purge(desk: Desk, ask: Ask, request: ItemRequest) -> PurgeReply:
    """Lets go of a finished item at once: what it was asked, what it did, what it made, and what its events say.

    Its id stays taken, and how it ended stays known.
    """
    daemon, name = desk.daemon, ItemId(request.id)
    record = await desk.record(request.id)
    uploads = await desk.read(_uploads_of, daemon, record)
    asked = Purge(item=name, remember_ms=round(daemon.remember * 1000), audit=ask.audit(name))
    await desk.commits.commit(asked)
    daemon.publisher.forget(name)
    uploads_kept = await desk.read(_remove_files, daemon, name, uploads)
    return PurgeReply(
        id=request.id, uploads_kept=uploads_kept, log_file=None if daemon.log_file is None else str(daemon.log_file)
    )


def _uploads_of(daemon: Daemon, record: WorkRecord) -> frozenset[str]:
    """What was uploaded for the item; of one that cannot be read, what may have been, and is here."""
    if record.unreadable is None:
        return frozenset(each.upload for each in record.item.inputs if each.upload)
    mentioned = daemon.reader.mentioned_uploads(record.item.id)
    return frozenset(each for each in mentioned if (daemon.upload_dir / each).exists())


def _remove_files(daemon: Daemon, item: ItemId, uploads: frozenset[str]) -> tuple[str, ...]:
    """Removes what the item wrote and what was uploaded for it alone; the uploads that others name too."""
    daemon.remove_workspaces(item)
    shared = {each for each in uploads if daemon.reader.names_upload(each)}
    for digest in uploads - shared:
        (daemon.upload_dir / digest).unlink(missing_ok=True)
    return tuple(sorted(shared))
