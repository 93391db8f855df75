"""L: liveness and fencing, on real time."""

import threading
import time

import pytest

from darumad.supervision import ActorDeadError, ChildSpec, Liveness, Supervisor
from tests.kit import Probe, eventually

LIVELY = Liveness(0.2)


@pytest.fixture
def wake(house):
    event = threading.Event()
    house.opened.append(event)
    return event


def test_l1_a_stuck_actor_is_convicted_and_replaced(house, wake) -> None:
    root = house.start(house.spec("a", liveness=LIVELY), house.spec("b"), intensity=1)
    begun = time.monotonic()
    root.address("a").tell(("block", wake))
    said = house.bus.until("child.unresponsive", "root/a")
    assert time.monotonic() - begun >= 0.2
    assert "event.wait(60)" in said.data["stack"]
    house.up("root/a", 2)
    assert [n for n, path, _ in house.bus.names() if path == "root/a"][2:6] == [
        "child.unresponsive",
        "child.abandoned",
        "child.exited",
        "child.starting",
    ]
    assert root.leaked == 1
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "the conviction was the one restart that was free"


def test_l1_an_actor_that_waits_or_is_busy_with_short_messages_is_left_alone(house) -> None:
    root = house.start(house.spec("a", liveness=Liveness(0.1)))
    address, until = root.address("a"), time.monotonic() + 0.4
    while time.monotonic() < until:
        assert address.ask("who", within=5) == ("a", 1)
    threading.Event().wait(0.3)
    assert house.bus.named("child.unresponsive") == []


def test_l3_the_old_thread_runs_nothing_more(house, wake) -> None:
    root = house.start(house.spec("a", liveness=LIVELY))
    ref = root.which_children()[0].ref
    ref.tell(("block", wake))
    for n in range(2, 7):
        ref.tell(n)
    house.up("root/a", 2)
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert len(house.bus.named("dead_letter")) == 5
    assert not [what for what, *_ in house.log if isinstance(what, int)]
    assert house.whats("stop", "failure") == []


def test_l4_who_waits_for_a_stuck_actor_is_told(house, wake) -> None:
    root = house.start(house.spec("a", liveness=LIVELY))
    begun = time.monotonic()
    with pytest.raises(ActorDeadError):
        root.which_children()[0].ref.ask(("block", wake), timeout=60)
    assert time.monotonic() - begun < 10
    wake.set()
    eventually(lambda: root.leaked == 0)


def test_l_what_a_fenced_thread_sends_is_dropped(house, wake) -> None:
    root = house.start(house.spec("a", liveness=LIVELY), house.spec("b"))
    b = root.address("b")

    def late(actor) -> None:
        wake.wait(60)
        b.tell("late")
        root.which_children()[1].ref.tell("late")

    root.address("a").tell(late)
    house.up("root/a", 2)
    wake.set()
    house.bus.until("stale.dropped", "root/a")
    eventually(lambda: root.leaked == 0)
    b.ask("who", within=5)
    assert house.whats("late") == []


def test_l_abandoning_a_supervisor_fences_its_subtree(house, wake) -> None:
    inner = house.spec("a", shutdown=60.0)
    nested = ChildSpec("s", house.nested("s", house.spec("z"), inner).start, type="supervisor", shutdown=0.1)
    root = house.start(nested)
    ref = root.which_children()[0].ref
    a, z = ref.which_children()[1].ref, ref.which_children()[0].ref
    a.tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    root.terminate_child("s")
    assert house.bus.until("child.exited", "root/s").data["reason"].kind == "abandoned"
    for lost in (a, z):
        with pytest.raises(ActorDeadError):
            lost.tell("x")
    wake.set()
    eventually(lambda: root.leaked == 0)


def test_l9_too_many_abandoned_threads_end_the_root(house, wake) -> None:
    root = house.start(house.spec("a", liveness=Liveness(0.05)), leak_cap=3)
    for n in range(3):
        house.up("root/a", n + 1)
        root.address("a").tell(("block", wake))
    assert root.wait(20).kind == "shutdown"
    assert house.bus.until("supervisor.leak_cap", "root").data["count"] == 3
    assert root.leaked == 3


def test_l_the_tree_is_read_without_asking_anyone(house, wake) -> None:
    root = house.start(house.nested("s", house.spec("a"), house.spec("b")))
    root.tree()[2].ref.tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    rows = root.tree()
    assert [(r.path, r.parent, r.state, r.incarnation, r.type) for r in rows] == [
        ("root", None, "up", 1, "supervisor"),
        ("root/s", "root", "up", 1, "supervisor"),
        ("root/s/a", "root/s", "up", 1, "worker"),
        ("root/s/b", "root/s", "up", 1, "worker"),
    ]
    assert all(r.thread.daemon for r in rows)
    wake.set()


def test_a_process_may_have_many_roots(house) -> None:
    one, two = house.start(house.spec("a"), name="one"), house.start(house.spec("a"), name="two")
    one.address("a").tell(ValueError())
    house.up("one/a", 2)
    assert two.which_children()[0].incarnation == 1
    assert isinstance(Supervisor, type)
    assert Probe
