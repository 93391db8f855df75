"""The outlook of an item: what it waits for or was ended by, and what its caller should know of that.

Read from what the daemon knows of itself and its agents, and from the journal. Whatever is named comes with what lets
the item go on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.control.daemon import Daemon, Definition
from darumad.control.desk import Desk
from darumad.errors import Unavailable
from darumad.events import WorkCancelled
from darumad.names import AgentName, ItemId, Role, Stage
from darumad.plural import listed
from darumad.values import Value
from darumad.work.ends import UNDECIDED
from darumad.work.health import AgentState
from darumad.work.item import WorkItem, WorkRecord
from darumad.work.states import ParkReason, ScheduleReason, WorkState

_STUCK = frozenset({WorkState.PARKED, WorkState.DEAD, WorkState.CANCELLED})
"""States that an item leaves only when somebody does something about it."""
_TO_BEGIN = frozenset({WorkState.READY, WorkState.WAITING, WorkState.SCHEDULED})
NAMED = 3
"""So many of those that fill a lane, or that run alone, are named."""
_ROLES = {Stage.PLANNING: Role.ORCHESTRATOR, Stage.OPTIMIZING: Role.OPTIMIZER, Stage.REVIEWING: Role.REVIEWER}
"""Whose instances take an item in these stages, whatever its agent."""
_NEARLY_FULL = 0.8
"""Of the items that may be unfinished."""
_PARKED: Mapping[str, str] = {
    "challenge": "answers to its questions: `daruma work answer`",
    "approval": "an approval: `daruma work answer`",
    "question": "an answer to what its agent asked: `daruma work answer`",
    "children": "its sub-work",
    "budget": "room in a budget: `daruma budgets` shows them, `daruma budgets set` raises one",
    "provider": "a provider that can do it: see the error, then `daruma work retry`",
    "template": "its agent to be repaired: `daruma agents restart`",
    "conflict": "somebody to decide: `daruma work answer` or `daruma work retry`",
}
_VERDICT = (
    "a verdict on what its review left unknown: let the template's check judge it, or configure a model, "
    "then `daruma work retry`"
)
_PRICE = "its model's price: see the error, then restart the daemon; it goes on by itself"
_WORD = "somebody to look whether it was done, and to say so"
_ALONE = "its turn to run alone, for the daemon died twice while it ran: it comes by itself"
_HELD = (
    "the template of agent {0}, which is held: it crashed for one item after the other, or held up the loop that all "
    "agents share. Correct it, then `daruma agents restart {0}`"
)
_UNPLACED = (
    "room for the agents of {0}: those of as many definitions are there as `executors.most_definitions` lets stand, "
    "and none of them is idle"
)


class Need(Value):
    """What something waits for, in words that say what lets it go on; `by_itself`: nobody has to do anything."""

    says: str
    by_itself: bool = False


def idle(desk: Desk, records: Sequence[WorkRecord]) -> Sequence[Sequence[str]]:
    """Of each, what its caller should know if nobody would take it as things are; of those alike looked up once."""
    kinds = [(each.item.agent, each.item.requires, each.item.lane, each.state) for each in records]
    kept = {kind: _kept(desk, record) for kind, record in dict(zip(kinds, records, strict=True)).items()}
    said = {kind: () if need is None else (f"it waits for {need.says}",) for kind, need in kept.items()}
    return [said[kind] for kind in kinds]


async def needs(desk: Desk, record: WorkRecord) -> str | None:
    """What the item waits for, and what lets it go on; None for one that is under way or merely in the line."""
    if record.unreadable is not None:
        return None
    if record.state is WorkState.PARKED:
        return _says(await desk.read(parked_for, desk.daemon, record))
    if record.state is WorkState.WAITING:
        stuck = await desk.read(_states, desk, record.item.depends_on)
        return _says(_kept(desk, record)) or "; ".join(stuck.values()) or None
    daemon = desk.daemon
    if record.state is WorkState.SCHEDULED:
        return _says(put_off(daemon, record) or _its_time(record))
    if record.state is not WorkState.READY:
        return None
    crowded = _kept(desk, record) or await desk.read(_crowded, daemon, record)
    return _says(crowded or gated(daemon, record) or room(daemon))


def uncalled_for(daemon: Daemon, agent: AgentName) -> frozenset[str]:
    """The providers asked for `agent` that are not called now."""
    return frozenset(daemon.providers.asked_for(agent)).intersection(daemon.providers.uncalled())


def crowding(daemon: Daemon) -> Sequence[str]:
    """What whoever hands in more should know of how many items are unfinished: so many more, and they are refused."""
    unfinished, most = daemon.unfinished(), daemon.max_unfinished
    if unfinished < _NEARLY_FULL * most:
        return ()
    return (f"the queue is nearly full: {unfinished} of {most} unfinished items (`queue.max_items`)",)


def parked_for(daemon: Daemon, record: WorkRecord) -> Need | None:
    """What a parked item needs. It may read the journal."""
    error = record.error or {}
    if error.get("type") == UNDECIDED:
        return Need(_VERDICT)
    if error.get("kind") == "price_unknown":
        return Need(_PRICE)
    if error.get("kind") == "outcome_unknown":
        way = f"`daruma work answer {record.item.id} done`, or with `done: WHAT CAME OF IT` or `run again`"
        return Need(f"{_WORD}: {way}")
    says = _PARKED.get(record.reason or "")
    if record.reason == ParkReason.BUDGET and (day := daemon.treasury.day_with_room(record)) is not None:
        return Need(f"{says}; a new day helps too, which begins on {day:%Y-%m-%d at %H:%M} ({day.tzinfo})")
    return None if says is None else Need(says, by_itself=record.reason == ParkReason.CHILDREN)


def still_to_come(daemon: Daemon) -> Unavailable:
    """What a cancel is told that was posted and is not committed: it is kept until it can be written."""
    if daemon.no_room() is not None:
        return Unavailable("the disk is full: the cancel is kept, and done once there is room", code="disk_full")
    return Unavailable("the journal is slow: the cancel may still happen")


async def cancelled_by(desk: Desk, record: WorkRecord) -> Mapping[str, Any] | None:
    """Who cancelled the item and why; None when nobody did, or its event is kept no longer, or cannot be read."""
    if record.state is not WorkState.CANCELLED:
        return None
    found = await desk.read(desk.daemon.reader.events, 0, 1, record.item.id, WorkCancelled.name)
    return found[-1].data if found and "unreadable" not in found[-1].data else None


async def held_up(desk: Desk, records: Sequence[WorkRecord]) -> Mapping[ItemId, Sequence[str]]:
    """By item, what its caller should know of those it depends on: one that is parked or dead lets nobody on.

    Those that were handed in together are not looked at: their own answers tell. An item that is not named here has
    nothing to be told.
    """
    following = [each for each in records if each.item.depends_on]
    together = {each.item.id for each in records} if following else set()
    wanted = {each for record in following for each in record.item.depends_on} - together
    found = await desk.read(_states, desk, wanted) if wanted else {}
    return {
        record.item.id: [f"it comes after {found[each]}" for each in record.item.depends_on if each in found]
        for record in following
    }


def lacking(item: WorkItem, known: Mapping[AgentName, Definition], unmade: Mapping[AgentName, str]) -> Need | None:
    """Why nobody takes `item`, whatever its state: its agent is not there as it must be. None while somebody would."""
    agent = item.agent
    if agent not in known:
        return Need(f"agent {agent}, which the settings no longer name: name it again, or cancel the item")
    if item.requires and (missing := [each for each in item.requires if each not in known[agent].offers]):
        return Need(
            f"agent {agent}, which no longer offers {', '.join(missing)}: let `agents.{agent}.offers` say so again and "
            f"restart the daemon, or cancel the item"
        )
    return unmade_says(agent, unmade[agent]) if agent in unmade else None


def unmade_says(agent: AgentName, why: str) -> Need:
    """That no agent of this definition can be made."""
    return Need(f"agent {agent}, which cannot be made: {why}. Correct it, then `daruma agents restart {agent}`")


def held(agent: AgentName) -> Need:
    """That the template of this definition is held."""
    return Need(_HELD.format(agent))


def benched(daemon: Daemon, agent: str) -> Need | None:
    """That instances of this definition are benched, and for what the last of them was; None while none is."""
    instances = [each for each in daemon.agents() if each["agent"] == agent]
    out = [each for each in instances if each.get("state") == AgentState.BENCHED]
    if not out:
        return None
    last = next((f": {each['last_error']}" for each in out if each.get("last_error")), "")
    many = f"benched ({len(out)} of {len(instances)}), for it kept falling"
    return Need(f"agent {agent}, {many}{last}. Correct it, then `daruma agents restart {agent}`")


def admission(daemon: Daemon) -> Need | None:
    """That nothing is begun, because somebody said so."""
    if daemon.draining():
        return Need("the daemon, which is draining: `daruma resume` ends that")
    return Need("the daemon, which is paused: `daruma resume` ends that") if daemon.paused() else None


def room(daemon: Daemon) -> Need | None:
    """That the disk takes nothing new."""
    why = daemon.no_room()
    return None if why is None else Need(f"room: {why}; make some, and it goes on by itself")


def paused_lane(lane: str) -> Need:
    """That a lane lets nobody in."""
    return Need(
        f"lane {lane}, which is paused: set `lanes.{lane}.paused` to false in the settings and restart the daemon"
    )


def place(lane: str, inside: Sequence[tuple[ItemId, str, str | None]]) -> Need:
    """A place in a lane that is full, and who has them all."""
    those = listed([f"{name} is {_standing(state, reason)}" for name, state, reason in inside], NAMED)
    return Need(f"a place in lane {lane}, where {len(inside)} may be under way: {those}")


def gated(daemon: Daemon, record: WorkRecord) -> Need | None:
    """What keeps a ready item from being claimed though its agent is there."""
    if record.suspect:
        return Need(_ALONE, by_itself=True)
    agent = record.item.agent
    if agent in daemon.held():
        return held(agent)
    if agent in daemon.unplaced():
        return Need(_UNPLACED.format(agent), by_itself=True)
    return _all_benched(daemon, _ROLES.get(record.stage, agent)) or _shut(daemon, agent)


def put_off(daemon: Daemon, record: WorkRecord) -> Need | None:
    """The providers that a scheduled item waits for; None where one of them is well, or it waits for something else."""
    agent = record.item.agent
    wrong = {each["name"] for each in daemon.providers.shown() if each["state"] == "error"}
    if record.reason != ScheduleReason.OUTAGE or not wrong.issuperset(daemon.providers.asked_for(agent)):
        return None
    return _providers_of(daemon, agent)


def provider_says(daemon: Daemon, name: str) -> Need:
    """Why a provider is not called, and until when or until what."""
    refusing = daemon.providers.standing().get(name)
    if isinstance(refusing, str):
        return Need(f"provider {name}: {refusing}")
    shown = next(each for each in daemon.providers.shown() if each["name"] == name)
    return Need(f"provider {name}: {shown['reason']}", by_itself=shown["passes"])


def _says(need: Need | None) -> str | None:
    return None if need is None else need.says


def _kept(desk: Desk, record: WorkRecord) -> Need | None:
    """What keeps everybody from taking the item, as far as it is known without looking into the journal."""
    daemon, lane = desk.daemon, record.item.lane
    missing = lacking(record.item, daemon.definitions(), desk.turn.unmade())
    if missing is not None or record.state not in _TO_BEGIN:
        return missing
    entry = daemon.lanes.get(lane)
    return admission(daemon) or (paused_lane(lane) if entry is not None and entry.paused else None)


def _crowded(daemon: Daemon, record: WorkRecord) -> Need | None:
    """Who has the places of a lane that lets so many in and no more.

    Whoever was claimed once has one, and sub-work may share one.
    """
    entry = daemon.lanes.get(record.item.lane)
    if record.attempt or record.item.parent or entry is None or entry.max_running is None:
        return None
    inside = daemon.reader.in_lane(record.item.lane, entry.max_running)
    return place(record.item.lane, inside) if len(inside) >= entry.max_running else None


def _all_benched(daemon: Daemon, agent: str) -> Need | None:
    """As `benched`, where nobody is left who would take an item."""
    states = {each.get("state") for each in daemon.agents() if each["agent"] == agent}
    return benched(daemon, agent) if states == {AgentState.BENCHED} else None


def _its_time(record: WorkRecord) -> Need | None:
    """That it was put off for what may be well by now, as far as anybody here knows."""
    if record.reason != ScheduleReason.OUTAGE:
        return None
    return Need(f"its time, or your word that what it was put off for is well: `daruma work retry {record.item.id}`")


def _shut(daemon: Daemon, agent: AgentName) -> Need | None:
    return _providers_of(daemon, agent) if daemon.shut(agent) else None


def _providers_of(daemon: Daemon, agent: AgentName) -> Need | None:
    """Those that are asked for an agent, each with why it is not called; None where it asks nobody."""
    needs = [provider_says(daemon, each) for each in daemon.providers.asked_for(agent)]
    says = "; ".join(each.says for each in needs)
    return Need(says, by_itself=any(each.by_itself for each in needs)) if says else None


def _states(desk: Desk, wanted: Iterable[ItemId]) -> Mapping[ItemId, str]:
    found = (desk.daemon.reader.record(each) for each in wanted)
    return {
        each.item.id: f"{each.item.id}, which is {_standing(each.state.value, each.reason)}"
        for each in found
        if each is not None and each.state in _STUCK
    }


def _standing(state: str, reason: str | None) -> str:
    return f"{state} ({reason})" if reason else state
