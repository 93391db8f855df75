"""What people ask of a daemon whose slots are all held by calls that never answer: how long its answers take then.

Asked as the commands ask, with the same client over the control socket, of the installed daemon against a simulated
provider that hangs. The slowest answer counts. Beside it stands the slowest of the cheapest question, `version`, asked
in turn with the others.
"""

import time
from collections.abc import Callable, Mapping

from darumad.control.client import Client
from darumad.sim import Simulation
from tests.kit.hung import CALLER, ENDLESS, HANGS, held, opened, settings

SLOTS, TIMES = 16, 20
"""As many slots as ship, and how often each question is asked."""
GOAL = 0.250
"""Seconds."""
FLOOR = "version"
ASKED: Mapping[str, Callable[[Client, str], object]] = {
    FLOOR: lambda client, _: client.call(FLOOR),
    "status": lambda client, _: client.call("status"),
    "tree": lambda client, _: client.call("tree"),
    "work cancel": lambda client, item: client.call("work cancel", {"reason": "", "wait": True}, id=item),
    "agents restart": lambda client, _: client.call("agents restart", {}, name=CALLER),
}
"""By what a person types; of an item that holds a slot."""


def row() -> bool:
    """Measure, print, and say whether the goal was met."""
    took = measured()
    floor = took.pop(FLOOR)
    for name, seconds in took.items():
        print(
            f"hung: {name}, each of {SLOTS} slots held by a call that hangs: {seconds * 1000:.1f} ms at the slowest"
            f" of {TIMES} (goal {GOAL * 1000:.0f} ms; {seconds / floor:.1f} x `{FLOOR}`, {floor * 1000:.1f} ms)"
        )
    return all(seconds <= GOAL for seconds in took.values())


def measured() -> dict[str, float]:
    """Seconds of the slowest answer to each question; before each, every slot is held."""
    slowest = dict.fromkeys(ASKED, 0.0)
    calls = {"work cancel": 1, "agents restart": SLOTS}
    with Simulation("ollama") as sim:
        sim.play(HANGS)
        with opened(sim, settings(sim, SLOTS, **ENDLESS), SLOTS + TIMES) as daemon:
            for _ in range(TIMES):
                for name, ask in ASKED.items():
                    item, made = held(daemon, sim, SLOTS)[0], len(sim.attempts())
                    began = time.perf_counter()
                    ask(daemon.client, item)
                    slowest[name] = max(slowest[name], time.perf_counter() - began)
                    anew = made + calls.get(name, 0)
                    sim.wait(lambda attempts, anew=anew: len(attempts) >= anew)
    return slowest
