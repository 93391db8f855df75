"""A simulator of model providers: speaks their protocols over real sockets, with every fault that they have.

It imports nothing of the daemon. Tests run it on a thread (`Simulation`), people run it as `daruma sim`.
"""

from darumad.sim.log import Attempt
from darumad.sim.main import main
from darumad.sim.reading import scenario_of
from darumad.sim.scenario import Fault, Quota, Reply, Rule, Scenario, Server, ToolUse, When
from darumad.sim.server import Listener, Simulator
from darumad.sim.spread import Spread
from darumad.sim.stats import calls, most_at_once, most_within, stats
from darumad.sim.thread import Simulation

__all__ = [
    "Attempt",
    "Fault",
    "Listener",
    "Quota",
    "Reply",
    "Rule",
    "Scenario",
    "Server",
    "Simulation",
    "Simulator",
    "Spread",
    "ToolUse",
    "When",
    "calls",
    "main",
    "most_at_once",
    "most_within",
    "scenario_of",
    "stats",
]
