"""What an agent definition is: the row that an operator names, and that instances are made from."""

from typing import Literal

from darumad.names import AgentName, Capability, Role, Seconds
from darumad.values import Value


class AgentDefinition(Value, kw_only=True):
    """One agent as the settings define it. `count` is how many items it works on at once.

    `template` is a shipped name or a path to a file; only an executor has one. `provider` is a name of the settings'
    `providers`, None for the daemon's choice. The limits are None where the settings' defaults hold. `offers` is what
    its items may require.
    """

    name: AgentName
    role: Role
    template: str = ""
    isolation: Literal["none"] = "none"
    count: int = 1
    provider: str | None = None
    offers: frozenset[Capability] = frozenset()
    timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
