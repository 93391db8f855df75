"""E and F: shutting down, by hand and by itself."""

import threading
import time

import pytest

from darumad.supervision import ChildSpec, SupervisorDead, WouldDeadlock
from tests.kit import Bus, Probe, break_supervisor, eventually, pause


def test_e1_children_stop_one_after_the_other_in_reverse(house) -> None:
    spans = {}

    def slow(actor) -> None:
        begun = time.monotonic()
        pause(0.1)
        spans[actor.id] = (begun, time.monotonic())

    root = house.start(*(house.spec(name, probe={"on_stop": slow}) for name in "abc"))
    begun = time.monotonic()
    assert root.stop()
    assert time.monotonic() - begun >= 0.3
    assert house.whats("stop") == [("stop", "c"), ("stop", "b"), ("stop", "a")]
    assert spans["c"][1] <= spans["b"][0]
    assert spans["b"][1] <= spans["a"][0]
    assert root.wait(0).kind == "shutdown"


def test_e2_a_child_that_ignores_the_stop_is_abandoned(house) -> None:
    wake = threading.Event()
    house.opened.append(wake)
    root = house.start(house.spec("a", shutdown=0.1), house.spec("c"))
    root.address("a").tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    begun = time.monotonic()
    assert root.stop()
    assert 0.1 <= time.monotonic() - begun < 5
    assert [e.name for e in house.bus.events if e.path == "root/a"][-3:] == [
        "child.stop_timeout",
        "child.abandoned",
        "child.exited",
    ]
    assert house.bus.until("child.exited", "root/a").data["reason"].kind == "abandoned"
    assert root.leaked == 1
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("stop") == [("stop", "c")]


def test_e3_a_brutal_stop_waits_for_nothing(house) -> None:
    root = house.start(house.spec("b", shutdown="brutal"))
    assert root.stop()
    assert house.whats("stop") == []
    assert house.bus.until("child.exited", "root/b").data["reason"].kind == "killed"


def test_e4_a_nested_tree_stops_in_exact_reverse(house) -> None:
    leaf = {"on_stop": lambda _: pause(0.02)}
    root = house.start(
        house.nested("s", house.nested("t", house.spec("a", probe=leaf), house.spec("b", probe=leaf))), house.spec("c")
    )
    started = [e.path for e in house.bus.named("child.started")]
    root.stop()
    exited = [e.path for e in house.bus.named("child.exited")]
    assert exited == ["root/c", "root/s/t/b", "root/s/t/a", "root/s/t", "root/s"]
    assert sorted(started) == sorted(exited)


def test_e6_children_that_leave_during_the_stop_are_told_of_once(house) -> None:
    specs = [house.spec(f"c{n}", restart=kind) for n, kind in enumerate(["permanent", "transient", "temporary"] * 4)]
    slow = house.spec("slow", probe={"on_stop": lambda _: pause(0.2)})
    root = house.start(*specs, slow)
    refs = [i.ref for i in root.which_children()][:-1]
    stopper = threading.Thread(target=root.stop)
    stopper.start()
    eventually(lambda: ("stop", "slow", 1) in house.log)
    for n, ref in enumerate(refs):
        ref.tell(("exit", ["normal", "shutdown", ("shutdown", 1), ValueError()][n % 4]))
    stopper.join()
    assert root.wait(0).kind == "shutdown"
    exited = [e.path for e in house.bus.named("child.exited")]
    assert len(exited) == len(set(exited)) == 13
    assert len(house.bus.named("child.started")) == 13


def test_e8_stop_may_come_twice_at_once_and_again(house) -> None:
    root = house.start(house.spec("a", probe={"on_stop": lambda _: pause(0.1)}))
    stoppers = [threading.Thread(target=root.stop) for _ in range(2)]
    for stopper in stoppers:
        stopper.start()
    for stopper in stoppers:
        stopper.join(10)
        assert not stopper.is_alive()
    assert house.whats("stop") == [("stop", "a")]
    assert root.stop() is False


def test_e9_a_pool_stops_its_children_side_by_side(house) -> None:
    wake = threading.Event()
    house.opened.append(wake)
    template = ChildSpec("w", lambda n: Probe.start(house.log, n, on_stop=lambda _: pause(0.2)), shutdown=1.0)
    root = house.start(template, strategy="pool")
    for n in range(5):
        root.start_child(n)
    begun = time.monotonic()
    root.stop()
    assert 0.2 <= time.monotonic() - begun < 0.9
    assert len(house.whats("stop")) == 5


