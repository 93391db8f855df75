"""What can be seen of a running daemon and is counted nowhere: gauges and heartbeats."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darumad.agents.providers.breaker import Permit
from darumad.names import Seconds
from darumad.settings import AgentSettings
from darumad.settings import Daemon as DaemonSettings
from darumad.supervision import Event
from tests.daemon.serving import Serving, served, settings
from tests.kit import eventually
from tests.kit.waking import wake

SLOW = Path(__file__).parent / "templates" / "until_released.py"


@pytest.fixture
def daemon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    agents = {"slow": AgentSettings(template=str(SLOW), isolation="none")}
    often = DaemonSettings(drain_timeout=Seconds(0.0), heartbeat=Seconds(0.05))
    with served(settings(home, agents=agents, daemon=often), monkeypatch) as running:
        wake(running.client, "slow", "echo")
        yield running


def _values(daemon: Serving) -> dict[str, float]:
    page = daemon.client.text("metrics")
    return {name: float(value) for name, value in re.findall(r"^(daruma_\S+) (\S+)$", page, re.MULTILINE)}


def test_what_only_the_daemon_knows_is_on_the_metrics_page(daemon: Serving) -> None:
    values = _values(daemon)
    assert values["daruma_abandoned_threads"] == 0
    assert values["daruma_bridge_abandoned_tasks"] == 0
    assert values["daruma_log_lines_dropped_total"] == 0
    assert values["daruma_journal_bytes"] > 4096


def test_what_every_program_in_python_tells_of_itself_is_on_the_page_too(daemon: Serving) -> None:
    page = daemon.client.text("metrics")
    assert "\nprocess_resident_memory_bytes " in page
    assert "\nprocess_open_fds " in page
    assert "\npython_info{" in page


def test_lives_that_followed_another_and_supervisors_that_gave_up_are_counted(daemon: Serving) -> None:
    before = _values(daemon)
    assert (before["daruma_supervisor_restarts_total"], before["daruma_supervisor_escalations_total"]) == (0, 0)
    first, _ = daemon.client.call("agents show", name="slow")["instances"]
    daemon.client.call("agents restart", {}, name=first["path"])
    eventually(lambda: _values(daemon)["daruma_supervisor_restarts_total"] == 1)
    daemon.kernel.signals.publish(Event("supervisor.intensity_exceeded", 0.0, "daruma/engine", 1))
    assert _values(daemon)["daruma_supervisor_escalations_total"] == 1


def test_a_circuit_shows_how_it_stands(daemon: Serving) -> None:
    standing = daemon.minds.broker._standing
    standing.ended(("anthropic", "opus"), Permit(probe=False), None)
    for _ in range(3):
        standing.ended(("ollama", "llama"), Permit(probe=False), "server_error")
    standing.ended(("anthropic", "haiku"), Permit(probe=False), "auth")
    shown = {name: value for name, value in _values(daemon).items() if name.startswith("daruma_circuit_state")}
    assert shown == {
        'daruma_circuit_state{model="opus",provider="anthropic"}': 0,
        'daruma_circuit_state{model="llama",provider="ollama"}': 2,
        'daruma_circuit_state{model="haiku",provider="anthropic"}': 3,
    }


def test_an_instance_shows_when_it_last_made_progress_while_it_works(daemon: Serving, home: Path) -> None:
    named = 'daruma_agent_progress_age_seconds{agent="slow"}'
    assert _values(daemon)[named] == 0
    _begin(daemon, home)
    (busy,) = _busy(daemon)
    assert (busy["state"], busy["last_progress_at"] > 0) == ("busy", True)
    assert 0 <= _values(daemon)[named] < 5, "it makes progress all the time"
    idle = daemon.client.call("agents show", name="echo")["instances"][0]
    assert idle["last_progress_at"] is None


def test_an_agent_gives_a_sign_of_life_at_once_and_then_again_and_again(daemon: Serving, home: Path) -> None:
    heard: list[Any] = []
    daemon.kernel.signals.subscribe(heard.append)
    beats = lambda: [each for each in heard if each.name == "agent.heartbeat"]  # noqa: E731 - a name for one question
    eventually(lambda: len({each.path for each in beats()}) == len(daemon.client.call("agents list")["items"]))
    _begin(daemon, home)
    at_work = lambda: [each for each in beats() if (each.data["agent"], each.data["item"]) == ("slow", "one")]  # noqa: E731
    eventually(at_work)
    working = at_work()[0]
    assert working.data["stage"] == "executing"
    assert 0 <= float(str(working.data["idle"])) < 5
    path = working.path
    daemon.client.call("agents restart", {}, name=path)
    eventually(lambda: any((each.path, each.incarnation) == (path, 2) for each in beats()))
    last = [each.incarnation for each in beats() if each.path == path]
    assert last == sorted(last), "a life that is over gives none"
    restarted = lambda: [each["data"]["reason"] for each in daemon.client.events(type="agent.restarted")]  # noqa: E731
    eventually(lambda: restarted() == ["requested"])


def _begin(daemon: Serving, home: Path) -> None:
    """One item, seen in the hands of the slow agent."""
    daemon.client.submit({"id": "one", "description": "Take your time", "agent": "slow", "input": str(home / "go")})
    eventually(lambda: _busy(daemon))


def _busy(daemon: Serving) -> list[dict[str, Any]]:
    return [each for each in daemon.client.call("agents show", name="slow")["instances"] if each["in_flight"]]
