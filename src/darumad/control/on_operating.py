"""What an operator does about one item: puts it on its way again, answers it, changes it, lets go of it.

How one is cancelled stands in `on_cancel`.
"""

from collections.abc import Collection
from typing import cast

from darumad.control.admission import edited
from darumad.control.daemon import Daemon
from darumad.control.desk import Ask, Desk
from darumad.control.outlook import needs, uncalled_for
from darumad.control.replies import PurgeReply, ReleaseReply, WorkView
from darumad.control.views import view_of, why_unreadable
from darumad.control.wire import AnswerRequest, EditRequest, ItemRequest
from darumad.errors import Refused
from darumad.journal.requests import Edit, Note, Purge, Release, Released
from darumad.names import AgentName, ItemId
from darumad.values import changed
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState


async def retry(desk: Desk, ask: Ask, request: ItemRequest) -> ReleaseReply:
    """Puts a parked, scheduled or dead item on its way again, and one that is ready while its provider is not called.

    It is its operator's word that such a provider is well: what it refused is mended, and nobody waits for it.
    """
    record = await desk.record(request.id)
    uncalled = uncalled_for(desk.daemon, record.item.agent)
    if record.state is WorkState.READY and uncalled:
        await desk.commits.commit(Note(facts=(), audit=ask.audit(request.id)))
        released: tuple[ItemId, ...] = (record.item.id,)
    else:
        released = await _released(desk, Release(items=(record.item.id,), audit=ask.audit(request.id)))
    await go_on(desk, (record.item.agent,), uncalled)
    return ReleaseReply(id=record.item.id, released=released)


async def answer(desk: Desk, ask: Ask, request: AnswerRequest) -> ReleaseReply:
    """Answers what a parked item asked, and puts it on its way."""
    item, audit = ItemId(request.id), ask.audit(request.id)
    released = await _released(desk, Release(items=(item,), audit=audit, answers=request.answers))
    desk.daemon.hint(None)
    return ReleaseReply(id=item, released=released)


async def go_on(desk: Desk, agents: Collection[AgentName], uncalled: Collection[str]) -> None:
    """Has what was released for these agents claimed, and what waits for the providers that were not called.

    Who is asked for them is called before anybody is told to claim: what was claimed sooner would be put off once more.
    """
    desk.daemon.providers.vouch_for(agents)
    desk.daemon.hint(None)
    await desk.read(desk.daemon.keys.mended, uncalled)


async def _released(desk: Desk, request: Release) -> tuple[ItemId, ...]:
    return cast("Released", await desk.commits.commit(request)).items


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
