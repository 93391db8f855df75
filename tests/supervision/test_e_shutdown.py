"""E: shutting down."""

import threading
from functools import partial
from itertools import product

import pytest

from darumad.supervision import ChildSpec, ExitReason
from tests.kit import Probe, eventually, fastest, pause, times_a_wait
from tests.supervision.conftest import SWITCHING


def slow_to_stop(seconds: float) -> dict[str, object]:
    def on_stop(actor) -> None:
        pause(seconds)
        actor.note("over")

    return {"on_stop": on_stop}


def test_e1_children_stop_one_after_the_other_in_reverse(house) -> None:
    def attempt() -> float:
        house.log.clear()
        root = house.start(*(house.spec(name, probe=slow_to_stop(0.2)) for name in "abc"))
        took = times_a_wait(3 * 0.2, root.stop)
        assert house.whats("stop", "over") == [(what, name) for name in "cba" for what in ("stop", "over")]
        assert root.wait(0).kind == "shutdown"
        return took

    assert fastest(attempt, enough=7 / 6) < 7 / 6, "what they take, and next to nothing between them"


def test_e2_a_child_that_ignores_the_stop_is_abandoned(house, wake) -> None:
    root = house.start(house.spec("a", shutdown=0.3), house.spec("c"))
    root.address("a").tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    assert times_a_wait(0.3, root.stop) < 10, "the handler blocks for a minute"
    assert [e.name for e in house.bus.events if e.path == "root/a"][-3:] == [
        "child.stop_timeout",
        "child.abandoned",
        "child.exited",
    ]
    assert house.bus.until("child.exited", "root/a").data["reason"].kind == "abandoned"
    assert house.bus.until("child.exited", "root/c").data["reason"].kind == "shutdown"
    assert root.leaked == 1, "the handler blocks for a minute, and was not waited for"
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("stop") == [("stop", "c")], "the abandoned one never comes to its on_stop"


def test_e2_down_in_little_more_than_the_childs_time(house) -> None:
    def attempt() -> float:
        free = threading.Event()
        house.opened.append(free)
        house.log.clear()
        root = house.start(house.spec("a", shutdown=0.3))
        root.address("a").tell(("block", free))
        eventually(lambda: ("blocked", "a", 1) in house.log)
        took = times_a_wait(0.3, root.stop)
        free.set()
        return took

    assert fastest(attempt, enough=2) < 2


def test_e2_a_child_that_comes_back_within_its_time_is_not_abandoned(house) -> None:
    free = threading.Event()
    house.opened.append(free)
    root = house.start(house.spec("a", shutdown=60.0), house.spec("c"))
    root.address("a").tell(("block", free))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    stopper = threading.Thread(target=root.stop)
    stopper.start()
    house.bus.until("child.exited", "root/c")
    free.set()
    stopper.join()
    assert house.bus.until("child.exited", "root/a").data["reason"].kind == "shutdown"
    assert house.bus.named("child.stop_timeout") == []
    assert house.whats("stop") == [("stop", "c"), ("stop", "a")]


def test_e3_a_brutal_stop_waits_for_nothing(house, wake) -> None:
    root = house.start(house.spec("b", shutdown="brutal"), house.spec("stuck", shutdown="brutal"))
    refs = [info.ref for info in root.which_children()]
    refs[1].tell(("block", wake))
    eventually(lambda: ("blocked", "stuck", 1) in house.log)
    assert times_a_wait(0.5, root.stop) < 10, "the handler blocks for a minute"
    eventually(lambda: root.leaked == 1)
    assert {e.data["reason"].kind for e in house.bus.named("child.exited")} == {"killed"}
    assert not any(ref.is_alive() for ref in refs)
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("stop", "failure") == []


def test_e3_a_brutally_stopped_supervisor_takes_all_below_it_along(house) -> None:
    inner = house.nested("s", house.spec("a"), house.nested("t", house.spec("b")))
    root = house.start(ChildSpec("s", inner.start, type="supervisor", shutdown="brutal"))
    below = [row.ref for row in root.tree()[1:]]
    root.terminate_child("s")
    assert not any(ref.is_alive() for ref in below)
    assert [row.path for row in root.tree()] == ["root", "root/s"]
    exits = {e.path: e.data["reason"].kind for e in house.bus.named("child.exited")}
    assert exits == dict.fromkeys(["root/s", "root/s/a", "root/s/t", "root/s/t/b"], "killed")
    assert house.whats("stop") == []


