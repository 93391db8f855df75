"""What is asked about agents: how they are, and to get up again."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from darumad.control.daemon import Daemon
from darumad.control.desk import Ask, Desk
from darumad.control.replies import AgentsView, AgentView, RestartReply
from darumad.control.wire import AgentRequest, Nothing
from darumad.errors import Refused, unknown_agent
from darumad.journal.requests import Release, Released
from darumad.names import AgentName, ItemId, Role
from darumad.work.states import ParkReason, WorkState


async def list_agents(desk: Desk, ask: Ask, request: Nothing) -> AgentsView:  # noqa: ARG001 - an operation's signature
    """Every instance and how it is."""
    return AgentsView(items=tuple(desk.daemon.agents()), asleep=_asleep(desk.daemon))


async def show(desk: Desk, ask: Ask, request: AgentRequest) -> AgentView:  # noqa: ARG001
    """One definition with its instances, or one instance.

    Raises:
        Refused: `unknown_agent`.
    """
    definition = desk.daemon.definitions().get(AgentName(request.name))
    instances = tuple(_named(desk.daemon, request.name))
    if definition is None and not instances:
        raise _unknown(desk.daemon, request.name)
    return AgentView(
        name=request.name,
        template=definition.template if definition else None,
        stages=tuple(each.value for each in definition.stages) if definition else (),
        offers=tuple(sorted(definition.offers)) if definition else (),
        unmade=desk.daemon.unmade().get(AgentName(request.name)),
        instances=instances,
    )


async def restart(desk: Desk, ask: Ask, request: AgentRequest) -> RestartReply:
    """Restarts every instance of a definition, or one; what was parked because its template was held goes on.

    Benched ones get up at once, and what the hold kept in the line is claimed again. A definition without instances has
    them started. What else stands in the tree is not restarted by hand: whoever supervises it knows who must go down
    with it.

    Raises:
        Refused: `not_an_agent`: the tree has such a place, and no agent lives there; `unknown_agent`.
    """
    instances, asleep = tuple(_named(desk.daemon, request.name)), _asleep(desk.daemon)
    started = tuple(each for each in asleep if each == request.name)
    if not instances and not started:
        raise _not_an_agent(desk.daemon, request.name) or _unknown(desk.daemon, request.name)
    for each in started:
        desk.daemon.wake(each)
    tried = await desk.read(desk.daemon.restart_instances, tuple(str(each["path"]) for each in instances))
    agents = {*started, *(AgentName(str(each["agent"])) for each in instances)}
    parked = await desk.read(_parked_for, desk.daemon, agents)
    asked = Release(items=parked, audit=ask.audit(request.name), those_that_can=True)
    released = cast("Released", await desk.commits.commit(asked))
    desk.daemon.hint(None)
    return RestartReply(
        restarted=tuple(path for path, why in tried.items() if why is None),
        failed={path: why for path, why in tried.items() if why is not None},
        started=started,
        released=released.items,
    )


def _asleep(daemon: Daemon) -> tuple[AgentName, ...]:
    """The definitions of which no agent is there; each starts with the first item that is."""
    there = {each["agent"] for each in daemon.agents()}
    known = daemon.definitions().items()
    return tuple(name for name, each in known if each.role is Role.EXECUTOR and name not in there)


def _parked_for(daemon: Daemon, agents: Collection[AgentName]) -> tuple[ItemId, ...]:
    """The items that wait for a template of these agents to be repaired."""
    wanted = {"state": WorkState.PARKED, "reason": ParkReason.TEMPLATE}
    return tuple(each.item.id for agent in agents for each in daemon.reader.each_record(**wanted, agent=agent))


def _named(daemon: Daemon, name: str) -> Iterator[Mapping[str, Any]]:
    """The instances that `name` means, by any name they have."""
    return (each for each in daemon.agents() if name in _names(each))


def _names(instance: Mapping[str, Any]) -> tuple[str, str, str]:
    """What an instance may be called: by its definition, by its path, and by `name/number`, the end of its path."""
    path = str(instance["path"])
    return str(instance["agent"]), path, "/".join(path.split("/")[-2:])


def _not_an_agent(daemon: Daemon, name: str) -> Refused | None:
    """That `name` is something else of the tree, by its path or the end of it; None where it is nothing."""
    others = {place.path for place in daemon.tree()} - {str(each["path"]) for each in daemon.agents()}
    if all(name not in {path, path.rpartition("/")[2]} for path in others):
        return None
    return Refused(f"{name} is no agent: what else the tree holds, its supervisor restarts", code="not_an_agent")


def _unknown(daemon: Daemon, name: str) -> Refused:
    instances = daemon.agents()
    agents = {*daemon.definitions(), *(str(each["agent"]) for each in instances)}
    return unknown_agent(name, agents, {each for instance in instances for each in _names(instance)})
