"""What a group's restart does beyond the table of rows: what Erlang/OTP's `supervisor` does.

OTP's source and its `supervisor_SUITE` were the oracle; where a scenario has its case there, the comment names it.
"""

import threading

import pytest

from darumad.supervision import IGNORE, ChildSpec
from tests.kit import Probe, eventually, pause
from tests.supervision.conftest import SWITCHING


class Gate:
    """Holds a supervisor in the stop of one child, so that whatever else happens meanwhile comes at once after it."""

    def __init__(self, house) -> None:
        self._house = house
        self._open = threading.Event()
        house.opened.append(self._open)
        self.spec = house.spec("gate", shutdown=60.0, probe={"on_stop": lambda _: self._open.wait(60)})

    def close(self, root) -> threading.Thread:
        self._thread = threading.Thread(target=root.terminate_child, args=("gate",))
        self._thread.start()
        eventually(lambda: ("stop", "gate", 1) in self._house.log)
        return self._thread

    def open(self) -> None:
        self._open.set()
        self._thread.join(10)


def crash_at_once(house, root, gate, *names: str) -> None:
    """These children die in this order while their supervisor is busy."""
    refs = {info.id: info.ref for info in root.which_children()}
    gate.close(root)
    for name in names:
        refs[name].tell(ValueError(name))
        eventually(lambda ref=refs[name]: not ref.is_alive())
    house.log.clear()
    gate.open()


@SWITCHING
def test_a_group_whose_members_die_at_once_is_restarted_once(house, switching) -> None:
    gate = Gate(house)
    root = house.start(*map(house.spec, "abc"), gate.spec, strategy="one_for_all", intensity=1)
    crash_at_once(house, root, gate, "b", "a", "c")
    house.up("root/gate", 2)
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2), ("c", "up", 2), ("gate", "up", 2)]
    assert house.whats("start", "stop") == [("start", "a"), ("start", "b"), ("start", "c"), ("start", "gate")]
    exits = {e.path: e.data["reason"].kind for e in house.bus.named("child.exited")}
    assert [exits[f"root/{name}"] for name in "abc"] == ["crash"] * 3, "each is told with its own reason"
    assert len(house.bus.named("child.exited")) == 4


@SWITCHING
@pytest.mark.parametrize(("deaths", "restarts", "incarnations"), [("bd", 1, [1, 2, 2, 2]), ("db", 2, [1, 2, 2, 3])])
def test_rest_for_one_with_two_deaths_at_once_depends_on_who_was_first(
    house, deaths, restarts, incarnations, switching
) -> None:
    gate = Gate(house)
    root = house.start(gate.spec, *map(house.spec, "abcd"), strategy="rest_for_one", intensity=restarts)
    crash_at_once(house, root, gate, *deaths)
    house.up("root/d", incarnations[-1])
    assert [i.incarnation for i in root.which_children()][1:] == incarnations
    root.address("d").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == restarts + 1


def test_one_for_one_restarts_each_of_those_that_die_at_once(house) -> None:
    gate = Gate(house)
    root = house.start(*map(house.spec, "abc"), gate.spec, intensity=3)
    crash_at_once(house, root, gate, "c", "a", "b")
    house.up("root/b", 2)
    assert house.whats("start") == [("start", "c"), ("start", "a"), ("start", "b")]


def test_a_crash_of_one_that_was_just_replaced_by_its_group_counts_for_nobody(house) -> None:
    # The exit of the old life comes late: its supervisor has accounted for it when it stopped the group.
    gate = Gate(house)
    root = house.start(*map(house.spec, "ab"), gate.spec, strategy="one_for_all", intensity=1)
    old_b = root.which_children()[1].ref
    crash_at_once(house, root, gate, "a", "b")
    house.up("root/gate", 2)
    assert root.which_children()[1].ref is not old_b
    assert root.address("b").ask("who", within=5) == ("b", 2)
    assert house.bus.named("supervisor.intensity_exceeded") == []


