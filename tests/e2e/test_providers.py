"""The installed daemon and its real clients against servers that go wrong: what becomes of the items, at what cost.

Each item has an agent and a provider of its own, so that what one of them meets is held against no other.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from darumad.sim import Attempt, Fault, Reply, Rule, Simulation, When
from tests.e2e.conftest import own
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon, asking

VENDORS = ("anthropic", "ollama")
SAID = Reply(text="so much for the answer, " * 20)
"""Long enough to be cut."""
ASKED_TO_WAIT = 0.4
"""Seconds after which a server says that it wants to be called again."""
FAR = 120.0
"""Seconds that nobody waits for in a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What the servers do, and what the reference says of it.

    `calls` are made before the item is put off, and `counted` errors are held against its agent.
    """

    fault: Fault
    kind: str
    calls: int
    counted: int


TROUBLES: Mapping[str, Trouble] = {
    "hang": Trouble(fault=Fault(name="hang_headers"), kind="timeout", calls=2, counted=1),
    # the third failure in a row opens the circuit: then it is known whose fault it is
    "500": Trouble(fault=Fault(name="http_status", code=500), kind="server_error", calls=3, counted=0),
    "429": Trouble(
        fault=Fault(name="http_status", code=429, retry_after=ASKED_TO_WAIT), kind="rate_limited", calls=3, counted=0
    ),
    "cut": Trouble(fault=Fault(name="clean_eof", after=3), kind="truncated_stream", calls=2, counted=1),
    "nonsense": Trouble(fault=Fault(name="malformed_json"), kind="malformed_response", calls=2, counted=1),
}
PASSING = {f"{vendor}-{trouble}-passing": trouble for vendor in VENDORS for trouble in TROUBLES}
LASTING = {f"{vendor}-{trouble}-lasting": trouble for vendor in VENDORS for trouble in TROUBLES}
AWAY = {f"{vendor}-away": Fault(name="http_status", code=429, retry_after=FAR) for vendor in VENDORS}
REFUSED = {f"ollama-{code}-{word}": code for code in (401, 402, 403, 404) for word in ("check", "retry", "go-on")}
"""Who is refused once, and how that is said to be mended: by a check, by a retry of what is parked or of what waits."""
TWICE = "ollama-404-twice"
MEANWHILE = "ollama-404-meanwhile"
"""The item that ends with a refusal after an operator has said that what was refused is mended."""
OWN = "ollama-own"
"""The item whose answers are cut while its server answers everybody else."""
NAMES = (*PASSING, *LASTING, *AWAY, *REFUSED, TWICE, MEANWHILE, OWN)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    """The servers of both vendors; what they do wrong goes by the item's name."""
    with Simulation(*VENDORS) as running:
        running.play(
            *(_in_trouble(name, TROUBLES[each], 1) for name, each in PASSING.items()),
            *(_in_trouble(name, TROUBLES[each], TROUBLES[each].calls) for name, each in LASTING.items()),
            *(Rule(id=name, when=When(key=f"{name}*"), fault=fault) for name, fault in AWAY.items()),
            *(_refused(name, code, 1) for name, code in REFUSED.items()),
            _refused(TWICE, 404, 2),
            _refused(MEANWHILE, 404, 1),
            Rule(id=OWN, when=When(key=OWN), gate=OWN, fault=TROUBLES["cut"].fault, script=(SAID,)),
            Rule(id="well", script=(Reply(text="the answer is {key}"),)),
        )
        yield running


def _in_trouble(name: str, trouble: Trouble, times: int) -> Rule:
    """The item's first so many calls go wrong; no more than one round of them, so that it goes on by itself later."""
    return Rule(id=name, when=When(key=name, nth=tuple(range(1, times + 1))), fault=trouble.fault, script=(SAID,))


def _refused(name: str, code: int, times: int) -> Rule:
    when = When(key=f"{name}*", max=times)
    return Rule(id=name, when=when, fault=Fault(name="http_status", code=code))


