"""Servers that fall silent: an item ends with its limit, and its socket with it, as the server sees it.

Every way to be silent, for every vendor, streamed and whole. Instants are the simulator's own; the item's end is the
journal's, of the same machine's clock. Each must keep what is promised; only what the machine took from everybody
between the promised instant and the one that was seen, as a witness saw it, is no fault of the daemon's.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darumad.sim import Attempt, Fault, Reply, Rule, Simulation, When
from tests.kit.daemon import Daemon
from tests.kit.witness import Witness

MODELS = {"anthropic": "claude-haiku-4-5", "ollama": "llama3.2", "openai": "gpt-sim"}
SILENCES = {
    "headers": Fault(name="hang_headers"),
    "informational": Fault(name="hang_informational"),
    "body": Fault(name="hang_body", after=3),
    "pings": Fault(name="pings_only", after=3),
    "drip": Fault(name="drip", bytes=1, interval=1.0),
}
WAYS = ("streamed", "whole")
ALL = [f"{vendor}-{way}-{silence}" for vendor in MODELS for way in WAYS for silence in SILENCES]
NAMES = [each for each in ALL if each != "ollama-streamed-pings"]  # it has none: a line of nothing is a broken answer
LIMIT = 3.0
"""Seconds that a call may take in all; what is streamed may be silent for less, and is asked once more."""
SILENT_FOR = 2.0
ENDS_WITHIN = 1.0
CLOSES_WITHIN = 0.1
"""Seconds that are promised: from the limit to the item's end, and between that and the end of its socket."""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    with Simulation(*MODELS) as running:
        long = (Reply(text="so much for the answer, " * 20),)
        silence = {name: SILENCES[name.rpartition("-")[2]] for name in NAMES}
        running.play(*(Rule(id=name, when=When(key=name), fault=silence[name], script=long) for name in NAMES))
        yield running


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    with Witness() as looking:
        yield looking


@pytest.fixture(scope="module")
def daemon(sim: Simulation, witness: Witness) -> Iterator[Daemon]:
    """Has met them all."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        keys = {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key", "OPENAI_API_KEY": "sk-not-a-real-key"}
        running = Daemon(Path(place), _settings(sim), keys).start()
        for vendor in MODELS:  # a client is imported for its first call: no limit shall have to bear it
            running.client.submit(_asking(vendor, f"{vendor}-whole-headers"))
            assert running.settled(vendor)["state"] == "succeeded"
        running.client.batch([_asking(name, name) for name in NAMES])
        for name in NAMES:
            running.until("work.scheduled", name)
        yield running
        running.close()


def _settings(sim: Simulation) -> dict[str, Any]:
    def provider(name: str) -> dict[str, Any]:
        vendor, way, _ = name.split("-")
        url = sim.url(vendor) + ("/v1" if vendor == "openai" else "")
        silent = f"{SILENT_FOR}s"
        return {
            "kind": vendor, "base_url": url, "model": MODELS[vendor], "stream": way == "streamed",
            "first_token": silent, "idle": silent, "total": f"{LIMIT}s",
        }  # fmt: skip

    return {
        "provider": {"use": "offline"},
        "providers": {name: provider(name) for name in NAMES},
        "agents": {name: {"template": "general", "provider": name, "count": 1} for name in NAMES},
    }


def _asking(name: str, agent: str) -> dict[str, Any]:
    return {
        "id": name, "description": f"[[sim:{name}]] Say what the answer is", "agent": agent, "stages": ["execute"],
        "challenge": False,
    }  # fmt: skip


def _instant(event: dict[str, Any]) -> float:
    """When it was recorded, on the simulator's clock."""
    return event["at"] / 1000 + time.monotonic() - time.time()


def _closed(sim: Simulation, name: str, before: float) -> list[Attempt]:
    """The calls until then, once the server has seen all of them end."""

    def calls(attempts: tuple[Attempt, ...]) -> list[Attempt]:
        return [each for each in attempts if each.key == name and each.t_arrive < before]

    return calls(sim.wait(lambda attempts: all(each.client_disconnected_at for each in calls(attempts))))


@pytest.mark.parametrize("name", NAMES)
def test_an_item_ends_within_a_second_of_its_limit_and_its_socket_within_a_tenth_of_that(
    daemon: Daemon, sim: Simulation, witness: Witness, name: str
) -> None:
    (put_off, *_) = daemon.events("work.scheduled", name)
    assert put_off["data"]["reason"] == "outage"
    ended = _instant(put_off)
    calls = _closed(sim, name, ended)
    limit, gone = calls[0].t_arrive + LIMIT, max(each.client_disconnected_at for each in calls)
    assert ended - limit <= ENDS_WITHIN + witness.taken(limit, ended)
    assert abs(ended - gone) <= CLOSES_WITHIN + witness.taken(*sorted((ended, gone)))