class Failing:
    """An `on_start` that fails in the starts of these numbers, counted from 1."""

    def __init__(self, *starts: int) -> None:
        self.count, self.failing = 0, starts

    def __call__(self, _actor) -> None:
        self.count += 1
        if self.count in self.failing:
            raise RuntimeError(f"start {self.count}")


def test_rest_for_one_tries_again_from_the_one_that_failed(house) -> None:
    # OTP's case rest_for_one_other_child_fails_restart.
    failing = {"on_start": Failing(2, 3)}
    specs = (house.spec("a"), house.spec("b"), house.spec("c", probe=failing), house.spec("d"))
    root = house.start(*specs, strategy="rest_for_one", intensity=3)
    house.log.clear()
    root.address("a").tell(ValueError())
    house.up("root/d", 2)
    assert house.whats("stop", "start") == [
        *(("stop", name) for name in "dcb"),
        *(("start", name) for name in "abc"),
        ("start", "c"),
        ("start", "c"),
        ("start", "d"),
    ]
    assert [i.incarnation for i in root.which_children()] == [2, 2, 4, 2]
    root.address("d").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "each attempt was one restart: three, and this is one too many"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_group_that_never_comes_up_exhausts_the_intensity(house, strategy) -> None:
    # OTP's case one_for_all_escalation., rest_for_one_escalation
    never = {"on_start": Failing(*range(2, 100))}
    root = house.start(house.spec("a"), house.spec("b", probe=never), house.spec("c"), strategy=strategy, intensity=4)
    house.log.clear()
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    starts = [name for what, name in house.whats("start")]
    assert starts.count("b") == 4
    assert starts.count("c") == 0
    assert starts.count("a") == (4 if strategy == "one_for_all" else 1)
    assert house.whats("start", "stop")[-1] == ("stop", "a")
    exited = [e for e in house.bus.named("child.exited") if e.path == "root/a"]
    assert len(exited) == len(house.bus.named("child.started", "root/a"))


def test_what_comes_after_a_failed_start_is_down_until_the_next_try(house) -> None:
    hold = threading.Event()
    house.opened.append(hold)

    def second_waits_and_fails(actor) -> None:
        if actor.incarnation == 2:
            hold.wait(60)
            raise RuntimeError("not now")

    specs = (house.spec("a"), house.spec("b", probe={"on_start": second_waits_and_fails}), house.spec("c"))
    root, seen = house.start(*specs, strategy="one_for_all"), []
    root.address("a").tell(ValueError())
    eventually(lambda: ("start", "b", 2) in house.log)
    asker = threading.Thread(target=lambda: seen.append(house.states(root)))
    asker.start()
    pause(0.1)  # its call is to stand in the supervisor's lane before the start that it waits for ends
    hold.set()
    asker.join(10)
    assert seen == [[("a", "up", 2), ("b", "restarting", 2), ("c", "undefined", 1)]]
    house.up("root/c", 2)
    assert house.states(root) == [("a", "up", 3), ("b", "up", 3), ("c", "up", 2)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_groups_restart_starts_what_was_terminated_by_hand(house, strategy) -> None:
    root = house.start(*map(house.spec, "abc"), strategy=strategy)
    root.terminate_child("b")
    house.log.clear()
    house.crash(root, "a")
    assert house.whats("stop", "start") == [("stop", "c"), ("start", "a"), ("start", "b"), ("start", "c")]
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2), ("c", "up", 2)]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_groups_restart_starts_a_transient_that_had_finished(house, strategy) -> None:
    root = house.start(house.spec("a"), house.spec("t", restart="transient"), strategy=strategy)
    root.address("t").tell(("exit", "normal"))
    house.bus.until("child.exited", "root/t")
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2), ("t", "up", 2)]


def test_a_groups_restart_asks_those_that_wished_to_be_ignored_again(house) -> None:
    answers = [IGNORE, IGNORE, None]

    def maybe():
        said = answers.pop(0)
        return Probe.start(house.log, "i") if said is None else said

    root = house.start(house.spec("a"), ChildSpec("i", maybe), house.spec("c"), strategy="one_for_all")
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2), ("i", "undefined", 2), ("c", "up", 2)]
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 3), ("i", "up", 3), ("c", "up", 3)]


