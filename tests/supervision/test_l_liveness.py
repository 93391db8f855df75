"""L: liveness and fencing, on real time."""

import sys
import threading
import time
from pathlib import Path

import pytest

from darumad.supervision import Actor, ActorDeadError, ChildSpec, Liveness
from darumad.supervision.mailbox import Mailbox
from tests.kit import eventually, pause
from tests.supervision.conftest import SWITCHING

LIVELY = Liveness(0.2)
MAILBOX = sys.modules[Mailbox.__module__].__file__


class Scribe(Actor):
    """Appends its incarnation to a file, as the first act of every message: what a life did can be counted outside."""

    def __init__(self, book: Path) -> None:
        super().__init__()
        self.book = book

    def on_receive(self, message: object) -> object:
        with self.book.open("a") as book:
            book.write(f"{self.incarnation}\n")
        if isinstance(message, threading.Event):
            message.wait(60)
        return message


@pytest.fixture
def book(tmp_path) -> Path:
    found = tmp_path / "book"
    found.touch()
    return found


def written(book: Path) -> list[int]:
    return [int(line) for line in book.read_text().split()]


def scribe(book: Path, **rest) -> ChildSpec:
    return ChildSpec("a", lambda: Scribe.start(book), **rest)


def test_l1_a_stuck_actor_is_convicted_and_replaced(house, book, wake) -> None:
    root = house.start(scribe(book, liveness=LIVELY), house.spec("b"), intensity=1)
    begun = time.monotonic()
    old = root.which_children()[0].ref
    old.tell(wake)
    said = house.bus.until("child.unresponsive", "root/a")
    assert time.monotonic() - begun >= 0.2
    assert said.data["seconds"] >= 0.2
    assert "message.wait(60)" in said.data["stack"]
    house.up("root/a", 2)
    assert [n for n, path, _ in house.bus.names() if path == "root/a"][2:6] == [
        "child.unresponsive",
        "child.abandoned",
        "child.exited",
        "child.starting",
    ]
    assert root.leaked == 1
    assert not old.is_alive()
    assert root.address("a").ask("next", within=5) == "next"
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert written(book) == [1, 2]
    root.address("b").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "the conviction was the one restart that was free"


@pytest.mark.real_clock
def test_l1_with_a_deadline_of_a_second_it_takes_little_more(house) -> None:
    for _ in range(3):
        free, told = threading.Event(), {}
        house.opened.append(free)
        house.bus.events.clear()
        root = house.start(house.spec("a", liveness=Liveness(1.0)))
        begun = time.monotonic()
        root.address("a").tell(("block", free))
        house.bus.until("child.unresponsive", "root/a")
        told["convicted"] = time.monotonic() - begun
        house.up("root/a", 2)
        told["replaced"] = time.monotonic() - begun - told["convicted"]
        free.set()
        root.stop()
        assert told["convicted"] >= 1.0
        if told["convicted"] <= 1.5 and told["replaced"] < 0.5:
            return
    raise AssertionError(f"three times too slow, at last {told}")


@pytest.mark.real_clock
@pytest.mark.usefixtures("beside_a_spinner")
def test_l1_beside_a_busy_thread_the_stuck_is_found_in_time_and_the_slow_is_left_alone(house, wake) -> None:
    root = house.start(house.spec("stuck", liveness=Liveness(1.0)), house.spec("slow", liveness=Liveness(1.0)))
    slow = root.address("slow")
    begun = time.monotonic()
    root.address("stuck").tell(("block", wake))
    while not house.bus.named("child.unresponsive"):
        assert slow.ask(lambda actor: pause(0.3), within=20) is None
        assert time.monotonic() - begun < 3.0, "three times the deadline"
    for _ in range(3):
        slow.ask(lambda actor: pause(0.3), within=20)
    assert [e.path for e in house.bus.named("child.unresponsive")] == ["root/stuck"]
    assert slow.incarnation == 1


def test_l1_one_that_never_slept_is_found_stuck_in_its_first_message(house, wake) -> None:
    # It has no moment of waking at which it could begin to be looked at.
    blocks = {"on_start": lambda actor: actor.incarnation == 1 and actor.actor_ref.tell(("block", wake))}
    house.start(house.spec("a", liveness=Liveness(0.1), probe=blocks))
    house.up("root/a", 2)
    assert house.bus.named("child.unresponsive", "root/a")


