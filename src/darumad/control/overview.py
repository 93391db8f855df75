"""The overview of all that there is to do: what of it waits, for what, since when, and what lets it go on.

The one place that decides it: `status` and `health` say the same, and what `work show` says of an item is said here of
all that are like it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from darumad.control.daemon import Alike, Daemon
from darumad.control.outlook import (
    NAMED,
    Need,
    admission,
    benched,
    gated,
    held,
    lacking,
    parked_for,
    paused_lane,
    place,
    provider_says,
    put_off,
    room,
    unmade_says,
)
from darumad.names import AgentName, Millis
from darumad.plural import listed
from darumad.values import Value, changed
from darumad.work.states import ParkReason, WorkState


class Overview(Value):
    """What waits, and what is amiss though nothing waits for it as yet."""

    held_back: tuple[Need, ...]
    amiss: tuple[Need, ...]

    @property
    def needs_somebody(self) -> bool:
        """Whether any of it goes on only when somebody does something."""
        return any(not each.by_itself for each in (*self.held_back, *self.amiss))


def overview(daemon: Daemon) -> Overview:
    """How all that there is to do stands. It reads the journal."""
    unmade = daemon.unmade()
    held_back = (*_needs(daemon, unmade), *_suspects(daemon), *_lanes(daemon))
    told = "\n".join(each.says for each in held_back)
    amiss = [each for each in _agents_amiss(daemon, unmade) if each.says not in told]
    return Overview(held_back, (*amiss, *_providers_amiss(daemon, told)))


def _needs(daemon: Daemon, unmade: Mapping[AgentName, str]) -> Iterator[Need]:
    """What holds back everybody, then what each waits for that is ready, parked or put off, with who they are."""
    always = (admission(daemon), room(daemon))
    waiting: dict[Need, list[Alike]] = {each: [] for each in always if each is not None}
    for alike in daemon.reader.alike():
        need = _need_of(daemon, alike, unmade)
        if need is not None:
            waiting.setdefault(need, []).append(alike)
    for need, those in waiting.items():
        yield changed(need, says=f"{need.says}{_who(those)}")


def _need_of(daemon: Daemon, alike: Alike, unmade: Mapping[AgentName, str]) -> Need | None:
    record = daemon.reader.record(alike.first)
    if record is None or record.unreadable is not None:
        return None
    if record.state is WorkState.PARKED:
        return parked_for(daemon, record)
    if record.state is WorkState.SCHEDULED:
        return put_off(daemon, record)
    missing = lacking(record.item, daemon.definitions(), unmade)
    return missing or admission(daemon) or gated(daemon, record) or room(daemon)


def _who(those: Sequence[Alike]) -> str:
    """Who waits, and since when: the one that does for the longest, and how many there are besides."""
    if not those:
        return ""
    first, more = min(those, key=lambda each: each.since), sum(each.items for each in those) - 1
    return f" ({first.first}{f' and {more} more' if more else ''}, since {_moment(first.since)})"


def _moment(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _suspects(daemon: Daemon) -> Iterator[Need]:
    if found := daemon.reader.suspects():
        turn = "its turn to run alone" if len(found) == 1 else "their turns to run alone"
        says = f"{turn}, for the daemon died twice meanwhile: that comes by itself ({listed(found, NAMED)})"
        yield Need(says, by_itself=True)


def _lanes(daemon: Daemon) -> Iterator[Need]:
    """What the lanes wait for in which something is ready and that let nobody on by themselves."""
    for name in sorted(daemon.lanes.keys() & daemon.reader.lanes_in_line()):
        need = paused_lane(name) if daemon.lanes[name].paused else _blocked(daemon, name)
        if need is not None:
            yield need


def _blocked(daemon: Daemon, lane: str) -> Need | None:
    """Who has the places of a lane in which nobody goes on before somebody does something about one of them."""
    most = daemon.lanes[lane].max_running
    inside = () if most is None else daemon.reader.in_lane(lane, most)
    stuck = [each for each in inside if each[1] == WorkState.PARKED and each[2] != ParkReason.CHILDREN]
    return place(lane, inside) if inside and len(stuck) == most else None


def _agents_amiss(daemon: Daemon, unmade: Mapping[AgentName, str]) -> Iterator[Need]:
    yield from (unmade_says(agent, why) for agent, why in unmade.items())
    yield from (held(agent) for agent in sorted(daemon.held()))
    for agent in sorted({str(each["agent"]) for each in daemon.agents()}):
        if (need := benched(daemon, agent)) is not None:
            yield need


def _providers_amiss(daemon: Daemon, told: str) -> Iterator[Need]:
    """The providers that are in use and in error, each with who is asked in its place; none that is `told` already."""
    wrong = {str(each["name"]) for each in daemon.providers.shown() if each["used"] and each["state"] == "error"}
    chains = {tuple(daemon.providers.asked_for(agent)) for agent in daemon.definitions()}
    for name in sorted(wrong):
        if f"provider {name}: " not in told:  # in whatever words: by now a second fewer may be left
            need = provider_says(daemon, name)
            others = sorted({each for chain in chains for each in _instead(name, chain, wrong)})
            yield changed(need, says=f"{need.says}; asked in its place: {', '.join(others)}") if others else need


def _instead(name: str, chain: Sequence[str], wrong: Collection[str]) -> Sequence[str]:
    """Who of this chain is asked where `name` cannot answer: the next that is well."""
    behind = chain[chain.index(name) + 1 :] if name in chain else ()
    return [each for each in behind if each not in wrong][:1]
