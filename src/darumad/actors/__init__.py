"""The actors.

The orchestrator, which alone hands work out, and the role actors, each the life of one slot and of its agent.
"""

from darumad.actors.barred import Barred
from darumad.actors.executors import Executors
from darumad.actors.judge import AgentError, judge_of
from darumad.actors.listener import TreeListener
from darumad.actors.messages import Beat, Claiming, Hint, HowClaiming, LeftBehind, Restarted, tell_if_alive
from darumad.actors.orchestrator import Dispatch, Orchestrator, OrchestratorPorts
from darumad.actors.places import Place, instances, places, restart_instances
from darumad.actors.role import RoleActor, Station
from darumad.actors.roster import role_pool
from darumad.actors.standstill import Scene, Standstill
from darumad.actors.tree import (
    ORCHESTRATOR,
    ROOT,
    Policy,
    agent_at,
    branches,
    executors_under,
    on_demand,
    root_flags,
)

__all__ = [
    "ORCHESTRATOR",
    "ROOT",
    "AgentError",
    "Barred",
    "Beat",
    "Claiming",
    "Dispatch",
    "Executors",
    "Hint",
    "HowClaiming",
    "LeftBehind",
    "Orchestrator",
    "OrchestratorPorts",
    "Place",
    "Policy",
    "Restarted",
    "RoleActor",
    "Scene",
    "Standstill",
    "Station",
    "TreeListener",
    "agent_at",
    "branches",
    "executors_under",
    "instances",
    "judge_of",
    "on_demand",
    "places",
    "restart_instances",
    "role_pool",
    "root_flags",
    "tell_if_alive",
]  # fmt: skip
