"""Names: ids and units, as types. The lowest floor: it imports nothing of the house and holds no behaviour."""

import re
from enum import StrEnum
from math import inf
from typing import NewType

ItemId = NewType("ItemId", str)
"""What a caller calls a work item; unique in one journal."""
Fence = NewType("Fence", int)
"""The token under which an item is held. Only ever compared, never shown as a count."""
Attempt = NewType("Attempt", int)
"""Which try of an item this is: 1, 2, 3."""
Boot = NewType("Boot", int)
"""Which life of the daemon this is, on this state directory; the first is 1."""
Incarnation = NewType("Incarnation", int)
"""Which life of an actor's path this is; the first is 1."""
ActorPath = NewType("ActorPath", str)
"""A place in the supervision tree, such as `daruma/engine/minds/executors/executor/2`."""
AgentName = NewType("AgentName", str)
"""The slug of an agent definition, such as `executor` or `documentation`."""
Capability = NewType("Capability", str)
"""A word for what an item may require of its agent, such as `gpu`: a slug."""
Seconds = NewType("Seconds", float)
"""A duration in seconds, or a monotonic instant."""
Millis = NewType("Millis", int)
"""Wall time: integer milliseconds since 1970 in UTC."""
NanoUsd = NewType("NanoUsd", int)
"""Money in 10**-9 US dollars: exact sums, no floats."""
CallId = NewType("CallId", str)
"""Which model call a request belongs to; its tries share it."""
Position = NewType("Position", int)
"""The sequence number of a durable event in one journal."""

Offer = tuple[AgentName, Capability]
"""That an agent offers what items may require."""
NEVER = Seconds(-inf)
"""The monotonic instant of what has not happened."""
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""How an agent, a provider and a capability may be called."""
SECRET = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
"""How a secret may be called, which is a file's name where it is a systemd credential."""
SECRET_NAMES = "1 to 128 of a-z, 0-9, dot, dash and underscore, and begin with a letter or a digit"  # noqa: S105 - a rule, not a secret
"""The same in words."""


class Stage(StrEnum):
    """Where in its walk a running item is."""

    PLANNING = "planning"
    OPTIMIZING = "optimizing"
    EXECUTING = "executing"
    REVIEWING = "reviewing"


class Role(StrEnum):
    """The four roles; each is an agent definition, and a user's own agents are more of the same."""

    ORCHESTRATOR = "orchestrator"
    OPTIMIZER = "optimizer"
    EXECUTOR = "executor"
    REVIEWER = "reviewer"
