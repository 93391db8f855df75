"""A provider goes down and comes back: what it costs the items, the agents, and whoever uses another provider."""

import re
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from darumad.sim import Fault, Reply, Rule, Simulation, When
from tests.kit.daemon import Daemon
from tests.kit.house import eventually
from tests.kit.waking import wake

ITEMS = 100
DOWN = Fault(name="http_status", code=500)
SLOTS, PROBES = 8, 3
DEFINITIONS = 10
PATIENCE = 60.0
ONE_BY_ONE = 15
NOTICED = 0.05
"""Seconds that nobody notices."""


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("anthropic", "ollama") as running:
        yield running


def settings(sim: Simulation) -> dict[str, Any]:
    return {
        "provider": {"use": "offline"},
        "providers": {
            "down": {"kind": "anthropic", "base_url": sim.url("anthropic"), "concurrency": SLOTS},
            "up": {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2", "concurrency": 2},
        },
        "agents": {
            "down": {"template": "general", "provider": "down", "count": SLOTS},
            "up": {"template": "general", "provider": "up", "count": 2},
        },
    }


def work(name: str, agent: str) -> dict[str, object]:
    return {
        "id": name, "description": f"[[sim:{name}]] Say what the answer is", "agent": agent, "stages": ["execute"],
        "challenge": False,
    }  # fmt: skip


def put_off_for_an_hour(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    """A daemon whose item `one` its server has put off."""
    sim.play(Rule(id="away", fault=Fault(name="http_status", code=429, retry_after=3600)))
    daemon = house(settings(sim)).start()
    daemon.client.submit(work("one", "up"))
    daemon.becomes("one", state="scheduled")
    return daemon


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
    put_off = len(daemon.events("work.scheduled"))
    assert put_off <= SLOTS + PROBES, (
        "those that met the outage, and each that went ahead to see: no slot's item beside it"
    )
    assert not daemon.events("agent.restarted")
    assert not daemon.events("agent.error_recorded")
    (alert,), (over,) = daemon.events("provider.circuit_opened"), daemon.events("provider.circuit_closed")
    assert alert["subject"] == over["subject"] == "down:claude-sonnet-5-5"
    assert alert["data"]["kind"] == "server_error"
    items = [daemon.item(f"down-{n}") for n in range(ITEMS)]
    assert {(each["failures"], each["attempt"]) for each in items} == {(0, 1)}


def test_however_many_definitions_use_a_provider_one_item_of_all_goes_ahead_to_see_whether_it_is_back(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(Rule(id="down", when=When(listener="anthropic"), fault=DOWN))
    names = [f"down-{n}" for n in range(DEFINITIONS)]
    agents = {name: {"template": "general", "provider": "down", "count": 1} for name in names}
    told = settings(sim) | {"agents": agents}
    daemon = house(told, environ={"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}).start()
    daemon.client.batch([work(f"{name}-{n}", name) for name in names for n in range(3)])
    eventually(lambda: len(daemon.events("work.scheduled")) >= DEFINITIONS, PATIENCE)
    sim.play(_well())
    eventually(lambda: _succeeded(daemon) == 3 * DEFINITIONS, PATIENCE)
    assert len(daemon.events("work.scheduled")) <= DEFINITIONS + PROBES


def _well() -> Rule:
    return Rule(id="well", script=(Reply(text="the answer is {key}"),))


def _instances(daemon: Daemon, agent: str) -> list[dict[str, object]]:
    return [each for each in daemon.client.call("agents list")["items"] if each["agent"] == agent]


def _succeeded(daemon: Daemon) -> int:
    return sum(each["state"] == "succeeded" and each["id"].startswith("down") for each in daemon.listed())


def test_an_outage_of_the_default_provider_holds_up_no_agent_that_computes_without_a_model(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(Rule(id="down", when=When(listener="anthropic"), fault=DOWN))
    told = settings(sim) | {"provider": {"use": "down"}}
    daemon = house(told, environ={"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}).start()
    wake(daemon.client, "echo")
    daemon.client.batch([work(f"down-{n}", "down") for n in range(SLOTS)])
    eventually(lambda: {each["state"] for each in _instances(daemon, "down")} == {"degraded"}, PATIENCE)
    assert {each["state"] for each in _instances(daemon, "echo")} == {"idle"}
    daemon.client.batch([work(f"echo-{n}", "echo") for n in range(SLOTS)])
    for n in range(SLOTS):
        daemon.becomes(f"echo-{n}", state="succeeded")
    assert daemon.client.call("work show", id="down-0")["state"] in {"ready", "scheduled", "running"}, (
        "or at its next try"
    )


def test_while_one_provider_is_down_no_item_of_another_waits_noticeably_longer(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(_well())
    daemon = house(settings(sim), environ={"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}).start()
    for agent in ("up", "down"):  # the client is imported for the first call of each
        assert daemon.client.submit(work(f"{agent}-first", agent))
        assert daemon.settled(f"{agent}-first")["state"] == "succeeded"
    before = median(_took(daemon, f"up-before-{n}") for n in range(ONE_BY_ONE))
    sim.play(
        Rule(id="hangs", when=When(listener="anthropic", every=2), fault=Fault(name="hang_headers")),
        Rule(id="down", when=When(listener="anthropic"), fault=DOWN),
        _well(),
    )
    daemon.client.batch([work(f"down-{n}", "down") for n in range(20 * ITEMS)])
    sim.wait(lambda attempts: sum(each.listener == "anthropic" for each in attempts) >= 2, PATIENCE)
    meanwhile = median(_took(daemon, f"up-meanwhile-{n}") for n in range(ONE_BY_ONE))
    assert meanwhile <= 2 * before + NOTICED, (before, meanwhile)


def test_one_item_that_its_server_cannot_answer_holds_nobody_up_and_is_dead_in_the_end(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    sim.play(Rule(id="poison", when=When(prompt_re="POISON"), fault=DOWN), _well())
    given = settings(sim)
    given["providers"]["up"]["concurrency"] = 1
    given["agents"]["up"]["count"] = 1
    daemon = house({**given, "item": {"backoff": "10ms"}}).start()
    daemon.client.submit({**work("poison", "up"), "description": "Say what the POISON is", "max_attempts": 2})
    daemon.client.batch([{**work(f"well-{n}", "up"), "stages": ["optimize", "execute"]} for n in range(3)])
    daemon.until("provider.circuit_opened")

    assert {daemon.settled(f"well-{n}")["state"] for n in range(3)} == {"succeeded"}
    dead = daemon.settled("poison")
    assert (dead["state"], dead["failures"], dead["error"]["kind"]) == ("dead", 2, "server_error")
    assert {daemon.item(f"well-{n}")["failures"] for n in range(3)} == {0}
    assert not daemon.events("agent.restarted")


def test_what_its_server_put_off_for_an_hour_goes_on_with_the_command_that_it_names_and_so_does_what_comes_after(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    daemon = put_off_for_an_hour(house, sim)
    assert "or until `daruma work retry`" in daemon.item("one")["waits_for"]
    assert daemon.run("work", "retry", "one").stdout == "one  released\n"
    again = daemon.becomes("one", state="scheduled", delays=2)
    assert again["error"]["kind"] == "rate_limited", "it was asked, and is still away"
    sim.play(_well())
    assert daemon.run("work", "retry", "one").stdout == "one  released\n"
    assert daemon.settled("one")["state"] == "succeeded"
    daemon.client.submit(work("two", "up"))
    assert daemon.settled("two")["state"] == "succeeded"


def test_what_its_server_put_off_for_an_hour_is_after_a_restart_put_on_its_way_by_the_command_that_it_names(
    house: Callable[..., Daemon], sim: Simulation
) -> None:
    daemon = put_off_for_an_hour(house, sim)
    assert "asked to be left alone" in daemon.item("one")["waits_for"]
    sim.play(_well())
    assert daemon.stop() == 0
    waits_for = daemon.start().item("one")["waits_for"]
    (command,) = re.findall("`daruma (.+)`", waits_for)
    assert daemon.run(*command.split()).stdout == "one  released\n"
    assert daemon.settled("one")["state"] == "succeeded"


def _took(daemon: Daemon, name: str) -> float:
    """Seconds from handing the item in to its end."""
    began = time.monotonic()
    daemon.client.submit(work(name, "up"))
    assert daemon.settled(name)["state"] == "succeeded"
    return time.monotonic() - began
