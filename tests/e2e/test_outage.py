"""A provider goes down and comes back: what it costs the items, the agents, and whoever uses another provider."""

import json
from collections.abc import Callable, Iterator

import pytest

from darumad.sim import Fault, Reply, Rule, Simulation, When
from tests.kit.daemon import Daemon
from tests.kit.house import eventually

ITEMS = 6
DOWN = Fault(name="http_status", code=500)
PATIENCE = 60.0


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("anthropic", "ollama") as running:
        yield running


def settings(sim: Simulation) -> dict[str, object]:
    return {
        "provider": {"use": "offline"},
        "providers": {
            "down": {"kind": "anthropic", "base_url": sim.url("anthropic"), "concurrency": 2},
            "up": {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2", "concurrency": 2},
        },
        "agents": {name: {"template": "general", "provider": name, "count": 2} for name in ("down", "up")},
    }


def work(name: str, agent: str) -> dict[str, object]:
    return {
        "id": name, "description": f"[[sim:{name}]] Say what the answer is", "agent": agent, "stages": ["execute"],
        "challenge": False,
    }  # fmt: skip


def test_an_outage_delays_items_and_degrades_their_agents_and_restarts_and_fails_none(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(Rule(id="down", when=When(listener="anthropic"), fault=DOWN), _well())
    daemon = house(settings(sim), environ={"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}).start()
    daemon.client.batch([work(f"down-{n}", "down") for n in range(ITEMS)])
    daemon.until("work.scheduled")
    eventually(lambda: {each["state"] for each in _instances(daemon, "down")} == {"degraded"}, PATIENCE)
    assert "circuit is open" in _instances(daemon, "down")[0]["last_error"]
    assert {each["state"] for each in _instances(daemon, "up")} <= {"idle", "busy"}

    daemon.client.submit(work("up-1", "up"))
    assert daemon.settled("up-1")["state"] == "succeeded"
    claimed = {each["subject"] for each in daemon.events("work.assigned") if each["subject"].startswith("down")}
    assert len(claimed) < ITEMS, "nothing more is claimed for a definition whose circuit is open"

    sim.play(_well())
    eventually(lambda: _succeeded(daemon) == ITEMS, PATIENCE)
    assert not daemon.events("agent.restarted")
    assert not daemon.events("agent.error_recorded")
    items = [daemon.item(f"down-{n}") for n in range(ITEMS)]
    assert {(each["failures"], each["attempt"]) for each in items} == {(0, 1)}


def _well() -> Rule:
    return Rule(id="well", script=(Reply(text="the answer is {key}"),))


def _instances(daemon: Daemon, agent: str) -> list[dict[str, object]]:
    return [each for each in daemon.client.call("agents list")["items"] if each["agent"] == agent]


def _succeeded(daemon: Daemon) -> int:
    return sum(each["state"] == "succeeded" and each["id"].startswith("down") for each in daemon.listed())


MARKER = "sk-ant-m4rk3r-0f-7h1s-t3st"
LEAKS = [
    {"fault": "http_status", "code": 400, "text": f"bad key {MARKER}"},
    {"fault": "http_status", "code": 500, "headers": {"x-echo": MARKER, "retry-after": "0"}},
    {"fault": "http_status", "code": 500, "body": "raw", "text": json.dumps({MARKER: 1, "error": {MARKER: MARKER}})},
    {"fault": "http_status", "code": 502, "body": "html", "text": f"<b>{MARKER}</b>"},
    {"fault": "http_status", "code": 403, "body": "echo"},
    {"fault": "http_status", "code": 404, "text": MARKER, "error_code": MARKER},
    {"fault": "err_event", "type": MARKER},
    {"fault": "malformed_json"},
]
"""Where an upstream may put a credential into what it answers."""


def test_a_credential_that_a_server_sends_back_is_found_nowhere(house: Callable[..., Daemon], sim: Simulation) -> None:
    faults = [Fault(**{"name": each["fault"], **{k: v for k, v in each.items() if k != "fault"}}) for each in LEAKS]
    sim.play(
        *(Rule(id=f"leak-{n}", when=When(key=f"*-{n}"), fault=fault) for n, fault in enumerate(faults)),
    )
    given = settings(sim)
    names = [f"{vendor}-{n}" for vendor in ("anthropic", "ollama") for n in range(len(LEAKS))]
    given["providers"] = {name: _provider(sim, name) for name in names}
    given["agents"] = {name: {"template": "general", "provider": name, "count": 1} for name in names}
    daemon = house({**given, "log": {"level": "debug"}}, environ={"ANTHROPIC_API_KEY": MARKER}).start()
    daemon.client.batch([work(name, name) | {"max_attempts": 1} for name in names])
    eventually(lambda: set(names) <= _put_off_or_ended(daemon), PATIENCE)

    replies = [daemon.client.call("work show", id=name) for name in names]
    replies += [daemon.client.call(each) for each in ("status", "health", "tree", "agents list", "work list")]
    told = [json.dumps(replies), json.dumps(daemon.events()), daemon.client.text("metrics")]
    told += [daemon.run(*command).stdout for command in (("doctor",), ("tree",), ("status", "--json"))]
    daemon.stop()
    told += [daemon.log.read_text()]
    assert not [each for each in told if MARKER in each]
    kept = [path for path in daemon.home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("journal") for path in kept)
    assert not [path for path in kept if MARKER.encode() in path.read_bytes()]
    assert {each.listener for each in sim.attempts()} == {"anthropic", "ollama"}


def _provider(sim: Simulation, name: str) -> dict[str, object]:
    vendor = name.partition("-")[0]
    model = {"model": "llama3.2"} if vendor == "ollama" else {"model": "claude-haiku-4-5"}
    key = {"key_env": "ANTHROPIC_API_KEY"}
    return {"kind": vendor, "base_url": sim.url(vendor), "concurrency": 1, **model, **key}


def _put_off_or_ended(daemon: Daemon) -> set[str]:
    """The items that have met their faults."""
    ends = {"work.scheduled", "work.parked", "work.dead", "work.succeeded"}
    return {each["subject"] for each in daemon.events() if each["type"] in ends}