def test_l1_one_that_slept_longer_than_its_deadline_is_not_blamed_for_that(house) -> None:
    root = house.start(house.spec("a", liveness=Liveness(0.1)))
    for _ in range(3):
        pause(0.2)
        assert root.address("a").ask("who", within=5) == ("a", 1)
    assert house.bus.named("child.unresponsive") == []


def test_l1_an_actor_that_waits_or_is_busy_with_short_messages_is_left_alone(house) -> None:
    root = house.start(house.spec("a", liveness=Liveness(0.1)))
    address, until = root.address("a"), time.monotonic() + 0.4
    while time.monotonic() < until:
        assert address.ask("who", within=5) == ("a", 1)
    pause(0.3)
    assert house.bus.named("child.unresponsive") == []


def test_l1_a_slow_start_and_a_slow_stop_are_not_liveness_matters(house) -> None:
    slow = {"on_start": lambda _: pause(0.2), "on_stop": lambda _: pause(0.2)}
    root = house.start(house.spec("a", liveness=Liveness(0.05), probe=slow))
    root.stop()
    assert house.bus.named("child.unresponsive") == []
    assert house.bus.until("child.exited").data["reason"].kind == "shutdown"


@SWITCHING
def test_l3_the_old_thread_runs_nothing_more(house, book, wake, switching) -> None:
    root = house.start(scribe(book, liveness=LIVELY))
    ref = root.which_children()[0].ref
    ref.tell(wake)
    for n in range(2, 7):
        ref.tell(n)
    house.up("root/a", 2)
    at_abandonment = written(book)
    assert len(house.bus.named("dead_letter")) == 5, "told when it was abandoned, however long its thread sleeps"
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert at_abandonment == written(book) == [1]
    assert len(house.bus.named("dead_letter")) == 5
    assert {e.incarnation for e in house.bus.named("dead_letter")} == {1}


@SWITCHING
def test_l3_a_life_killed_among_many_messages_begins_none_after_it(house, book, switching) -> None:
    root = house.start(scribe(book, shutdown="brutal", mailbox=100_000))
    for incarnation in range(1, 11):
        ref = root.which_children()[0].ref
        for n in range(50):
            ref.tell(n)
        root.terminate_child("a")
        root.restart_child("a")
        before = written(book).count(incarnation)
        eventually(lambda: root.leaked == 0)
        assert written(book).count(incarnation) - before <= 1, "at most the message in hand ended after the fence"
    letters, handled = len(house.bus.named("dead_letter")), len(written(book))
    assert letters + handled == 500, "each message was handled or is a dead letter"


def test_l3_a_message_that_is_taken_while_the_fence_falls_is_not_begun(house, book) -> None:
    def fence_at_the_take(frame, event, arg):
        if frame.f_code.co_filename != MAILBOX:
            return None
        if event == "return" and getattr(arg, "message", None) == "taken":
            stopper = threading.Thread(target=root.terminate_child, args=("a",))
            stopper.start()
            stopper.join(10)
        return fence_at_the_take

    class Traced(Scribe):
        def on_start(self) -> None:
            sys.settrace(fence_at_the_take)

    root = house.start(ChildSpec("a", lambda: Traced.start(book), shutdown="brutal"))
    root.which_children()[0].ref.tell("taken")
    assert house.bus.until("child.exited").data["reason"].kind == "killed"
    eventually(lambda: root.leaked == 0)
    assert written(book) == []
    assert len(house.bus.named("dead_letter")) == 1


def test_l4_who_waits_for_a_stuck_actor_is_told(house, book, wake) -> None:
    root = house.start(scribe(book, liveness=LIVELY), intensity=100)
    delays = []
    for nth in range(1, 4):
        free = threading.Event()
        house.opened.append(free)
        with pytest.raises(ActorDeadError):
            root.which_children()[0].ref.ask(free, timeout=60)
        ended = time.monotonic()
        abandoned = house.bus.until("child.abandoned", times=nth)
        delays.append(ended - heard_at(house, abandoned))
        house.up("root/a", nth + 1)
        free.set()
        eventually(lambda: root.leaked == 0)
    assert min(delays) < 0.1
    assert written(book) == [1, 2, 3], "the late answers harmed nobody"
    assert root.address("a").ask("still there", within=5) == "still there"


def heard_at(house, event) -> float:
    """When the bus heard an event, in the machine's monotonic seconds."""
    return house.bus.heard_at[house.bus.events.index(event)]


