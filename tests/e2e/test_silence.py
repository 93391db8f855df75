"""Servers that fall silent: an item ends with its limit, and its socket with it, as the server sees it.

Every way to be silent, for every vendor, streamed and whole. Instants are the simulator's own; the item's end is the
journal's, of the same machine's clock.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from darumad.sim import Fault, Reply, Rule, Simulation, When
from tests.kit.daemon import Daemon

MODELS = {"anthropic": "claude-haiku-4-5", "ollama": "llama3.2", "openai": "gpt-sim"}
SILENCES = {
    "headers": Fault(name="hang_headers"),
    "body": Fault(name="hang_body", after=3),
    "pings": Fault(name="pings_only", after=3),
    "drip": Fault(name="drip", bytes=1, interval=1.0),
}
WELL, ANSWERS_AFTER = "well", 1.5
"""The silence that is none: an answer after so many seconds. What its item takes beyond that is the machine's."""
WAYS = ("streamed", "whole")
WELLS = [f"{vendor}-{way}-{WELL}" for vendor in MODELS for way in WAYS]
NAMES = [f"{vendor}-{way}-{silence}" for vendor in MODELS for way in WAYS for silence in SILENCES]
LIMIT = 3.0
"""Seconds that a call may take in all; what is streamed may be silent for less, and is asked once more."""
SILENT_FOR = 2.0
ENDS_WITHIN = 1.0
CLOSES_WITHIN = 0.1
"""Seconds that are promised: from the limit to the item's end, and between that and the end of its socket."""
NOISE = 2.0
"""Seconds that a busy machine may take from any one of them beside what it takes from an answer."""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    with Simulation(*MODELS) as running:
        long = (Reply(text="so much for the answer, " * 20),)
        silence = {name: SILENCES[name.rpartition("-")[2]] for name in NAMES}
        fine = (Reply(text="fine"),)
        running.play(
            *(Rule(id=name, when=When(key=name), fault=silence[name], script=long) for name in NAMES),
            *(Rule(id=name, when=When(key=name), latency=ANSWERS_AFTER, script=fine) for name in WELLS),
        )
        yield running


@pytest.fixture(scope="module")
def daemon(sim: Simulation) -> Iterator[Daemon]:
    """Has met them all."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        keys = {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key", "OPENAI_API_KEY": "sk-not-a-real-key"}
        running = Daemon(Path(place), _settings(sim), keys).start()
        for vendor in MODELS:  # a client is imported for its first call: no limit shall have to bear it
            running.client.submit(_asking(vendor, f"{vendor}-whole-headers"))
            assert running.settled(vendor)["state"] == "succeeded"
        running.client.batch([_asking(name, name) for name in (*NAMES, *WELLS)])
        for name in NAMES:
            running.until("work.scheduled", name)
        for name in WELLS:
            running.until("work.succeeded", name)
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
        "providers": {name: provider(name) for name in (*NAMES, *WELLS)},
        "agents": {name: {"template": "general", "provider": name, "count": 1} for name in (*NAMES, *WELLS)},
    }


def _asking(name: str, agent: str) -> dict[str, Any]:
    return {
        "id": name, "description": f"[[sim:{name}]] Say what the answer is", "agent": agent, "stages": ["execute"],
        "challenge": False,
    }  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How an item ended: seconds after its first call came, and after (or before) its last socket was closed."""

    after: float
    apart: float


def _instant(event: dict[str, Any]) -> float:
    """When it was recorded, on the simulator's clock."""
    return event["at"] / 1000 + time.monotonic() - time.time()


def _slack(daemon: Daemon, sim: Simulation, vendor: str, way: str) -> float:
    """What this machine took of the time of an item that was answered, beside all the others."""
    name = f"{vendor}-{way}-{WELL}"
    (succeeded,) = daemon.events("work.succeeded", name)
    (call,) = [each for each in sim.attempts() if each.key == name]
    return max(0.0, _instant(succeeded) - call.t_arrive - ANSWERS_AFTER)


def _ended(daemon: Daemon, sim: Simulation, name: str) -> Ended:
    (put_off, *_) = daemon.events("work.scheduled", name)
    assert put_off["data"]["reason"] == "outage"
    at = _instant(put_off)
    calls = [each for each in sim.attempts() if each.key == name and each.t_arrive < at]
    gone = [each.client_disconnected_at for each in calls]
    assert all(each is not None for each in gone)
    return Ended(at - calls[0].t_arrive, abs(at - max(gone)))


@pytest.mark.parametrize("name", NAMES)
def test_silence_ends_an_item_at_its_limit_and_closes_its_socket(daemon: Daemon, sim: Simulation, name: str) -> None:
    ended, noise = _ended(daemon, sim, name), NOISE + _slack(daemon, sim, *name.split("-")[:2])
    assert ended.after <= LIMIT + ENDS_WITHIN + noise
    assert ended.apart <= CLOSES_WITHIN + noise


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vendor", MODELS)
def test_an_item_ends_within_a_second_of_its_limit_and_its_socket_within_a_tenth_of_that(
    daemon: Daemon, sim: Simulation, vendor: str, way: str
) -> None:
    ended = [_ended(daemon, sim, f"{vendor}-{way}-{silence}") for silence in SILENCES]
    slack = _slack(daemon, sim, vendor, way)
    assert median(each.after for each in ended) <= LIMIT + ENDS_WITHIN + slack
    assert median(each.apart for each in ended) <= CLOSES_WITHIN + slack