def test_e4_a_nested_tree_stops_in_exact_reverse(house) -> None:
    leaf = slow_to_stop(0.15)
    inner = house.nested("t", house.spec("a", probe=leaf), house.spec("b", probe=leaf))
    root = house.start(house.nested("s", inner, house.spec("c", probe=leaf)), house.spec("d", probe=leaf))
    root.stop()
    assert house.whats("stop", "over") == [(what, name) for name in "dcba" for what in ("stop", "over")]
    begun = [e.path for e in house.bus.named("child.starting")]
    exited = [e.path for e in house.bus.named("child.exited")]
    assert exited == ["root/d", "root/s/c", "root/s/t/b", "root/s/t/a", "root/s/t", "root/s"]
    assert exited == begun[::-1]
    assert house.bus.named("child.abandoned") == []


@SWITCHING
def test_e6_children_that_leave_during_the_stop_are_told_of_once(house, switching) -> None:
    ways = ["normal", "shutdown", ("shutdown", 1), ValueError()]
    combinations = list(product(["permanent", "transient", "temporary"], ways))
    specs = [house.spec(f"c{n}", restart=restart) for n, (restart, _) in enumerate(combinations)]
    root = house.start(*specs, house.spec("slow", probe={"on_stop": lambda _: pause(0.2)}))
    refs = [info.ref for info in root.which_children()][:-1]
    stopper = threading.Thread(target=root.stop)
    stopper.start()
    eventually(lambda: ("stop", "slow", 1) in house.log)
    for ref, (_, way) in zip(refs, combinations, strict=True):
        ref.tell(("exit", way))
    stopper.join()
    assert root.wait(0).kind == "shutdown"
    exited = [e.path for e in house.bus.named("child.exited")]
    assert len(exited) == len(set(exited)) == 13
    assert len(house.bus.named("child.starting")) == 13, "none was restarted"


@SWITCHING
def test_e8_stop_may_come_twice_at_once_and_again(house, switching) -> None:
    root = house.start(house.spec("a", probe={"on_stop": lambda _: pause(0.1)}))
    stoppers = [threading.Thread(target=root.stop) for _ in range(2)]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join(10)
        assert not stopper.is_alive()
    assert house.whats("stop") == [("stop", "a")]
    again = partial(times_a_wait, 0.1, root.stop)
    assert fastest(again, enough=0.5) < 0.5, "it waits for nothing"
    assert root.stop() is False


def test_e9_a_pool_stops_its_children_side_by_side(house) -> None:
    template = ChildSpec("w", lambda name, stop: Probe.start(house.log, name, on_stop=stop), shutdown=2.0)
    root, free, all_stop = house.start(template, strategy="pool"), threading.Event(), threading.Barrier(4, timeout=1.5)
    house.opened.append(free)

    def once_all_stop(_) -> None:
        all_stop.wait()

    def and_never_ends(_) -> None:
        all_stop.wait()
        free.wait(60)

    for n in range(3):
        root.start_child(n, once_all_stop)
    slow = root.start_child("slow", and_never_ends)
    took: list[float] = []
    times = times_a_wait(2.0, lambda: took.append(fastest(root.stop, of=1)))
    assert times < 2, "as long as one child may take; one after the other it would be four times"
    assert took[0] >= 2.0, "the slow one has all of its time"
    assert len(house.whats("stop")) == 4
    kinds = {e.path: e.data["reason"].kind for e in house.bus.named("child.exited")}
    assert kinds.pop(slow.path) == "abandoned"
    assert set(kinds.values()) == {"shutdown"}
    assert [e.path for e in house.bus.named("child.abandoned")] == [slow.path]


def test_e9_without_a_slow_one_it_takes_as_long_as_one_child(house) -> None:
    template = ChildSpec("w", lambda n: Probe.start(house.log, n, **slow_to_stop(1.0)), shutdown=20.0)
    root = house.start(template, strategy="pool")
    for n in range(6):
        root.start_child(n)
    assert times_a_wait(1.0, root.stop) < 3
    assert [what for what, _ in house.whats("stop", "over")] == ["stop"] * 6 + ["over"] * 6


@pytest.mark.parametrize("reason", ["killed", "abandoned", "start_failed"])
def test_no_hook_runs_after_an_exit_that_is_neither_orderly_nor_a_crash(house, reason) -> None:
    root = house.start(house.spec("a"))
    root.address("a").tell(("exit", ExitReason(reason)))
    house.up("root/a", 2)
    assert house.whats("stop", "failure") == []
    assert house.bus.until("child.exited").data["reason"] == ExitReason(reason)
