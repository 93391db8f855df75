"""Health was seen red: each part is held up, is red within its limit, starves the watchdog, and is green again."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from darumad.actors import Beat
from darumad.daemon.housekeeping import PATIENCE
from darumad.daemon.signs import BEAT, Pulse
from darumad.events import DaemonDegraded, DaemonRestored, DaemonResumed
from darumad.journal.requests import Note
from darumad.names import Seconds
from darumad.settings import Bridge
from darumad.values import changed
from tests.daemon.serving import Manager, Serving, served, settings
from tests.kit import FakeClock, eventually

STARVED = 0.6
"""Real seconds, more than two looks of the guardian, in which a red daemon must not say that it is alive."""


@dataclass(frozen=True)
class Watched:
    daemon: Serving
    clock: FakeClock
    manager: Manager


@pytest.fixture
def watched(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    clock, manager = FakeClock(start=1000.0), Manager(home / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(home / "notify"))
    patient = Bridge(dead_after=Seconds(600.0))  # a jump of the clock must not look like a loop that is to be replaced
    with served(settings(home, bridge=patient), monkeypatch, clock) as daemon:
        manager.until("READY=1")
        yield Watched(daemon, clock, manager)
    manager.close()


class Wedge:
    """A call that does not return until it is let go."""

    def __init__(self) -> None:
        self._held, self._go = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> None:
        self._held.set()
        self._go.wait(60)

    def holds(self) -> None:
        assert self._held.wait(10)

    def release(self) -> None:
        self._go.set()


@pytest.fixture
def wedge(watched: Watched) -> Iterator[Wedge]:
    wedge = Wedge()
    yield wedge
    wedge.release()


def told_of(daemon: Serving) -> list[tuple[str, str]]:
    """Which parts were told to have turned red, and green again."""
    facts = daemon.kernel.journal.reader().events(0, 500)
    turned = {DaemonDegraded.name, DaemonRestored.name}
    return [(each.type, each.data["part"]) for each in facts if each.type in turned]


def _hold_root(daemon: Serving, wedge: Wedge) -> None:
    daemon.engine.root.echo(wedge)


def _hold_orchestrator(daemon: Serving, wedge: Wedge) -> None:
    daemon.engine.tell(Beat(wedge))


def _hold_loop(daemon: Serving, wedge: Wedge) -> None:
    daemon.kernel.loops.post(wedge)


def _hold_writer(daemon: Serving, wedge: Wedge) -> None:
    daemon.kernel.journal.post(Note(facts=()), wedge)


def _hold_publisher(daemon: Serving, wedge: Wedge) -> None:
    daemon.kernel.publisher.subscribe(wedge)
    daemon.kernel.note(DaemonResumed("daemon", "a test"))


def _hold_control(daemon: Serving, wedge: Wedge) -> None:
    assert daemon.signs is not None
    assert daemon.signs.server is not None
    daemon.signs.server._loop.call_soon_threadsafe(wedge)


def _hold_housekeeping(daemon: Serving, wedge: Wedge) -> None:
    assert daemon.signs is not None
    assert daemon.signs.keeping is not None
    daemon.signs.keeping._ports = changed(daemon.signs.keeping._ports, look_at_the_claims=wedge)


@pytest.mark.parametrize(
    ("part", "hold", "limit"),
    [
        pytest.param("actors", _hold_root, 10.0, id="root"),
        pytest.param("actors", _hold_orchestrator, 10.0, id="orchestrator"),
        pytest.param("bridge", _hold_loop, 1.0, id="loop"),
        pytest.param("writer", _hold_writer, 10.0, id="writer"),
        pytest.param("publisher", _hold_publisher, 10.0, id="publisher"),
        pytest.param("control", _hold_control, 1.0, id="control"),
        pytest.param("housekeeping", _hold_housekeeping, PATIENCE, id="housekeeping"),
    ],
)
def test_a_part_that_is_held_up_is_red_starves_the_watchdog_and_is_green_again(
    watched: Watched, wedge: Wedge, part: str, hold: Callable[[Serving, Wedge], None], limit: float
) -> None:
    daemon = watched.daemon
    assert daemon.health() == {}
    assert watched.manager.hears("WATCHDOG=1", within=10.0)
    hold(daemon, wedge)
    wedge.holds()
    watched.clock.jump(BEAT)
    daemon.health()  # the first look since: from here on its beat is missed
    watched.clock.jump(limit + 2.0)
    eventually(lambda: set(daemon.health()) == {part})
    assert not watched.manager.hears("WATCHDOG=1", within=STARVED)
    wedge.release()
    eventually(lambda: daemon.health() == {})
    assert watched.manager.hears("WATCHDOG=1", within=10.0)
    eventually(lambda: told_of(daemon) == [("daemon.degraded", part), ("daemon.restored", part)])


def test_what_is_red_is_told_over_the_socket_with_its_reason(watched: Watched, wedge: Wedge) -> None:
    _hold_loop(watched.daemon, wedge)
    wedge.holds()
    watched.clock.jump(3.0)
    eventually(lambda: not watched.daemon.client.call("health")["live"])
    signs = watched.daemon.client.call("health")["vital_signs"]
    assert signs["bridge"] == "the agents' loop is 2.8 s late"
    eventually(lambda: "bridge.stalled" in [each["type"] for each in watched.daemon.client.events()])
    wedge.release()
    eventually(lambda: watched.daemon.client.call("health")["live"])


def test_a_beat_that_was_lost_with_its_life_is_followed_by_another() -> None:
    clock, sent = FakeClock(), list[Callable[[], None]]()
    pulse = Pulse(clock, sent.append)
    assert pulse.late() == 0.0
    clock.jump(5.0)
    assert pulse.late() == 4.75
    assert len(sent) == 2
    sent[1]()  # the first was lost; the second came back
    clock.jump(0.1)
    assert pulse.late() == 0.0


def test_beats_are_not_sent_faster_than_they_are_looked_for() -> None:
    clock, sent = FakeClock(), list[Callable[[], None]]()
    pulse = Pulse(clock, sent.append)
    for _ in range(10):
        pulse.late()
        sent[-1]()
    assert len(sent) == 1
