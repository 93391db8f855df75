"""Executors that stand before a test begins: by themselves they would start with their first item."""

from darumad.control.client import Client
from tests.kit.house import eventually


def wake(client: Client, *agents: str) -> None:
    """Have the executors of these definitions start; back when their agents are made and have nothing to do."""
    for agent in agents:
        client.call("agents restart", {}, name=agent)
    for agent in agents:
        eventually(lambda agent=agent: _states(client, agent) == {"idle"})


def _states(client: Client, agent: str) -> set[str]:
    return {str(each["state"]) for each in client.call("agents show", name=agent)["instances"]}
