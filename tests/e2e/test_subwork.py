"""The installed daemon and sub-work: it ends with its parent, and what runs of it stops."""

from collections.abc import Callable, Iterator

import pytest

from darumad.sim import Fault, Rule, Simulation, When
from tests.kit.daemon import PATIENCE, Daemon

FAMILY = {"top": None, "child": "top", "grandchild": "child"}


@pytest.fixture
def sim() -> Iterator[Simulation]:
    with Simulation("ollama") as running:
        refused = Fault(name="http_status", code=400)
        running.play(Rule(id="top", when=When(key="top"), gate="top", fault=refused), Rule(id="waits", gate="shut"))
        yield running


@pytest.fixture
def daemon(house: Callable[..., Daemon], sim: Simulation) -> Daemon:
    """At work on an item and two levels of its sub-work; each waits for its model."""
    provider = {"kind": "ollama", "base_url": sim.url("ollama"), "model": "llama3.2", "concurrency": 4}
    running = house(
        {"provider": {"use": "ollama"}, "providers": {"ollama": provider}, "executors": {"count": 4}}
    ).start()
    for name, parent in FAMILY.items():
        below = {} if parent is None else {"parent": parent}
        item = {"id": name, "description": f"[[sim:{name}]] wait", "challenge": False, "stages": ["execute"]}
        running.client.submit({**item, "max_attempts": 1, **below})
    sim.wait(lambda asked: set(FAMILY) <= {each.key for each in asked}, PATIENCE)
    return running


def hung_up(sim: Simulation, count: int) -> None:
    """Returns when so many calls were closed from our side."""
    sim.wait(lambda asked: len([each for each in asked if each.client_disconnected_at]) == count)


def test_who_cancels_a_parent_hears_that_its_sub_work_has_stopped_too(daemon: Daemon, sim: Simulation) -> None:
    said = daemon.run("work", "cancel", "top").stdout.splitlines()
    assert said[0] == "top  cancelled"
    assert sorted(said[1:]) == sorted([f"  cancelled with it: {name}" for name in ("child", "grandchild")]
                                      + [f"  stopped: {name}" for name in FAMILY])  # fmt: skip
    hung_up(sim, len(FAMILY))
    assert {each["state"] for each in daemon.listed()} == {"cancelled"}


def test_what_runs_for_a_parent_that_dies_stops_with_it(daemon: Daemon, sim: Simulation) -> None:
    sim.release("top")
    assert daemon.settled("top")["state"] == "dead"
    hung_up(sim, 2)
    assert {each["id"]: each["state"] for each in daemon.listed()} == {
        "top": "dead",
        "child": "cancelled",
        "grandchild": "cancelled",
    }
    assert daemon.item("grandchild")["cancelled"]["reason"] == "it is sub-work of top, which is dead"
