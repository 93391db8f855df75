"""A simulator of model providers: speaks their protocols over real sockets, with every fault that they have.

It imports nothing of the daemon. Tests run it on a thread (`Simulation`), people run it as `daruma sim`.
"""

from darumad.sim.log import Attempt
from darumad.sim.main import main
from darumad.sim.scenario import Fault, Reply, Rule, Scenario, ToolUse, When, scenario_of
from darumad.sim.server import Listener, Simulator
from darumad.sim.thread import Simulation

__all__ = [
    "Attempt",
    "Fault",
    "Listener",
    "Reply",
    "Rule",
    "Scenario",
    "Simulation",
    "Simulator",
    "ToolUse",
    "When",
    "main",
    "scenario_of",
]
