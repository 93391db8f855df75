"""What goes up the tree: breaches, lost subtrees, broken supervisors, and calls that could only wait for ever."""

import threading

import pytest

from darumad.supervision import (
    ActorDeadError,
    Address,
    Restarting,
    StartError,
    Supervisor,
    SupervisorDead,
    SupervisorFlags,
    WouldDeadlock,
)
from tests.kit import Bus, break_supervisor, eventually


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_a_breach_ends_a_supervisor_with_shutdown_so_only_a_permanent_one_comes_back(house, restart) -> None:
    root = house.start(house.nested("s", house.spec("a"), restart=restart, intensity=0), house.spec("z"), intensity=1)
    inner = root.which_children()[0].ref
    inner.address("a").tell(ValueError())
    assert inner.wait(10).kind == "shutdown"
    exited = house.bus.until("child.exited", "root/s").data["reason"]
    assert (exited.kind, exited.detail) == ("shutdown", None)
    if restart == "permanent":
        house.up("root/s", 2)
        assert house.bus.named("supervisor.subtree_lost") == []
        return
    assert house.bus.until("supervisor.subtree_lost", "root/s").data["reason"].kind == "shutdown"
    left = [("z", "up", 1)] if restart == "temporary" else [("s", "undefined", 1), ("z", "up", 1)]
    assert house.states(root) == left


def test_a_breach_climbs_through_levels_until_somebody_has_a_restart_left(house) -> None:
    leaf = house.nested("leaf", house.spec("a"), intensity=0)
    middle = house.nested("middle", leaf, house.spec("m"), intensity=0)
    root = house.start(middle, house.spec("z"), intensity=1)
    bottom = root.tree()[2].ref
    bottom.address("a").tell(ValueError())
    house.up("root/middle", 2)
    assert [e.path for e in house.bus.named("supervisor.intensity_exceeded")] == ["root/middle/leaf", "root/middle"]
    assert [row.incarnation for row in root.tree()] == [1, 2, 2, 2, 2, 1]
    assert root.is_alive()


def test_a_transient_level_stops_the_climb_and_loses_its_subtree(house) -> None:
    leaf = house.nested("leaf", house.spec("a"), restart="transient", intensity=0)
    root = house.start(house.nested("middle", leaf, house.spec("m"), intensity=0), intensity=0)
    middle = root.which_children()[0].ref
    middle.which_children()[0].ref.address("a").tell(ValueError())
    house.bus.until("supervisor.subtree_lost", "root/middle/leaf")
    assert house.states(middle) == [("leaf", "undefined", 1), ("m", "up", 1)]
    assert house.states(root) == [("middle", "up", 1)]


def test_a_supervisor_that_is_stopped_from_outside_is_restarted_if_permanent(house) -> None:
    root = house.start(house.nested("s", house.spec("a")), intensity=1)
    assert root.which_children()[0].ref.stop(timeout=10)
    house.up("root/s", 2)
    assert house.states(root) == [("s", "up", 2)]


def test_a_supervisor_that_cannot_be_started_again_is_tried_again(house) -> None:
    def fails_in_the_second_life(actor) -> None:
        if actor.incarnation == 2:
            raise RuntimeError("not now")

    inner = house.nested(
        "s", house.spec("x"), house.spec("a", probe={"on_start": fails_in_the_second_life}), intensity=0
    )
    root = house.start(inner, intensity=2)
    root.which_children()[0].ref.address("a").tell(ValueError())
    house.up("root/s", 3)
    failed = house.bus.until("child.start_failed", "root/s").data["reason"]
    assert isinstance(failed.detail, StartError)
    assert failed.detail.id == "a"
    assert [(row.path, row.incarnation) for row in root.tree()[1:]] == [
        ("root/s", 3),
        ("root/s/x", 3),
        ("root/s/a", 3),
    ]
    lives = [(what, name, n) for what, name, n in house.log if name == "x"]
    assert lives == [("start", "x", 1), ("stop", "x", 1), ("start", "x", 2), ("stop", "x", 2), ("start", "x", 3)]


def test_a_breach_with_children_in_every_state_stops_those_that_run(house) -> None:
    specs = (house.spec("up"), house.spec("down"), house.nested("s", house.spec("deep")), house.spec("bad"))
    root = house.start(*specs, intensity=0)
    root.terminate_child("down")
    house.log.clear()
    root.address("bad").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert house.whats("start", "stop") == [("stop", "deep"), ("stop", "up")]
    assert house.bus.until("supervisor.exited", "root").data["reason"].kind == "shutdown"


