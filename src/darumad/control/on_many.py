"""What is done to every item that fits, in one transaction. One that it cannot be done to is left out."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from darumad.control.desk import Ask, Desk
from darumad.control.on_operating import go_on
from darumad.control.outlook import uncalled_for
from darumad.control.replies import ManyReply
from darumad.control.wire import ManyRequest
from darumad.errors import Problem, Refused
from darumad.events import WorkStopped
from darumad.journal.requests import Cancel, Cancelled, Note, Release, Released
from darumad.names import AgentName, ItemId
from darumad.plural import counted
from darumad.work.states import WorkState


async def cancel_many(desk: Desk, ask: Ask, request: ManyRequest) -> ManyReply:
    """Cancels, in one transaction, whatever fits and can be; answers once it is done, and stops what ran behind it."""
    names = tuple(await _those(desk, request))
    reason = request.reason or "cancelled by its operator"
    asked = Cancel(items=names, reason=reason, audit=ask.audit(counted(len(names), "item")), those_that_can=True)
    cancelled = cast("Cancelled", await desk.commits.commit(asked))
    if cancelled.running:
        desk.leave_going(_stop_many(desk, cancelled, f"cancelled by {ask.peer.by}"))
    return ManyReply(items=cancelled.items, died=cancelled.died)


async def retry_many(desk: Desk, ask: Ask, request: ManyRequest) -> ManyReply:
    """Does in one transaction what `work retry` does, with whatever fits and can be put on its way again.

    So it is its operator's word that their providers are well, also those of ready items.
    """
    those = await _those(desk, request)
    asked = Release(items=tuple(those), audit=ask.audit(counted(len(those), "item")), those_that_can=True)
    released = cast("Released", await desk.commits.commit(asked))
    uncalled = {each.agent: uncalled_for(desk.daemon, each.agent) for each in those.values()}
    waiting = [name for name, each in those.items() if each.state is WorkState.READY and uncalled[each.agent]]
    agents = {those[name].agent for name in (*released.items, *waiting) if name in those}
    await go_on(desk, agents, frozenset().union(*(uncalled[agent] for agent in agents)))
    return ManyReply(items=(*released.items, *waiting))


class _Fits(NamedTuple):
    """What is known of an item that fits."""

    agent: AgentName
    state: WorkState


async def _those(desk: Desk, request: ManyRequest) -> Mapping[ItemId, _Fits]:
    """The items that fit.

    Raises:
        Refused: nothing was said that they should fit: all items are never meant by silence; `unknown_agent`.
    """
    if request.label is None and request.state is None and request.agent is None:
        raise Refused(
            "say which: a label, a state or an agent", problems=[Problem("/label", "is required, or another")]
        )
    key, _, value = (request.label or "").partition("=")
    wanted = {"state": request.state, "agent": request.agent, "label": (key, value) if request.label else None}
    those = await desk.read(_fitting, desk, wanted)
    if not those:
        desk.check_agent(request.agent)
    return those


def _fitting(desk: Desk, wanted: Mapping[str, Any]) -> Mapping[ItemId, _Fits]:
    return {each.item.id: _Fits(each.item.agent, each.state) for each in desk.daemon.reader.each_record(**wanted)}


async def _stop_many(desk: Desk, cancelled: Cancelled, reason: str) -> None:
    stopped, not_stopped, after_ms = await desk.daemon.revoke(cancelled.running, reason, True)  # noqa: FBT003 - the Daemon's
    facts = [WorkStopped(name, (name,), (), after_ms) for name in stopped]
    facts += [WorkStopped(name, (), (name,), after_ms) for name in not_stopped]
    desk.daemon.journal.post(Note(facts=tuple(facts)))