def test_what_a_fenced_thread_sends_is_dropped(house, wake) -> None:
    root = house.start(house.spec("a", liveness=LIVELY), house.spec("b"))
    b, refusals = root.address("b"), []

    def late(actor) -> None:
        wake.wait(60)
        ref = root.which_children()[1].ref if refusals else holder[0]
        b.tell("late")
        ref.tell("late")
        actor.report(ValueError("late"))
        for send in (ref.ask, lambda m: b.ask(m, within=5)):
            try:
                send("late")
            except ActorDeadError as refused:
                refusals.append(refused)

    holder = [root.which_children()[1].ref]
    root.address("a").tell(late)
    house.up("root/a", 2)
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert {e.incarnation for e in house.bus.named("stale.dropped", "root/a")} == {1}
    assert len(house.bus.named("stale.dropped", "root/a")) == 5
    assert len(refusals) == 2
    b.ask("who", within=5)
    assert house.whats("late") == []


def test_abandoning_a_supervisor_fences_its_subtree(house, wake) -> None:
    inner = house.spec("a", shutdown=60.0)
    nested = ChildSpec("s", house.nested("s", house.spec("z"), inner).start, type="supervisor", shutdown=0.1)
    root = house.start(nested)
    ref = root.which_children()[0].ref
    z, a = (info.ref for info in ref.which_children())
    a.tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    root.terminate_child("s")
    exits = {e.path: e.data["reason"].kind for e in house.bus.named("child.exited")}
    assert exits == dict.fromkeys(["root/s", "root/s/a", "root/s/z"], "abandoned")
    for lost in (a, z, ref):
        assert not lost.is_alive()
        with pytest.raises(ActorDeadError):
            lost.tell("x")
    assert root.restart_child("s").which_children()[1].incarnation == 2
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("stop") == []


def test_healthy_children_of_an_abandoned_supervisor_are_no_leak(house, wake) -> None:
    inner = [house.spec(f"c{n}") for n in range(10)]
    stuck = house.spec("stuck", shutdown=60.0)
    nested = ChildSpec("s", house.nested("s", *inner, stuck).start, type="supervisor", shutdown=0.05)
    root = house.start(nested, leak_cap=3)
    root.which_children()[0].ref.address("stuck").tell(("block", wake))
    eventually(lambda: ("blocked", "stuck", 1) in house.log)
    root.terminate_child("s")
    eventually(lambda: root.leaked == 1)
    assert root.restart_child("s").count_children()["active"] == 11
    assert house.bus.named("supervisor.leak_cap") == []


def test_l9_too_many_abandoned_threads_end_the_root(house, wake) -> None:
    root = house.start(house.spec("a", liveness=Liveness(0.05)), leak_cap=3)
    for n in range(3):
        house.up("root/a", n + 1)
        assert root.is_alive()
        root.address("a").tell(("block", wake))
    assert root.wait(20).kind == "shutdown"
    assert house.bus.until("supervisor.leak_cap", "root").data["count"] == 3
    assert root.leaked == 3


def test_the_tree_is_read_without_asking_anyone(house, wake) -> None:
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


@pytest.mark.real_clock
def test_a_prober_that_was_late_itself_convicts_nobody(house, wake) -> None:
    # One long call into C holds the interpreter, and with it the prober: nobody may be blamed for that time.
    root = house.start(house.spec("a", liveness=Liveness(0.3)))
    root.address("a").tell(lambda actor: pause(0.15))
    hold_the_interpreter(0.5)
    root.address("a").ask("who", within=10)
    house.bus.until("pause.detected", "root")
    assert house.bus.named("child.unresponsive") == []


def hold_the_interpreter(seconds: float) -> None:
    """Compute in one bytecode that gives no other thread a turn, for at least so long."""
    until, size = time.monotonic() + seconds, 200_000
    while True:
        begun = time.monotonic()
        pow(3, size)
        if time.monotonic() - begun >= seconds:
            return
        if time.monotonic() > until + 20:
            raise AssertionError("this machine is too quick")
        size *= 2


def test_a_process_may_have_many_roots(house) -> None:
    one, two = house.start(house.spec("a"), name="one"), house.start(house.spec("a"), name="two")
    one.address("a").tell(ValueError())
    house.up("one/a", 2)
    assert house.states(two) == [("a", "up", 1)]