def test_a_broken_supervisor_is_reaped_in_reverse_and_replaced(house) -> None:
    root = house.start(house.nested("s", house.spec("a"), house.spec("b")), intensity=1)
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


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(1), KeyboardInterrupt()])
def test_a_broken_root_tells_whoever_waits(house, error) -> None:
    root = house.start(house.spec("a"))
    break_supervisor(root, error)
    assert root.wait(10).kind == "crash"
    assert root.wait(10).detail is error
    assert house.whats("stop") == [("stop", "a")]


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
    root.start_child(house.spec("c", probe={"on_start": tries("ask above", lambda _: root.ask("x", timeout=1))}))
    a = root.address("a")
    a.ask(tries("self", lambda actor: actor.actor_ref.ask("x")), within=5)
    a.ask(tries("own address", lambda _: a.ask("x", within=5)), within=5)
    a.ask(tries("own future", lambda actor: actor.actor_ref.ask("who", block=False).get()), within=5)
    a.ask(tries("stop", lambda _: root.stop()), within=5)
    a.ask(tries("terminate", lambda _: root.terminate_child("a")), within=5)
    a.ask(tries("restart", lambda _: root.restart_child("a")), within=5)
    assert len(a.ask(lambda _: root.which_children(), within=5)) == 3
    root.stop()
    expected = ["on_start", "ask above", "self", "own address", "own future", "stop", "terminate", "restart", "on_stop"]
    assert caught == expected


def test_a_call_that_would_stop_the_caller_from_far_below_is_refused(house) -> None:
    root, caught = house.start(house.nested("s", house.nested("t", house.spec("a")))), []
    leaf = root.tree()[-1].ref

    def tries(_actor) -> None:
        for call in (lambda: root.terminate_child("s"), root.stop, root.which_children()[0].ref.stop):
            try:
                call()
            except WouldDeadlock as refused:
                caught.append(refused)

    leaf.ask(tries, timeout=5)
    assert len(caught) == 3
    assert leaf.ask("who", timeout=5) == ("a", 1)


def test_a_child_may_call_its_supervisor_from_a_handler(house) -> None:
    root = house.start(house.spec("a"))
    started = root.address("a").ask(lambda _: root.start_child(house.spec("b")), within=5)
    assert started.path == "root/b"
    root.address("a").ask(lambda _: root.terminate_child("b"), within=5)
    assert house.states(root) == [("a", "up", 1), ("b", "undefined", 1)]


def test_a_bus_that_raises_harms_nobody(house) -> None:
    class Bad(Bus):
        def __call__(self, event) -> None:
            super().__call__(event)
            raise SystemExit("bad bus")

    house.bus = Bad()
    root = house.start(house.spec("a"))
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2)]


def test_an_address_below_a_restarting_supervisor_says_restarting(house) -> None:
    hold = threading.Event()
    house.opened.append(hold)
    inner = house.nested(
        "s", house.spec("a", probe={"on_start": lambda actor: actor.incarnation == 1 or hold.wait(60)})
    )
    root = house.start(inner)
    address: Address = root.which_children()[0].ref.address("a")
    break_supervisor(root.which_children()[0].ref, RuntimeError())
    eventually(lambda: ("start", "a", 2) in house.log)
    with pytest.raises(Restarting):
        address.ask("who", within=5)
    hold.set()
    house.up("root/s", 2)
    assert address.ask("who", within=5) == ("a", 2)
    root.terminate_child("s")
    with pytest.raises(ActorDeadError):
        address.ask("who", within=5)


def test_a_root_that_cannot_start_names_the_innermost_cause(house) -> None:
    def fails(_) -> None:
        raise OSError("port taken")

    with pytest.raises(StartError) as caught:
        house.start(house.spec("x"), house.nested("s", house.spec("a", probe={"on_start": fails})))
    assert caught.value.id == "s"
    assert (caught.value.cause.id, type(caught.value.cause.cause)) == ("a", OSError)
    assert house.whats("stop") == [("stop", "x")]


def test_a_supervisors_factory_makes_no_root(house) -> None:
    with pytest.raises(RuntimeError, match=r"Supervisor\.start"):
        Supervisor.factory(SupervisorFlags(), [])()
