"""B: restart types and administration."""

import gc
import logging
import threading
import weakref

import pytest

from darumad.supervision import (
    ActorDeadError,
    Backoff,
    ChildSpec,
    Liveness,
    NotFound,
    Restarting,
    Running,
    SupervisorDead,
)
from tests.kit import Probe, eventually, fastest

WAYS = ["normal", "shutdown", ("shutdown", "x"), ValueError("boom")]
RESTARTS = ["permanent", "transient", "temporary"]


@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize("reason", WAYS, ids=str)
def test_b1_restart_types_by_exit_reason(house, restart, reason) -> None:
    root = house.start(house.spec("a", restart=restart))
    address = root.address("a")
    address.tell(("exit", reason))
    said = house.bus.until("child.exited", "root/a").data["reason"]
    kind, detail = (reason, None) if isinstance(reason, str) else ("crash", reason)
    if isinstance(reason, tuple):
        kind, detail = reason
    assert (said.kind, said.detail) == (kind, detail)
    if restart == "permanent" or (restart == "transient" and kind == "crash"):
        house.up("root/a", 2)
        assert address.ask("who", within=5) == ("a", 2)
    else:
        assert house.states(root) == ([] if restart == "temporary" else [("a", "undefined", 1)])
        assert len(house.bus.named("child.started")) == 1


@pytest.mark.parametrize("restart", RESTARTS)
def test_b1_restart_types_after_being_abandoned(house, restart, wake) -> None:
    root = house.start(house.spec("a", restart=restart, liveness=Liveness(0.05)))
    root.address("a").tell(("block", wake))
    said = house.bus.until("child.exited", "root/a").data["reason"]
    assert (said.kind, said.detail) == ("abandoned", None)
    if restart == "temporary":
        assert root.which_children() == []
    else:
        house.up("root/a", 2)


def test_b2_a_transient_shutdown_costs_nothing(house) -> None:
    root = house.start(house.spec("a", restart="transient"), intensity=0)
    root.address("a").tell(("exit", ("shutdown", "done")))
    assert house.bus.until("child.exited", "root/a").data["reason"].detail == "done"
    assert house.states(root) == [("a", "undefined", 1)]
    assert root.is_alive()
    assert root.get_childspec("a").restart == "transient"


def test_b3_a_permanent_childs_normal_exit_counts(house) -> None:
    root = house.start(house.spec("a"), intensity=1)
    root.address("a").tell(("exit", "normal"))
    house.up("root/a", 2)
    root.address("a").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == 2


class Load(bytearray):
    """Something heavy, whose end can be seen."""


def test_b4_a_temporary_child_leaves_nothing(house) -> None:
    root, load = house.start(), Load(1_000_000)
    seen = weakref.ref(load)

    class Loaded(Probe):
        def __init__(self, log, load) -> None:
            super().__init__(log, "t")
            self.load = load

    def spec(load) -> ChildSpec:
        return ChildSpec("t", lambda: Loaded.start(house.log, load), restart="temporary")

    root.start_child(spec(load)).tell(ValueError("boom"))
    del load
    house.bus.until("child.exited", "root/t")
    assert root.which_children() == []
    assert root.start_child(spec(Load())).incarnation == 2

    def gone() -> bool:
        gc.collect()
        return seen() is None

    eventually(gone, within=5)


@pytest.mark.parametrize("restart", RESTARTS)
def test_b5_a_terminated_child_stays_down_until_it_is_restarted(house, restart) -> None:
    root = house.start(house.spec("a", restart=restart))
    root.terminate_child("a")
    assert len(house.bus.named("child.starting")) == 1
    if restart == "temporary":
        for call in (root.terminate_child, root.restart_child, root.get_childspec):
            with pytest.raises(NotFound):
                call("a")
        return
    assert root.terminate_child("a") is None
    assert house.states(root) == [("a", "undefined", 1)]
    assert root.restart_child("a").incarnation == 2
    assert len(house.bus.named("child.exited")) == 1


