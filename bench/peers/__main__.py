"""`make bench-peers`: durable items a second, Daruma's walk and its neighbours by turns, on one disk in one run.

The walk's goal was set on a machine on which each neighbour was measured as well. How many times as many items Daruma
is to make as each of them follows from the two, and holds on any machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import walk

ROUNDS = 3


class Peer(NamedTuple):
    """A neighbour: what it does for an item, and how many a second it made on the machine that the goal was set on."""

    says: str
    there: int

    @property
    def goal(self) -> float:
        """How many times as many items Daruma is to make."""
        return walk.GOAL / self.there


PEERS = {
    "sqlite": Peer("raw sqlite3: enqueue, lease and complete, three synced commits", 2_250),
    "huey": Peer("Huey, SQLite as it comes, unsynced: one task", 1_365),
    "dbos": Peer("DBOS, SQLite: a workflow of four steps", 104),
    "langgraph": Peer("LangGraph, SqliteSaver: four nodes, a checkpoint each", 255),
}


def main(python: str) -> bool:
    """`python` is the interpreter of the environment in which the peers are installed. Whether the goals were met."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in PEERS}
    for _ in range(ROUNDS):
        ours.append(walk.measured("nothing", walk.ITEMS)["items_per_second"])
        for name, rates in theirs.items():
            rates.append(_rate(python, name))
    print(f"{median(ours):9,.0f} items/s  Daruma: three stages, four durable moves ({_listed(ours)})")
    met = [_told(PEERS[name], rates, ours) for name, rates in theirs.items()]
    return all(met)


def _told(peer: Peer, rates: list[float], ours: list[float]) -> bool:
    times = median(mine / rate for mine, rate in zip(ours, rates, strict=True))
    print(
        f"{median(rates):9,.0f} items/s  {peer.says} ({_listed(rates)}): Daruma makes {times:.1f} x as many"
        f" (goal {peer.goal:.1f} x)"
    )
    return times >= peer.goal


def _listed(rates: list[float]) -> str:
    return ", ".join(f"{each:,.0f}" for each in rates)


def _rate(python: str, name: str) -> float:
    """Measured in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="peer-") as home:
        file = os.fspath(Path(home, "items.db"))
        command = [python, "-m", f"bench.peers.{name}_items", file]
        environ = {**os.environ, "PEER_FILE": file, "DO_NOT_TRACK": "1", "LANGSMITH_TRACING": "false"}
        return float(
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout)
        )


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1]))