def test_d_a_broken_supervisor_is_reaped_and_replaced(house) -> None:
    root = house.start(house.nested("s", house.spec("a"), house.spec("b")))
    broken = root.which_children()[0].ref
    break_supervisor(broken, RuntimeError("outside every guard"))
    house.up("root/s", 2)
    assert house.whats("start", "stop") == [
        ("start", "a"),
        ("start", "b"),
        ("stop", "b"),
        ("stop", "a"),
        ("start", "a"),
        ("start", "b"),
    ]
    assert house.bus.until("child.exited", "root/s").data["reason"].kind == "crash"
    with pytest.raises(SupervisorDead):
        broken.which_children()


def test_d_a_broken_root_tells_whoever_waits(house) -> None:
    root = house.start(house.spec("a"))
    break_supervisor(root, RuntimeError("outside every guard"))
    assert root.wait(10).kind == "crash"
    assert house.whats("stop") == [("stop", "a")]


def test_f1_any_significant(house) -> None:
    root = house.start(
        house.spec("x"), house.spec("s1", restart="transient", significant=True), auto_shutdown="any_significant"
    )
    root.address("s1").tell(ValueError())
    house.up("root/s1", 2)
    root.address("s1").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"
    assert house.whats("stop")[-1] == ("stop", "x")
    other = house.start(
        house.spec("s2", restart="temporary", significant=True), auto_shutdown="any_significant", name="other"
    )
    other.address("s2").tell(ValueError())
    assert other.wait(10).kind == "shutdown"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_f2_a_bystander_is_no_reason(house, strategy) -> None:
    root = house.start(
        house.spec("a"),
        house.spec("s", restart="transient", significant=True),
        strategy=strategy,
        auto_shutdown="any_significant",
    )
    root.address("a").tell(ValueError())
    house.up("root/s", 2)
    root.terminate_child("s")
    assert root.which_children()[1].state == "undefined"


@pytest.mark.parametrize("significant", [True, False])
def test_f3_all_significant_and_the_supervisor_above(house, significant) -> None:
    inner = house.nested(
        "n",
        *(house.spec(name, restart="transient", significant=True) for name in ("s1", "s2")),
        restart="transient",
        significant=significant,
        auto_shutdown="all_significant",
    )
    root = house.start(inner, auto_shutdown="any_significant")
    nested = root.which_children()[0].ref
    nested.terminate_child("s2")
    assert nested.is_alive()
    nested.address("s1").tell(("exit", "normal"))
    assert nested.wait(10).kind == "shutdown"
    house.bus.until("supervisor.subtree_lost", "root/n")
    if significant:
        assert root.wait(10).kind == "shutdown"
    else:
        assert root.which_children()[0].state == "undefined"


def test_asking_where_no_answer_can_come_is_refused_at_once(house) -> None:
    caught = []

    def tries(name, act):
        def run(actor) -> None:
            try:
                act(actor)
            except WouldDeadlock:
                caught.append(name)

        return run

    holder = {}
    root = house.start(house.spec("a", probe={"on_stop": tries("on_stop", lambda _: holder["root"].which_children())}))
    holder["root"] = root
    root.start_child(house.spec("b", probe={"on_start": tries("on_start", lambda _: root.which_children())}))
    a = root.address("a")
    a.ask(tries("self", lambda actor: actor.actor_ref.ask("x")), within=5)
    a.ask(tries("stop", lambda _: root.stop()), within=5)
    a.ask(tries("terminate", lambda _: root.terminate_child("a")), within=5)
    assert len(a.ask(lambda _: root.which_children(), within=5)) == 2
    root.stop()
    assert caught == ["on_start", "self", "stop", "terminate", "on_stop"]


def test_a_bus_that_raises_harms_nobody(house) -> None:
    class Bad(Bus):
        def __call__(self, event) -> None:
            super().__call__(event)
            raise RuntimeError("bad bus")

    house.bus = Bad()
    root = house.start(house.spec("a"))
    root.address("a").tell(ValueError())
    house.up("root/a", 2)
