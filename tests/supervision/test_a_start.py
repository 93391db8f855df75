"""A: starting."""

import threading
import time

import pytest

from darumad.supervision import (
    IGNORE,
    Actor,
    AlreadyPresent,
    AlreadyStarted,
    ChildSpec,
    NotFound,
    StartError,
    Supervisor,
    SupervisorFlags,
    Timeout,
)
from darumad.supervision.pykka_door import ActorRegistry
from tests.kit import Leaks, Probe, pause


def test_a1_start_returns_after_every_child_is_ready_one_after_the_other(house) -> None:
    spans = {}

    def slow(actor) -> None:
        begun = time.monotonic()
        pause(0.05)
        spans[actor.id] = (begun, time.monotonic())

    begun = time.monotonic()
    house.start(*(house.spec(name, probe={"on_start": slow}) for name in "abc"))
    assert time.monotonic() - begun >= 0.15
    assert [e.path for e in house.bus.named("child.started")] == ["root/a", "root/b", "root/c"]
    assert spans["a"][1] <= spans["b"][0]
    assert spans["b"][1] <= spans["c"][0]


def test_a2_a_child_that_cannot_start_takes_those_before_it_down(house) -> None:
    leaks, error = Leaks(), RuntimeError("no")

    def fails(_) -> None:
        raise error

    with pytest.raises(StartError) as caught:
        house.start(house.spec("a"), house.spec("b"), house.spec("c", probe={"on_start": fails}), house.spec("d"))
    assert (caught.value.id, caught.value.cause) == ("c", error)
    assert house.whats("start", "stop") == [
        ("start", "a"),
        ("start", "b"),
        ("start", "c"),
        ("stop", "b"),
        ("stop", "a"),
    ]
    assert "root/c" not in [e.path for e in house.bus.named("child.started")]
    leaks.check()


def test_a3_a_failed_on_start_is_told_at_once_and_costs_nothing(house) -> None:
    root, error = house.start(house.spec("a"), intensity=0), RuntimeError("no")

    def fails(_) -> None:
        raise error

    begun = time.monotonic()
    with pytest.raises(StartError) as caught:
        root.start_child(house.spec("x", probe={"on_start": fails}))
    assert time.monotonic() - begun < 2
    assert caught.value.cause is error
    with pytest.raises(NotFound):
        root.get_childspec("x")
    assert root.is_alive()
    assert house.whats("failure", "stop") == []


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_a3_whatever_on_start_raises_is_a_failed_start(house, error) -> None:
    root = house.start(house.spec("a"))

    def fails(_) -> None:
        raise error

    with pytest.raises(StartError) as caught:
        root.start_child(house.spec("x", probe={"on_start": fails}))
    assert caught.value.cause is error
    assert root.address("a").ask("who", within=5) == ("a", 1)


def test_a3_exit_in_on_start_is_a_failed_start(house) -> None:
    root = house.start()
    with pytest.raises(StartError):
        root.start_child(house.spec("x", probe={"on_start": lambda actor: actor.exit("normal")}))
    assert root.which_children() == []


def test_a4_a_start_that_hangs_is_abandoned_after_its_time(house) -> None:
    root, wake = house.start(house.spec("a")), threading.Event()
    house.opened.append(wake)
    with pytest.raises(StartError) as caught:
        root.start_child(house.spec("x", start_timeout=0.05, probe={"on_start": lambda _: wake.wait(60)}))
    assert isinstance(caught.value.cause, Timeout)
    assert root.leaked == 1
    assert [i.id for i in root.which_children()] == ["a"]


def test_a6_no_thread_left_is_a_failed_start_without_a_zombie(house, monkeypatch) -> None:
    root = house.start(house.spec("a"))
    before = len(ActorRegistry.get_all())

    def no_thread(_self) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(StartError, match="can't start new thread"):
            root.start_child(house.spec("x"))
    assert len(ActorRegistry.get_all()) == before
    assert ActorRegistry.stop_all(timeout=5)


def test_a7_ignored_children_keep_a_place_unless_temporary(house) -> None:
    root = house.start(ChildSpec("p", lambda: IGNORE), ChildSpec("t", lambda: IGNORE, restart="temporary"), intensity=0)
    assert [(i.id, i.state, i.ref) for i in root.which_children()] == [("p", "undefined", None)]
    assert root.start_child(ChildSpec("p2", lambda: IGNORE)) is None
    assert root.start_child(ChildSpec("t2", lambda: IGNORE, restart="temporary")) is None
    assert root.count_children() == {"specs": 2, "active": 0, "supervisors": 0, "workers": 2}
    assert root.stop()
    assert root.wait(0).kind == "shutdown"


def test_a8_nothing_is_made_before_everything_is_checked() -> None:
    made = []
    spec = ChildSpec("a", lambda: made.append(1))
    for build in (
        lambda: Supervisor.start(SupervisorFlags(), [spec, spec]),
        lambda: Supervisor.factory(SupervisorFlags(), [spec, spec]),
        lambda: Supervisor.start(SupervisorFlags("pool"), []),
    ):
        with pytest.raises(ValueError, match=r"id|pool"):
            build()
    assert made == []


def test_a8_a_spec_that_does_not_fit_is_refused_while_running(house) -> None:
    root = house.start()
    with pytest.raises(ValueError, match="significant"):
        root.start_child(house.spec("x", restart="transient", significant=True))
    with pytest.raises(NotFound):
        root.restart_child("x")


def test_a9_ids_are_unique_and_new_ones_come_last(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    root.terminate_child("b")
    with pytest.raises(AlreadyStarted) as caught:
        root.start_child(house.spec("a"))
    assert caught.value.ref is root.which_children()[0].ref
    with pytest.raises(AlreadyPresent):
        root.start_child(house.spec("b"))
    root.start_child(house.spec("z"))
    assert [i.id for i in root.which_children()] == ["a", "b", "z"]


def test_identity_belongs_to_the_actor_that_the_factory_returns(house) -> None:
    log = []

    def factory():
        log.append(Probe.start(house.log, "helper"))
        return Probe.start(house.log, "main")

    root = house.start(ChildSpec("m", factory))
    helper = log[0]
    assert (helper.path, helper.incarnation) == ("", 0)
    assert helper.ask("who", timeout=5) == ("helper", 0)
    assert root.which_children()[0].ref.path == "root/m"
    assert ("start", "main", 1) in house.log
    assert ("start", "helper", 0) in house.log
    helper.stop()


def test_a_factory_may_ask_the_helper_that_it_started(house) -> None:
    def factory():
        helper = Probe.start(house.log, "helper")
        assert helper.ask("hello", timeout=5) == "hello"
        helper.stop()
        return Probe.start(house.log, "main")

    root = house.start(ChildSpec("m", factory))
    assert root.address("m").ask("who", within=5) == ("main", 1)


def test_a_factory_that_returns_no_actor_of_its_own_fails(house) -> None:
    for wrong in (lambda: None, lambda: 7, Actor):
        with pytest.raises(StartError):
            house.start(ChildSpec("m", wrong))