STATES = {
    "up": ({}, Running),
    "restarting": ({"backoff": Backoff(30, 30)}, Restarting),
    "undefined": ({}, None),
    "benched": ({"backoff": Backoff(1, 1, give_up_after=0)}, None),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", ["restart_child", "delete_child", "terminate_child"])
def test_b6_each_call_in_each_state(house, state, call) -> None:
    rest, refusal = STATES[state]
    root = house.start(house.spec("a", **rest))
    if state == "undefined":
        root.terminate_child("a")
    elif state != "up":
        house.crash(root, "a")
    assert root.which_children()[0].state == state
    if refusal is not None and call != "terminate_child":
        with pytest.raises(refusal):
            getattr(root, call)("a")
        assert root.which_children()[0].state == state
        return
    answer = getattr(root, call)("a")
    expected = {"restart_child": [("a", "up", 2)], "delete_child": [], "terminate_child": [("a", "undefined", 1)]}
    assert house.states(root) == expected[call]
    assert (answer is None) is (call != "restart_child")


def test_b6_an_unknown_child_is_not_found(house) -> None:
    root = house.start(house.spec("a"))
    for call in (root.restart_child, root.delete_child, root.terminate_child, root.get_childspec, root.address):
        with pytest.raises(NotFound):
            call("unknown")


def test_b6_a_child_that_has_an_id_is_stopped_by_that_alone(house) -> None:
    # OTP: only a pool's child is named by its pid.
    root = house.start(house.spec("a"))
    with pytest.raises(NotFound):
        root.terminate_child(root.which_children()[0].ref)
    assert house.states(root) == [("a", "up", 1)]


def test_b6_a_dead_supervisor_says_so_at_once(house) -> None:
    root = house.start(house.spec("a"))
    root.stop()

    def every_call() -> None:
        for call in (root.which_children, root.count_children, lambda: root.start_child(house.spec("b"))):
            with pytest.raises(SupervisorDead):
                call()
        for call in (root.terminate_child, root.restart_child, root.delete_child, root.address, root.get_childspec):
            with pytest.raises(SupervisorDead):
                call("a")

    assert fastest(every_call, enough=1.0) < 1.0


def test_b6_a_call_that_waits_when_its_supervisor_ends_is_told_so(house, wake) -> None:
    root = house.start(house.spec("a", probe={"on_stop": lambda _: wake.wait(60)}))
    ends = []

    def call() -> None:
        try:
            ends.append(root.which_children())
        except SupervisorDead as dead:
            ends.append(dead)

    house.bus.until("child.started")
    stopper = threading.Thread(target=root.terminate_child, args=("a",))
    stopper.start()
    eventually(lambda: ("stop", "a", 1) in house.log)
    callers = [threading.Thread(target=call, daemon=True) for _ in range(3)]
    stop = root.stop(block=False)
    for caller in callers:
        caller.start()
    wake.set()
    for thread in (stopper, *callers):
        thread.join(10)
        assert not thread.is_alive()
    assert stop.get(timeout=10)
    assert len(ends) == 3


def test_b6_garbage_is_logged_and_ignored(house, caplog) -> None:
    root = house.start(house.spec("a"))
    with caplog.at_level(logging.WARNING):
        root.tell({"garbage": 1})
        assert root.ask("garbage", timeout=5) is None
    assert [record.getMessage().count("unexpected message") for record in caplog.records] == [1, 1]
    assert house.states(root) == [("a", "up", 1)]


def test_b7_restarts_by_hand_are_free(house) -> None:
    root = house.start(house.spec("a"), intensity=1, period=60)
    for _ in range(10):
        root.terminate_child("a")
        root.restart_child("a")
    assert house.states(root) == [("a", "up", 11)]
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 12)]


class Counted(Probe):
    """Keeps what it was started with, and what came since."""

    def __init__(self, log, start: list[int]) -> None:
        super().__init__(log, "a")
        self.start_value, self.total = start, sum(start)


def test_b8_an_address_outlives_a_life(house) -> None:
    argument = [20, 3]
    root = house.start(ChildSpec("a", lambda: Counted.start(house.log, argument)))
    address, old = root.address("a"), root.which_children()[0].ref
    first = address.ask(lambda actor: actor, within=5)
    address.ask(lambda actor: setattr(actor, "total", 99), within=5)
    address.tell(ValueError())
    house.up("root/a", 2)
    assert address.incarnation == 2
    second, total, kept = address.ask(lambda actor: (actor, actor.total, actor.start_value), within=5)
    assert total == 23
    assert kept is argument
    assert second is not first
    with pytest.raises(ActorDeadError):
        old.tell("x")
    with pytest.raises(ActorDeadError):
        old.ask("x")
    assert old.stop() is False
    assert not old.is_alive()


def test_b8_an_address_survives_its_supervisors_restart(house) -> None:
    root = house.start(house.nested("n", house.spec("a"), intensity=0))
    nested = root.which_children()[0].ref
    address = nested.address("a")
    address.tell(ValueError())
    house.up("root/n", 2)
    assert address.ask("who", within=5) == ("a", 2)
    assert not nested.is_alive()
