"""The loop that all agents share is held up: it is told, the loop is replaced, and nobody loses more than a moment."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from darumad.bridge import Loops
from darumad.daemon.loop_watch import LoopWatch
from darumad.events import BridgeStalled, Fact
from darumad.names import Seconds
from darumad.settings import AgentSettings, Bridge, Settings
from tests.daemon.serving import PATIENCE, Serving, served, settings
from tests.kit import FakeClock, eventually

TEMPLATES = Path(__file__).parent / "templates"
IMPATIENT = Bridge(stalled_after=Seconds(0.2), dead_after=Seconds(0.5))


@pytest.fixture
def daemon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    agents = {
        name: AgentSettings(template=str(TEMPLATES / f"{template}.py"), isolation="none")
        for name, template in {
            "sleeps": "sleeps_on_the_loop",
            "slow": "until_released",
            "holds": "holds_the_loop",
            "leaves": "leaves_a_callback",
        }.items()
    }
    with served(settings(home, bridge=IMPATIENT, agents=agents), monkeypatch) as daemon:
        yield daemon


def test_l7_a_template_that_sleeps_on_the_loop_costs_its_neighbours_a_moment(daemon: Serving, home: Path) -> None:
    heard: list[Any] = []
    daemon.kernel.signals.subscribe(heard.append)
    _submit(daemon, "neighbour", "slow", home / "go")
    eventually(lambda: daemon.client.call("work show", id="neighbour")["stage"] == "executing")
    _submit(daemon, "sleeper", "sleeps", home / "begun")

    eventually(lambda: _told(daemon, "bridge.replaced"))
    (stalled,), (replaced,) = _told(daemon, "bridge.stalled"), _told(daemon, "bridge.replaced")
    assert "time.sleep(SECONDS)" in stalled["data"]["stack"]
    assert stalled["data"]["late_ms"] < 3000, "told while it was held, not when it came back"
    assert replaced["data"]["interrupted"] == 2
    assert replaced["data"]["held_ms"] >= 500
    (home / "go").touch()
    for name in ("sleeper", "neighbour"):
        assert daemon.client.wait(name, within=20.0)["state"] == "succeeded", "a new loop takes new work"
        record = daemon.client.call("work show", id=name)
        assert (record["attempt"], record["failures"], record["crashes"]) == (1, 0, 0)
    assert daemon.client.call("result", id="sleeper")["text"] == "in time"
    interrupted = _told(daemon, "work.interrupted")
    assert sorted(each["subject"] for each in interrupted) == ["neighbour", "sleeper"], "each of them once"
    assert daemon.health() == {}, "what turns now is what is looked at"

    eventually(lambda: daemon.minds.bridge.health().let_go == 0)
    late = {each.data["item"] for each in heard if each.name == "stale.dropped"}
    assert late == {"neighbour", "sleeper"}
    assert _told(daemon, "agent.error_recorded") == [], "none of it counts against an agent"
    assert daemon.client.call("result", id="sleeper")["text"] == "in time"


def test_who_held_the_loop_is_named_and_those_beside_it_are_not(daemon: Serving, home: Path) -> None:
    _submit(daemon, "neighbour", "slow", home / "go")
    eventually(lambda: daemon.client.call("work show", id="neighbour")["stage"] == "executing")
    _submit(daemon, "holder", "sleeps", home / "begun")
    eventually(lambda: len(_told(daemon, "work.interrupted")) == 2)
    why = {each["subject"]: each["data"]["why"] for each in _told(daemon, "work.interrupted")}
    assert "held the loop" in why["holder"]
    assert "(sleeps_on_the_loop.py:18)" in why["holder"]
    assert why["neighbour"] == "the loop that all agents share was blocked, and was replaced"
    (home / "go").touch()


def test_a_template_that_holds_the_loop_again_is_held_itself_and_the_daemon_goes_on(
    daemon: Serving, home: Path
) -> None:
    for name in ("one", "two"):
        _submit(daemon, name, "holds", home / "mended")
    eventually(lambda: len(_told(daemon, "work.parked")) == 1, PATIENCE)
    eventually(lambda: len(_told(daemon, "bridge.replaced")) == 2, PATIENCE)
    (parked,) = _told(daemon, "work.parked")
    waits = {"one": "two", "two": "one"}[parked["subject"]]
    assert parked["data"]["reason"] == "template"
    eventually(lambda: "held up the loop" in str(daemon.client.call("work show", id=waits).get("waits_for")))
    assert {each["last_error"] for each in _instances(daemon, "holds")} == {"its template is held"}
    daemon.client.submit({"id": "other", "description": "Say it again", "agent": "echo"})
    assert daemon.client.wait("other", within=PATIENCE)["state"] == "succeeded"

    (home / "mended").touch()
    assert daemon.client.call("agents restart", {}, name="holds")["released"] == [parked["subject"]]
    for name in ("one", "two"):
        assert daemon.client.wait(name, within=PATIENCE)["state"] == "succeeded"
    assert {each["last_error"] for each in _instances(daemon, "holds")} == {None}


def test_a_template_whose_callbacks_hold_the_loop_is_held_itself_though_its_items_succeed(
    daemon: Serving, home: Path
) -> None:
    for times, name in enumerate(("one", "two"), 1):
        _submit(daemon, name, "leaves", home / "mended")
        assert daemon.client.wait(name, within=PATIENCE)["state"] == "succeeded"
        eventually(lambda times=times: len(_told(daemon, "bridge.replaced")) == times, PATIENCE)
    _submit(daemon, "three", "leaves", home / "mended")
    eventually(lambda: "held up the loop" in str(daemon.client.call("work show", id="three").get("waits_for")))
    daemon.client.submit({"id": "other", "description": "Say it again", "agent": "echo"})
    assert daemon.client.wait("other", within=PATIENCE)["state"] == "succeeded"
    assert _told(daemon, "work.interrupted") == [], "no item is to blame, and none ran meanwhile"

    (home / "mended").touch()
    daemon.client.call("agents restart", {}, name="leaves")
    assert daemon.client.wait("three", within=PATIENCE)["state"] == "succeeded"


def test_while_the_loop_is_held_nothing_new_is_claimed(daemon: Serving) -> None:
    go = threading.Event()
    daemon.kernel.loops.post(lambda: go.wait(60))
    agents = {
        "documentation",
        "echo",
        "executor",
        "optimizer",
        "orchestrator",
        "reviewer",
        "sleeps",
        "slow",
        "holds",
        "leaves",
    }
    eventually(lambda: daemon.engine._barred().wholly == agents)
    go.set()
    eventually(lambda: not daemon.engine._barred().wholly)


def _submit(daemon: Serving, name: str, agent: str, path: Path) -> None:
    daemon.client.submit({"id": name, "description": "Take your time", "agent": agent, "input": str(path)})


def _instances(daemon: Serving, agent: str) -> list[dict[str, Any]]:
    return daemon.client.call("agents show", name=agent)["instances"]


def _told(daemon: Serving, kind: str) -> list[dict[str, Any]]:
    return [each for each in daemon.client.events() if each["type"] == kind]


# --- the watch alone, on a clock that the test winds ------------------------------------------------------------------


@dataclass
class Kernel:
    """What the watch needs of the error kernel."""

    settings: Settings
    clock: FakeClock
    loops: Loops
    go: threading.Event
    noted: list[Fact] = field(default_factory=list)

    def note(self, fact: Fact) -> None:
        self.noted.append(fact)


class Health:
    """A bridge on which nothing runs."""

    forsaken = let_go = ignoring = replaced = 0

    def replace(self) -> int:
        self.replaced, self.ignoring = self.replaced + 1, 0
        return 3

    def health(self) -> "Health":
        return self


@pytest.fixture
def kernel(home: Path) -> Iterator[Kernel]:
    clock, held, go = FakeClock(), threading.Event(), threading.Event()
    kernel = Kernel(settings(home), clock, Loops(clock), go)
    kernel.loops.start()
    kernel.loops.post(held.set)
    kernel.loops.post(lambda: go.wait(60))
    assert held.wait(10)
    yield kernel
    go.set()
    assert kernel.loops.stop(Seconds(10.0))


def test_l7_a_stall_is_told_after_a_second_once_with_the_stack_and_so_is_its_end(kernel: Kernel) -> None:
    over = list[bool]()
    watch = LoopWatch(kernel, Health(), leaked=lambda: 0, over=lambda: over.append(True), left_behind=print)  # type: ignore[arg-type]
    kernel.clock.jump(1.2)
    assert watch.look() is None
    assert kernel.noted == [], "the pulse itself takes a quarter of a second"
    kernel.clock.jump(0.1)
    assert watch.look() is None
    (told,) = kernel.noted
    assert isinstance(told, BridgeStalled)
    assert told.late_ms == 1050
    assert "test_loop_watch.py" in told.stack
    kernel.clock.jump(0.1)
    assert watch.look() is None
    assert (len(kernel.noted), over) == (1, [])
    kernel.go.set()
    eventually(lambda: kernel.loops.now.late() == 0.0)
    assert watch.look() is None
    assert watch.look() is None
    assert over == [True], "what was not claimed meanwhile is looked for at once"


def test_threads_of_agents_that_never_come_back_are_a_reason_to_go(kernel: Kernel) -> None:
    bridge = Health()
    bridge.forsaken = 64
    watch = LoopWatch(kernel, bridge, leaked=lambda: 0, over=lambda: None, left_behind=print)  # type: ignore[arg-type]
    assert watch.look() == "64 threads of agents were given up and still run"


def test_a_loop_full_of_tasks_that_ignore_their_cancel_is_replaced_and_at_the_third_time_the_process(
    kernel: Kernel,
) -> None:
    bridge = Health()
    watch = LoopWatch(kernel, bridge, leaked=lambda: 0, over=lambda: None, left_behind=print)  # type: ignore[arg-type]
    bridge.ignoring = 31
    assert (watch.look(), bridge.replaced) == (None, 0)
    for times in (1, 2):
        bridge.ignoring = 32
        assert (watch.look(), bridge.replaced) == (None, times)
    bridge.ignoring = 32
    assert watch.look() == "the agents' loop had to be replaced 3 times within 60 minutes"
    assert [each.data() for each in kernel.noted] == [{"held_ms": 0, "ignoring": 32, "interrupted": 3}] * 2


def test_the_threads_of_loops_and_of_actors_are_counted_together_against_the_leak_cap(kernel: Kernel) -> None:
    bridge = Health()
    bridge.let_go = 1
    leaked = [1]
    watch = LoopWatch(kernel, bridge, leaked=lambda: leaked[0], over=lambda: None, left_behind=print)  # type: ignore[arg-type]
    assert watch.look() is None
    leaked[0] = 2
    assert watch.look() == "2 threads of actors and 1 of loops were given up and still run"
