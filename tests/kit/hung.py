"""A daemon that has every slot of one agent definition in the middle of a call that never answers, and more to do."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darumad.sim import Attempt, Fault, Rule, Simulation, When
from tests.kit.daemon import PATIENCE, Daemon, asking
from tests.kit.house import eventually

CALLER = "caller"
"""The definition."""
HANGS = Rule(id="hangs", when=When(listener="ollama"), fault=Fault(name="hang_headers"))
ENDLESS = dict.fromkeys(("first_token", "idle", "total"), "1h")
"""Limits of a call that hold nobody back."""


def settings(sim: Simulation, slots: int, **limits: str) -> dict[str, Any]:
    """So many slots of `caller`, whose model server is the simulated Ollama, under these limits of a call."""
    server = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2", "concurrency": slots}
    return {
        "provider": {"use": "offline"},
        "providers": {"silent": server | limits},
        "agents": {CALLER: {"template": "general", "provider": "silent", "count": slots}},
    }


def still_open(attempts: tuple[Attempt, ...]) -> set[str]:
    """Whose calls are open."""
    return {each.key for each in attempts if each.path == "/api/chat" and each.client_disconnected_at is None}


@contextmanager
def opened(
    sim: Simulation, written: Mapping[str, Any], items: int, environ: Mapping[str, str] | None = None
) -> Iterator[Daemon]:
    """The daemon with these settings, and so many items handed in."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        daemon = Daemon(Path(place), written, environ).start()
        try:
            daemon.client.batch([asking(f"hung-{number}", CALLER) for number in range(items)])
            yield daemon
        finally:
            daemon.close()


def held(daemon: Daemon, sim: Simulation, slots: int) -> list[str]:
    """The items that hold every slot in a call that is open, once every slot is held so."""
    found: list[str] = []

    def all_held() -> bool:
        running = {each["id"] for each in daemon.listed() if each["state"] == "running"}
        found[:] = sorted(running & still_open(sim.attempts()))
        return len(found) == slots

    eventually(all_held, PATIENCE)
    return found
