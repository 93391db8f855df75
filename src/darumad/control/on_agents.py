"""What is asked about agents: how they are, and to get up again."""

from collections.abc import Mapping
from typing import Any

from darumad.control.desk import Ask, Desk
from darumad.control.views import AgentsView, AgentView, RestartReply
from darumad.control.wire import AgentRequest, Nothing
from darumad.errors import unknown_agent
from darumad.journal.requests import Note
from darumad.names import AgentName


async def list_agents(desk: Desk, ask: Ask, request: Nothing) -> AgentsView:  # noqa: ARG001 - an operation's signature
    """Every instance and how it is."""
    return AgentsView.model_construct(items=tuple(desk.house.agents()))


async def show(desk: Desk, ask: Ask, request: AgentRequest) -> AgentView:  # noqa: ARG001
    """One definition with its instances, or one instance.

    Raises:
        Refused: `unknown_agent`.
    """
    definition = desk.house.definitions().get(AgentName(request.name))
    instances = tuple(each for each in desk.house.agents() if _is(each, request.name))
    if definition is None and not instances:
        raise unknown_agent(request.name)
    return AgentView.model_construct(
        name=request.name,
        template=definition.template if definition else None,
        stages=tuple(each.value for each in definition.stages) if definition else (),
        instances=instances,
    )


async def restart(desk: Desk, ask: Ask, request: AgentRequest) -> RestartReply:
    """Restarts every instance of a definition, or one instance; benched ones get up at once.

    Raises:
        Refused: `unknown_agent`.
    """
    restarted = tuple(await desk.read(desk.house.restart_agent, request.name))
    if not restarted:
        raise unknown_agent(request.name)
    await desk.commits.commit(Note(facts=(), audit=ask.audit(request.name)))
    return RestartReply(restarted=restarted)


def _is(instance: Mapping[str, Any], name: str) -> bool:
    """Whether `name` means this instance: its definition, its path, or the end of its path."""
    path = str(instance.get("path", ""))
    return name in {instance.get("agent"), path} or path.endswith(f"/{name}")
