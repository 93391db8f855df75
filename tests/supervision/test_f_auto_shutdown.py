"""F: automatic shutdown."""

import pytest

from darumad.supervision import Backoff


def test_f1_any_significant(house) -> None:
    s1 = house.spec("s1", restart="transient", significant=True)
    root = house.start(house.spec("x"), s1, auto_shutdown="any_significant")
    house.crash(root, "s1")
    assert house.states(root) == [("x", "up", 1), ("s1", "up", 2)]
    root.address("s1").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"
    assert house.whats("stop")[-1] == ("stop", "x")


def test_f1_a_temporary_one_ends_it_with_a_crash_too(house) -> None:
    s2 = house.spec("s2", restart="temporary", significant=True)
    root = house.start(house.spec("x"), s2, auto_shutdown="any_significant")
    root.address("s2").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert house.whats("stop") == [("stop", "x")]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_f2_a_bystander_is_no_reason(house, strategy) -> None:
    s = house.spec("s", restart="transient", significant=True)
    root = house.start(house.spec("a"), s, strategy=strategy, auto_shutdown="any_significant")
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2), ("s", "up", 2)]
    root.terminate_child("s")
    assert house.states(root) == [("a", "up", 2), ("s", "undefined", 2)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_f2_nor_is_a_temporary_bystander(house, strategy) -> None:
    s = house.spec("s", restart="temporary", significant=True)
    root = house.start(house.spec("a"), s, strategy=strategy, auto_shutdown="any_significant")
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2)]


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
    assert nested.which_children()[0].state == "up"
    nested.address("s1").tell(("exit", "normal"))
    assert nested.wait(10).kind == "shutdown"
    assert house.bus.until("supervisor.subtree_lost", "root/n").data["reason"].kind == "shutdown"
    if significant:
        assert root.wait(10).kind == "shutdown"
    else:
        assert house.states(root) == [("n", "undefined", 1)]


def test_a_significant_child_that_waits_for_its_restart_is_still_active(house) -> None:
    # OTP: only a pid of `undefined` is not active; one that is being restarted comes back.
    s1 = house.spec("s1", restart="transient", significant=True, backoff=Backoff(5, 5, jitter=0))
    s2 = house.spec("s2", restart="transient", significant=True)
    root = house.start(s1, s2, auto_shutdown="all_significant")
    house.crash(root, "s1")
    root.address("s2").tell(("exit", "normal"))
    house.bus.until("child.exited", "root/s2")
    assert house.states(root) == [("s1", "restarting", 1), ("s2", "undefined", 1)]
    house.clock.advance(5)
    assert house.states(root) == [("s1", "up", 2), ("s2", "undefined", 1)]
    root.address("s1").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"


def test_without_significance_the_last_exit_changes_nothing(house) -> None:
    s = house.spec("s", restart="transient", significant=True)
    root = house.start(house.spec("t", restart="transient"), s, auto_shutdown="all_significant")
    root.address("t").tell(("exit", "normal"))
    house.bus.until("child.exited", "root/t")
    assert house.states(root) == [("t", "undefined", 1), ("s", "up", 1)]
