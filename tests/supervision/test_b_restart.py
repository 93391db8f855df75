"""B: restart types and administration."""

import gc
import threading
import time
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
from tests.kit import Probe, eventually

WAYS = ["normal", "shutdown", ("shutdown", "x"), ValueError("boom")]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
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
        left = [(i.id, i.state) for i in root.which_children()]
        assert left == ([] if restart == "temporary" else [("a", "undefined")])
        assert len(house.bus.named("child.started")) == 1


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_b1_restart_types_after_being_abandoned(house, restart) -> None:
    wake = threading.Event()
    house.opened.append(wake)
    root = house.start(house.spec("a", restart=restart, liveness=Liveness(0.05)))
    root.address("a").tell(("block", wake))
    assert house.bus.until("child.exited", "root/a").data["reason"].kind == "abandoned"
    if restart == "temporary":
        assert root.which_children() == []
    else:
        house.up("root/a", 2)


def test_b2_a_transient_shutdown_costs_nothing(house) -> None:
    root = house.start(house.spec("a", restart="transient"), intensity=0)
    root.address("a").tell(("exit", ("shutdown", "done")))
    house.bus.until("child.exited", "root/a")
    assert [(i.id, i.state) for i in root.which_children()] == [("a", "undefined")]


def test_b3_a_permanent_childs_normal_exit_counts(house) -> None:
    root = house.start(house.spec("a"), intensity=1)
    root.address("a").tell(("exit", "normal"))
    house.up("root/a", 2)
    root.address("a").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"


class Load:
    """Something heavy, whose end can be seen."""


def test_b4_a_temporary_child_leaves_nothing(house) -> None:
    root, load = house.start(), Load()
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

    def gone() -> bool:
        gc.collect()
        return seen() is None

    eventually(gone, within=5)
    assert root.start_child(spec(Load())).incarnation == 2


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_b5_a_terminated_child_stays_down_until_it_is_restarted(house, restart) -> None:
    root = house.start(house.spec("a", restart=restart))
    root.terminate_child("a")
    if restart == "temporary":
        with pytest.raises(NotFound):
            root.terminate_child("a")
        with pytest.raises(NotFound):
            root.restart_child("a")
        return
    root.terminate_child("a")
    assert root.which_children()[0].state == "undefined"
    assert root.restart_child("a").incarnation == 2


def test_b6_each_call_in_each_state(house) -> None:
    root = house.start(
        house.spec("up"),
        house.spec("undefined"),
        house.spec("restarting", backoff=Backoff(30, 30)),
        house.spec("benched", backoff=Backoff(1, 1, give_up_after=0)),
    )
    root.terminate_child("undefined")
    for name in ("restarting", "benched"):
        root.address(name).tell(ValueError())
    house.bus.until("child.benched", "root/benched")
    house.bus.until("child.restart_scheduled", "root/restarting")
    assert [i.state for i in root.which_children()] == ["up", "undefined", "restarting", "benched"]
    assert root.count_children() == {"specs": 4, "active": 1, "supervisors": 0, "workers": 4}
    for call in (root.restart_child, root.delete_child):
        with pytest.raises(Running):
            call("up")
        with pytest.raises(Restarting):
            call("restarting")
    for call in (root.restart_child, root.delete_child, root.terminate_child, root.get_childspec, root.address):
        with pytest.raises(NotFound):
            call("unknown")
    assert root.restart_child("benched").incarnation == 2
    for name in ("up", "restarting", "undefined", "benched"):
        root.terminate_child(name)
        assert root.restart_child(name) is not None
        root.terminate_child(name)
        root.delete_child(name)
    assert root.which_children() == []


def test_b6_a_dead_supervisor_says_so_and_a_live_one_ignores_garbage(house) -> None:
    root = house.start(house.spec("a"))
    root.tell({"garbage": 1})
    assert root.ask("garbage", timeout=5) is None
    assert len(root.which_children()) == 1
    root.stop()
    begun = time.monotonic()
    for call in (root.which_children, root.count_children, lambda: root.start_child(house.spec("b"))):
        with pytest.raises(SupervisorDead):
            call()
    for call in (root.terminate_child, root.restart_child, root.delete_child, root.address, root.get_childspec):
        with pytest.raises(SupervisorDead):
            call("a")
    assert time.monotonic() - begun < 1


def test_b7_restarts_by_hand_are_free(house) -> None:
    root = house.start(house.spec("a"), intensity=1, period=60)
    for _ in range(10):
        root.terminate_child("a")
        root.restart_child("a")
    assert root.which_children()[0].incarnation == 11


def test_b8_an_address_outlives_a_life(house) -> None:
    root = house.start(house.spec("a"))
    address, old = root.address("a"), root.which_children()[0].ref
    old.tell(lambda actor: setattr(actor, "dirty", 1))
    address.tell(ValueError())
    house.up("root/a", 2)
    assert address.incarnation == 2
    assert address.ask(lambda actor: (actor.id, hasattr(actor, "dirty")), within=5) == ("a", False)
    with pytest.raises(ActorDeadError):
        old.tell("x")
    with pytest.raises(ActorDeadError):
        old.ask("x")
    assert old.stop() is False


def test_b8_an_address_survives_its_supervisors_restart(house) -> None:
    root = house.start(house.nested("n", house.spec("a"), intensity=0))
    nested = root.which_children()[0].ref
    address = nested.address("a")
    address.tell(ValueError())
    house.up("root/n", 2)
    assert address.ask("who", within=5) == ("a", 2)
    assert not nested.is_alive()
