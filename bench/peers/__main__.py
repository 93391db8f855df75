"""`make bench-peers`: durable items a second, Daruma's walk first, then the neighbours, on one disk in one run."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import walk

PEERS = {
    "sqlite": "raw sqlite3: enqueue, lease and complete, three synced commits",
    "huey": "Huey, SQLite with fsync: one task",
    "dbos": "DBOS, SQLite: a workflow of one step",
    "langgraph": "LangGraph, SqliteSaver: four nodes, a checkpoint each",
}


def main(python: str) -> None:
    """`python` is the interpreter of the environment in which the peers are installed."""
    ours = walk.measured("nothing", walk.ITEMS)["items_per_second"]
    print(f"{ours:9,.0f} items/s  Daruma: three stages, four durable moves")
    for name, says in PEERS.items():
        rate = _rate(python, name)
        print(f"{rate:9,.0f} items/s  {says}: Daruma makes {ours / rate:.1f} x as many")


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
    main(sys.argv[1])
