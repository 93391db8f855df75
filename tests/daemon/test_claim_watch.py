"""Work that could be done beside slots that stand idle turns the daemon red; work that is held back does not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from darumad.actors import Orchestrator
from darumad.agents.providers import Lets
from darumad.daemon import housekeeping
from darumad.daemon.claim_watch import LOOKS
from darumad.settings import AgentSettings, LaneSettings
from tests.daemon.serving import Serving, served, settings
from tests.kit import eventually
from tests.kit.waking import wake

TEMPLATES = Path(__file__).parent / "templates"
HOUR = 3600.0
SLOTS, ENOUGH = 11, LOOKS + 3
RED = {"claims": "nothing is claimed, though items of echo are ready for executing and a slot for it is idle"}
ECHO = {"description": "Say hello", "agent": "echo", "stages": ["execute"]}


@pytest.fixture
def daemon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    lanes = {"shut": LaneSettings(paused=True), "narrow": LaneSettings(max_running=1)}
    agents = {"held": AgentSettings(template=str(TEMPLATES / "until_released.py"), isolation="none")}
    monkeypatch.setattr(housekeeping, "TICK", HOUR)  # the looks are counted: none but the test's
    with served(settings(home, lanes=lanes, agents=agents), monkeypatch) as serving:
        wake(serving.client, "echo", "held")
        assert len(serving.minds.bridge.idle()) == SLOTS
        yield serving


@contextmanager
def nothing_claimed() -> Iterator[None]:
    """An orchestrator that does all that it does but claim: it answers, and nothing of it is late."""
    with pytest.MonkeyPatch.context() as defect:
        defect.setattr(Orchestrator, "_claim", lambda _: None)
        yield


def look(daemon: Serving, times: int = ENOUGH) -> dict[str, bool | str]:
    """What is not green after so many looks; what each asks is answered before the next."""
    assert daemon.signs is not None
    watch = daemon.signs.claims
    for _ in range(times):
        watch.look()
        eventually(lambda: watch._answer is not None)
    return daemon.health()


def test_an_orchestrator_that_answers_and_claims_nothing_is_red_until_it_does(daemon: Serving) -> None:
    with nothing_claimed():
        daemon.client.submit({**ECHO, "id": "one"})
        assert look(daemon, LOOKS) == {}
        assert look(daemon) == RED
        assert not daemon.client.call("health")["live"]
        eventually(lambda: "daemon.degraded" in [each["type"] for each in daemon.client.events()])
    daemon.engine.hint()
    assert daemon.client.wait("one", within=20.0)["state"] == "succeeded"
    assert look(daemon, 2) == {}


def _paused(daemon: Serving) -> None:
    daemon.client.call("pause", {})


def _circuit_open(daemon: Serving) -> None:
    daemon.minds.broker.lets = lambda _: (Lets.NONE, "near")


def _half_open(daemon: Serving) -> None:
    daemon.minds.broker.lets = lambda _: (Lets.ONE, "near")


def _no_room(daemon: Serving) -> None:
    daemon.kernel.journal.no_room = lambda: "the disk is full"


def _draining(daemon: Serving) -> None:
    daemon.client.call("drain", {})


@pytest.mark.parametrize("held_back", [_paused, _draining, _circuit_open, _half_open, _no_room])
def test_what_is_held_back_on_purpose_is_nobodys_standstill(
    daemon: Serving, held_back: Callable[[Serving], None]
) -> None:
    with nothing_claimed():
        daemon.client.submit({**ECHO, "id": "one"})
        held_back(daemon)
        look(daemon, 2)  # what the orchestrator said before that is over
        assert look(daemon) == {}


def test_an_item_whose_lane_lets_nobody_in_is_nobodys_standstill(daemon: Serving) -> None:
    parked = daemon.client.submit({**ECHO, "id": "first", "agent": "executor", "lane": "narrow", "challenge": False})
    assert daemon.client.wait(parked["id"], within=20.0)["state"] == "parked"
    with nothing_claimed():
        for lane in ("shut", "narrow"):
            daemon.client.submit({**ECHO, "id": lane, "lane": lane})
        assert look(daemon) == {}
    assert daemon.kernel.journal.reader().ready() != []


def test_items_whose_slots_all_work_are_nobodys_standstill(daemon: Serving, home: Path) -> None:
    held: dict[str, Any] = {**ECHO, "agent": "held", "input": str(home / "go")}
    for name in ("one", "two", "three"):
        daemon.client.submit({**held, "id": name})
    eventually(lambda: len(daemon.minds.bridge.idle()) == SLOTS - 2)
    assert look(daemon) == {}
    (home / "go").touch()
    assert daemon.client.wait("three", within=20.0)["state"] == "succeeded"