def test_a_child_that_wishes_to_be_ignored_at_its_restart_stays_down(house) -> None:
    # OTP's case sup_start_ignore_child, at a restart.
    answers = [None, IGNORE]

    def once():
        return Probe.start(house.log, "a") if answers.pop(0) is None else IGNORE

    root = house.start(ChildSpec("a", once), house.spec("b"))
    house.crash(root, "a")
    assert house.states(root) == [("a", "undefined", 2), ("b", "up", 1)]
    assert root.count_children()["active"] == 1


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_sibling_goes_down_with_its_group_and_is_forgotten(house, strategy) -> None:
    # OTP's case temporary_bystander.
    root = house.start(house.spec("a"), house.spec("t", restart="temporary"), house.spec("c"), strategy=strategy)
    house.log.clear()
    house.crash(root, "a")
    assert house.whats("stop", "start") == [("stop", "c"), ("stop", "t"), ("start", "a"), ("start", "c")]
    assert house.states(root) == [("a", "up", 2), ("c", "up", 2)]
    root.start_child(house.spec("t", restart="temporary"))
    assert house.states(root)[-1] == ("t", "up", 2)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_childs_own_crash_moves_nobody(house, strategy) -> None:
    root = house.start(house.spec("t", restart="temporary"), house.spec("b"), strategy=strategy, intensity=0)
    house.crash(root, "t")
    assert house.states(root) == [("b", "up", 1)]
    assert root.is_alive(), "nor does it count"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_transients_orderly_exit_moves_nobody(house, strategy) -> None:
    specs = (house.spec("a"), house.spec("t", restart="transient"), house.spec("c"))
    root = house.start(*specs, strategy=strategy, intensity=0)
    root.address("t").tell(("exit", ("shutdown", "done")))
    house.bus.until("child.exited", "root/t")
    assert house.states(root) == [("a", "up", 1), ("t", "undefined", 1), ("c", "up", 1)]


def test_a_sibling_that_ignores_the_groups_stop_is_abandoned_and_replaced(house, wake) -> None:
    root = house.start(house.spec("a"), house.spec("b", shutdown=0.1), strategy="one_for_all", intensity=1)
    root.address("b").tell(("block", wake))
    eventually(lambda: ("blocked", "b", 1) in house.log)
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]
    assert root.leaked == 1
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert root.address("b").ask("who", within=5) == ("b", 2)
    assert ("stop", "b", 1) not in house.log


def test_an_on_stop_that_raises_is_that_childs_reason_and_nobodys_restart(house) -> None:
    def raises(actor) -> None:
        if actor.incarnation == 1:
            raise OSError("cannot close")

    root = house.start(house.spec("a"), house.spec("b", probe={"on_stop": raises}), strategy="one_for_all", intensity=1)
    house.crash(root, "a")
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]
    reason = house.bus.until("child.exited", "root/b").data["reason"]
    assert (reason.kind, type(reason.detail)) == ("crash", OSError)


def test_a_restart_by_hand_keeps_the_childs_turn(house) -> None:
    root = house.start(*map(house.spec, "abc"), strategy="rest_for_one")
    root.terminate_child("a")
    root.restart_child("a")
    assert [info.id for info in root.which_children()] == ["a", "b", "c"]
    house.log.clear()
    house.crash(root, "b")
    assert house.whats("start") == [("start", "b"), ("start", "c")]


def test_a_deleted_and_new_child_comes_last_and_goes_on_counting_lives(house) -> None:
    root = house.start(*map(house.spec, "abc"))
    root.terminate_child("a")
    root.delete_child("a")
    assert root.start_child(house.spec("a")).incarnation == 2
    assert house.states(root) == [("b", "up", 1), ("c", "up", 1), ("a", "up", 2)]
    house.log.clear()
    root.stop()
    assert house.whats("stop") == [("stop", "a"), ("stop", "c"), ("stop", "b")]