@pytest.fixture(scope="module")
def daemon(sim: Simulation) -> Iterator[Daemon]:
    """At work on all of them at once."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        running = Daemon(Path(place), _settings(sim), {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key"}).start()
        for name in AWAY:  # a client is imported for its first call: nobody else's limit shall have to bear it
            running.client.submit(asking(name, agent=name))
            running.until("work.scheduled", name)
        running.client.batch([asking(name, agent=name) for name in (*PASSING, *LASTING)])
        yield running
        running.close()


def _settings(sim: Simulation) -> dict[str, Any]:
    def provider(name: str) -> dict[str, Any]:
        vendor = name.partition("-")[0]
        model = {"model": "llama3.2"} if vendor == "ollama" else {}
        patience = {"first_token": "2s"} if "-hang-" in name else {}
        return {"kind": vendor, "base_url": sim.url(vendor), "concurrency": 2, **model, **patience}

    return {
        "provider": {"use": "offline"},
        "providers": {name: provider(name) for name in NAMES},
        "agents": {
            **{name: {"template": "general", "provider": name, "count": 2} for name in NAMES},
            MEANWHILE: own("broods", provider=MEANWHILE, count=2),
        },
    }


def _calls(sim: Simulation, name: str) -> list[Attempt]:
    return [each for each in sim.attempts() if each.key == name]


def _outcomes(daemon: Daemon, provider: str) -> dict[str, float]:
    """How the calls to this provider ended, by the metrics; the tries of one call count once."""
    lines = daemon.client.text("metrics").splitlines()
    counted = [each for each in lines if each.startswith("daruma_llm_calls_total{") and f'"{provider}"' in each]
    return {each.partition('outcome="')[2].partition('"')[0]: float(each.split()[-1]) for each in counted}


def _held_against(daemon: Daemon, agent: str) -> int:
    return len([each for each in daemon.events("agent.error_recorded") if each["data"]["agent"] == agent])


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_one_call_and_nothing_else(daemon: Daemon, sim: Simulation, name: str) -> None:
    item = daemon.settled(name)
    assert (item["state"], item["attempt"], item["failures"], item["delays"]) == ("succeeded", 1, 0, 0)
    assert daemon.client.call("result", id=name)["text"] == f"the answer is {name}"
    assert len(_calls(sim, name)) == 2
    assert _held_against(daemon, name) == 0


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_puts_the_item_off_and_fails_nothing(daemon: Daemon, sim: Simulation, name: str) -> None:
    trouble = TROUBLES[LASTING[name]]
    (put_off,) = daemon.until("work.scheduled", name)
    assert put_off["data"]["reason"] == "outage"
    item = daemon.becomes(name, state="succeeded")
    assert (item["attempt"], item["failures"], item["delays"]) == (1, 0, 1)
    assert _outcomes(daemon, name) == {trouble.kind: 1, "ok": 1}
    assert len(_calls(sim, name)) == trouble.calls + 1
    assert _held_against(daemon, name) == trouble.counted


@pytest.mark.parametrize("name", [name for name in NAMES if "-429-" in name])
def test_a_server_that_asks_to_be_left_alone_is_left_alone(daemon: Daemon, sim: Simulation, name: str) -> None:
    daemon.becomes(name, state="succeeded")
    calls = _calls(sim, name)
    assert len(calls) > 1
    assert all(later.t_arrive - earlier.t_arrive >= ASKED_TO_WAIT for earlier, later in pairwise(calls))
    label = f'daruma_rate_limit_wait_seconds_total{{provider="{name}"}} '
    (waited,) = [line for line in daemon.client.text("metrics").splitlines() if line.startswith(label)]
    assert float(waited.removeprefix(label)) >= ASKED_TO_WAIT


@pytest.mark.parametrize("name", AWAY)
def test_who_asks_for_a_long_wait_is_called_by_nobody_until_then(daemon: Daemon, sim: Simulation, name: str) -> None:
    first = daemon.becomes(name, state="scheduled", reason="outage")
    daemon.client.submit(asking(f"{name}-next", agent=name))
    following = daemon.becomes(f"{name}-next", state="scheduled", reason="outage")
    assert (len(_calls(sim, name)), len(_calls(sim, f"{name}-next"))) == (1, 0)
    (told,) = daemon.events("work.scheduled", name)
    assert first["scheduled_for"] - told["at"] == pytest.approx(FAR * 1000, abs=5000)
    assert following["scheduled_for"] == pytest.approx(first["scheduled_for"], abs=5000)
    assert _held_against(daemon, name) == 0


def _shut(daemon: Daemon, name: str) -> str:
    """One item has been refused, and the next waits for its provider; why that is not called."""
    daemon.client.submit(asking(name, agent=name))
    assert daemon.settled(name)["reason"] == "provider"
    daemon.client.submit(asking(f"{name}-next", agent=name))
    why: str = daemon.item(f"{name}-next")["waits_for"]
    assert why.startswith(f"provider {name}: it refused a call to llama3.2 (")
    assert f"`daruma providers check {name}`, `daruma work retry` or a restart" in why
    assert "another key" not in why, "it has none"
    health = daemon.client.call("health")
    assert (health["live"], health["degraded"]) == (True, True)
    assert f"provider {name}: {health['providers'][name]}" == why
    assert why in daemon.run("status").stdout
    return why


@pytest.mark.parametrize("name", REFUSED)
def test_a_provider_that_refused_a_call_is_asked_again_once_its_operator_says_so(
    daemon: Daemon, sim: Simulation, name: str
) -> None:
    _shut(daemon, name)
    waiting = f"{name}-next"
    words = {"check": ("providers", "check", name), "retry": ("work", "retry", name), "on": ("work", "retry", waiting)}
    said = daemon.run(*words[name.rpartition("-")[2]])
    assert said.returncode == 0, said.stdout + said.stderr
    for item in (name, waiting):
        daemon.becomes(item, state="succeeded")
    assert (len(_calls(sim, name)), len(_calls(sim, waiting))) == (2, 1)
    assert daemon.client.call("health")["providers"][name] is True


def test_a_provider_that_refuses_again_is_asked_once_for_each_word(daemon: Daemon, sim: Simulation) -> None:
    why = _shut(daemon, TWICE)
    assert daemon.run("providers", "check", TWICE).returncode == 0
    eventually(lambda: sum(len(_calls(sim, each)) for each in (TWICE, f"{TWICE}-next")) == 2, PATIENCE)
    eventually(lambda: daemon.client.call("health")["providers"][TWICE] is not True, PATIENCE)
    assert f"provider {TWICE}: {daemon.client.call('health')['providers'][TWICE]}" == why
    assert daemon.run("work", "retry", "--state", "parked", "--agent", TWICE).returncode == 0
    for item in (TWICE, f"{TWICE}-next"):
        daemon.becomes(item, state="succeeded")


def test_what_is_parked_after_its_provider_was_said_to_be_mended_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    daemon.client.submit({**asking(MEANWHILE, agent=MEANWHILE), "input": str(mended)})
    eventually((tmp_path / "mended.refused").exists, PATIENCE)
    assert daemon.run("providers", "check", MEANWHILE).returncode == 0
    mended.touch()
    daemon.becomes(MEANWHILE, state="succeeded")
    assert [each["data"]["reason"] for each in daemon.events("work.parked", MEANWHILE)] == ["provider"]


def test_a_fault_that_others_are_spared_is_a_failure_of_the_item_s_own(daemon: Daemon, sim: Simulation) -> None:
    daemon.client.submit({**asking(OWN, agent=OWN), "max_attempts": 1})
    sim.wait(lambda attempts: OWN in {each.key for each in attempts})
    daemon.client.submit(asking("meanwhile", agent=OWN))
    assert daemon.settled("meanwhile")["state"] == "succeeded"
    sim.release(OWN)
    item = daemon.settled(OWN)
    assert (item["state"], item["failures"], item["delays"]) == ("dead", 1, 0)
    assert item["error"]["kind"] == "truncated_stream"


def test_no_client_tries_anything_again_by_itself(daemon: Daemon, sim: Simulation) -> None:
    counts = [
        each.headers.get("x-stainless-retry-count")
        for each in sim.attempts()
        if each.listener == "anthropic" and each.method == "POST"
    ]
    assert set(counts) == {"0"}
