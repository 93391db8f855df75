"""Scenarios after Erlang/OTP's `supervisor_SUITE`, made to catch a supervisor that only knows its rows."""

import threading
import traceback

import pytest

from darumad.supervision import (
    IGNORE,
    ActorDeadError,
    Backoff,
    ChildSpec,
    ErrorBudget,
    NotFound,
    StartError,
    Supervisor,
    SupervisorDead,
    SupervisorFlags,
)
from tests.kit import Probe, eventually, pause
from tests.supervision.conftest import SWITCHING
from tests.supervision.test_groups import Gate
from tests.supervision.test_restart_loops import in_background


def test_a_factory_that_hands_over_somebody_elses_actor_starts_nothing_and_harms_nobody(house) -> None:
    """`already_started_outside_supervisor`: the ref is a real one, but not of this start."""
    root, other = house.start(house.spec("a")), house.start(house.spec("theirs"), name="other")
    theirs = other.which_children()[0].ref
    with pytest.raises(StartError) as failed:
        root.start_child(ChildSpec("thief", lambda: theirs))
    assert isinstance(failed.value.cause, TypeError)
    assert house.states(root) == [("a", "up", 1)]
    root.stop()
    assert theirs.ask("who", timeout=5) == ("theirs", 1)
    assert house.states(other) == [("theirs", "up", 1)]


def test_a_restart_in_which_another_child_dies_loses_neither(house) -> None:
    """`one_for_one_other_child_fails_restart`: the second death happens inside the first one's restart."""
    elders = []

    def kill_the_elder(actor) -> None:
        if actor.incarnation == 2:
            elders[0].tell(ValueError("killed by b"))
            eventually(lambda: not elders[0].is_alive())

    root = house.start(
        house.spec("a"), house.spec("b", probe={"on_start": kill_the_elder}), house.spec("c"), intensity=2
    )
    elders.append(root.which_children()[0].ref)
    root.address("b").tell(ValueError("first"))
    house.up("root/a", 2)
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2), ("c", "up", 1)]
    root.address("c").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "each of the two was counted once"


def test_a_pending_retry_does_not_touch_a_namesake(house) -> None:
    """A child is terminated and deleted between two tries; the next of its name is started once."""
    broken = threading.Event()
    broken.set()

    def fail(actor) -> None:
        if broken.is_set() and actor.incarnation > 1:
            pause(0.01)
            raise RuntimeError("not yet")

    root = house.start(house.spec("a", probe={"on_start": fail}), intensity=10_000)
    root.address("a").tell(ValueError())
    house.bus.until("child.start_failed", "root/a", times=2)
    root.terminate_child("a")
    root.delete_child("a")
    broken.clear()
    house.log.clear()
    ref = root.start_child(house.spec("a"))
    assert house.states(root) == [("a", "up", ref.incarnation)]
    assert house.whats("start") == [("start", "a")]
    root.address("a").tell(ValueError())
    house.up("root/a", ref.incarnation + 1)
    assert house.whats("start") == [("start", "a")] * 2


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_one_that_dies_while_its_younger_sibling_is_first_started_is_restarted_after_the_start(house, strategy) -> None:
    """OTP reads no exit of a child before its `init` is through: the start itself succeeds."""
    refs = []

    def first() -> object:
        refs.append(Probe.start(house.log, "a"))
        return refs[-1]

    def kill_the_first(actor) -> None:
        if len(refs) == 1 and actor.incarnation == 1:
            refs[0].tell(ValueError("while b starts"))
            eventually(lambda: not refs[0].is_alive())

    root = house.start(
        ChildSpec("a", first), house.spec("b", probe={"on_start": kill_the_first}), strategy=strategy, intensity=1
    )
    house.up("root/a", 2)
    eventually(lambda: all(state == "up" for _, state, _ in house.states(root)))
    assert house.states(root) == [("a", "up", 2), ("b", "up", 1 if strategy == "one_for_one" else 2)]


@SWITCHING
def test_a_child_that_dies_while_it_is_terminated_stays_down_and_is_told_of_once(house, switching) -> None:
    root = house.start(*(house.spec(f"c{number}") for number in range(30)))
    refs = {info.id: info.ref for info in root.which_children()}
    for name, ref in refs.items():
        ref.tell(ValueError(name))
        root.terminate_child(name)
    assert {state for _, state, _ in house.states(root)} == {"undefined"}
    for name in refs:
        exits = [event.incarnation for event in house.bus.named("child.exited", f"root/{name}")]
        starts = [event.incarnation for event in house.bus.named("child.started", f"root/{name}")]
        assert exits == starts, "one end for each life"


def test_what_a_stuck_life_of_a_deleted_child_reports_counts_for_no_namesake(house, wake) -> None:
    """The thread of a child that was abandoned and deleted comes back when its name is somebody else's."""
    budget = ErrorBudget(limit=2, within=60.0)
    stuck, reported = threading.Event(), threading.Event()

    def come_back_and_complain(actor) -> None:
        stuck.set()
        wake.wait(60)
        for _ in range(5):
            actor.report(ValueError("late"))
        reported.set()

    root = house.start(house.spec("a", shutdown=0.05, error_budget=budget))
    root.address("a").tell(come_back_and_complain)
    assert stuck.wait(10)
    root.terminate_child("a")
    root.delete_child("a")
    root.start_child(house.spec("a", error_budget=budget))
    wake.set()
    assert reported.wait(10)
    assert house.states(root) == [("a", "up", 2)]
    assert house.bus.named("child.error", "root/a") == []
    assert len(house.bus.named("stale.dropped", "root/a")) == 5
    root.address("a").tell(("report", ValueError("its own")))
    assert root.address("a").ask("who", within=5) == ("a", 2)


def test_a_permanent_supervisor_that_shuts_itself_down_comes_back_as_it_was_written(house) -> None:
    """`significant_*`: an automatic shutdown is an orderly exit, and permanent means always."""
    inner = house.nested(
        "inner", house.spec("s", restart="transient", significant=True), house.spec("x"),
        auto_shutdown="any_significant",
    )  # fmt: skip
    root = house.start(inner, intensity=1)
    first = root.which_children()[0].ref
    first.start_child(house.spec("dynamic"))
    first.address("s").tell(("exit", "normal"))
    house.up("root/inner", 2)
    second = root.which_children()[0].ref
    assert house.states(second) == [("s", "up", 2), ("x", "up", 2)]
    with pytest.raises(SupervisorDead):
        first.which_children()
    second.address("s").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown", "it counted: the second one is too many"


def test_what_is_asked_of_a_supervisor_while_it_stops_is_refused_and_never_done(house, wake) -> None:
    """`sup_stop_race`: a call that stands behind the stop finds nobody."""
    made = []

    def make() -> object:
        made.append(1)
        return Probe.start(house.log, "late")

    root = house.start(house.spec("slow", shutdown=30.0, probe={"on_stop": lambda _: wake.wait(30)}))
    stopper = threading.Thread(target=root.stop)
    stopper.start()
    eventually(lambda: ("stop", "slow", 1) in house.log)
    threads = [
        in_background(lambda: root.start_child(ChildSpec("late", make))),
        in_background(lambda: root.restart_child("slow")),
        in_background(root.which_children),
    ]
    wake.set()
    stopper.join(10)
    for thread, outcome in threads:
        thread.join(10)
        assert [type(each) for each in outcome] == [SupervisorDead]
    assert made == []


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "done")])
def test_a_child_that_leaves_in_order_while_it_is_restarted_has_failed_to_start(house, reason) -> None:
    """`sup_start_restart_child_returns_error`: whatever it says in its start, it is not up, and is tried again."""

    def leave_the_second_time(actor) -> None:
        if actor.incarnation == 2:
            actor.exit(reason)

    root = house.start(house.spec("a", restart="transient", probe={"on_start": leave_the_second_time}), intensity=2)
    root.address("a").tell(ValueError())
    house.up("root/a", 3)
    assert house.states(root) == [("a", "up", 3)]
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "the failed start was counted as a restart"


def test_a_significant_child_that_wishes_to_be_ignored_at_its_restart_takes_nobody_along(house) -> None:
    """It did not end by itself after it was up: only its sibling's end is the last one's."""
    starts = []

    def once() -> object:
        starts.append(1)
        return Probe.start(house.log, "s1") if len(starts) == 1 else IGNORE

    s1 = ChildSpec("s1", once, restart="transient", significant=True)
    s2 = house.spec("s2", restart="transient", significant=True)
    root = house.start(s1, s2, auto_shutdown="all_significant")
    root.address("s1").tell(ValueError())
    eventually(lambda: len(starts) == 2)
    assert house.states(root) == [("s1", "undefined", 2), ("s2", "up", 1)]
    root.address("s2").tell(("exit", "normal"))
    assert root.wait(10).kind == "shutdown"


def test_deaths_during_a_slow_start_child_are_dealt_with_once_and_the_new_one_is_up(house, wake) -> None:
    """`start_child` keeps its supervisor busy; whoever dies meanwhile waits its turn, the group is restarted once."""
    root = house.start(house.spec("a"), house.spec("b"), strategy="one_for_all", intensity=1)
    refs = [info.ref for info in root.which_children()]

    def slow(actor) -> None:
        if actor.incarnation == 1:
            wake.wait(10)

    thread, outcome = in_background(lambda: root.start_child(house.spec("c", probe={"on_start": slow})))
    for ref in refs:
        ref.tell(ValueError())
        eventually(lambda ref=ref: not ref.is_alive())
    wake.set()
    thread.join(10)
    assert outcome[0].path == "root/c"
    house.up("root/c", 2)
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2), ("c", "up", 2)]
    with pytest.raises(ActorDeadError):
        outcome[0].ask("who", timeout=5)


def test_a_supervisor_that_gave_up_and_is_restarted_by_hand_begins_with_an_empty_window(house) -> None:
    """A transient supervisor's breach leaves it undefined; `restart_child` makes all of it anew."""
    inner = house.nested("inner", house.spec("w"), restart="transient", intensity=1)
    root = house.start(inner)
    first = root.which_children()[0].ref
    first.start_child(house.spec("dynamic"))
    house.crash(first, "w")
    first.address("w").tell(ValueError())
    house.bus.until("supervisor.subtree_lost", "root/inner")
    eventually(lambda: house.states(root) == [("inner", "undefined", 1)])
    with pytest.raises(NotFound):
        root.address("w")
    second = root.restart_child("inner")
    assert house.states(root) == [("inner", "up", 2)]
    assert [info.id for info in second.which_children()] == ["w"]
    house.crash(second, "w")
    assert root.is_alive()
    assert house.states(root) == [("inner", "up", 2)], "one restart is allowed again"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize(("first", "lives"), [("sibling", True), ("significant", False)])
def test_of_a_significant_end_and_a_siblings_crash_at_once_the_first_decides(house, restart, first, lives) -> None:
    """Whoever ended while its group was already going down was a bystander of that, whatever it meant to do."""
    gate = Gate(house)
    root = house.start(
        house.spec("significant", restart=restart, significant=True), house.spec("sibling"), gate.spec,
        strategy="one_for_all", auto_shutdown="any_significant",
    )  # fmt: skip
    refs = {info.id: info.ref for info in root.which_children()}
    deeds = {"sibling": ValueError("crash"), "significant": ("exit", "normal")}
    gate.close(root)
    for name in sorted(deeds, key=lambda each: each != first):
        refs[name].tell(deeds[name])
        eventually(lambda ref=refs[name]: not ref.is_alive())
    gate.open()
    if not lives:
        assert root.wait(10).kind == "shutdown"
        return
    house.up("root/sibling", 2)
    assert root.is_alive()
    there = [name for name, _, _ in house.states(root)]
    assert ("significant" in there) == (restart == "transient"), "a temporary one is forgotten"


class SpeechlessError(Exception):
    """An error that fails again when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_an_error_without_a_text_is_told_of_like_any_other(house) -> None:
    def refuse() -> None:
        raise SpeechlessError

    with pytest.raises(StartError) as failed:
        house.start(house.spec("a"), ChildSpec("b", refuse), name="stillborn")
    assert isinstance(failed.value.cause, SpeechlessError)
    assert "SpeechlessError: (it has no text)" in str(failed.value)
    root = house.start(house.spec("a"), house.spec("b", error_budget=ErrorBudget(limit=2)))
    house.crash(root, "a")
    for _ in range(2):
        root.address("b").tell(SpeechlessError())
    house.up("root/b", 2)
    with pytest.raises(StartError):
        root.start_child(ChildSpec("c", refuse))
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]


def test_a_failed_start_shows_what_it_came_of(house) -> None:
    def refuse() -> None:
        raise LookupError("not here")

    root = house.start()
    with pytest.raises(StartError) as failed:
        root.start_child(ChildSpec("a", refuse))
    assert failed.value.__cause__ is failed.value.cause
    with pytest.raises(StartError) as failed:
        root.start_child(house.spec("a", probe={"on_start": lambda actor: actor.exit("shutdown")}))
    assert failed.value.__cause__ is None
    assert failed.value.cause.kind == "shutdown"


def test_a_crashs_traceback_begins_in_the_actors_own_code(house, caplog) -> None:
    def handler(actor) -> None:
        raise ValueError("here")

    root = house.start(house.spec("a"))
    root.address("a").tell(handler)
    house.up("root/a", 2)
    (crashed,) = [record for record in caplog.records if "crashed" in record.message]
    frames = traceback.extract_tb(crashed.exc_info[2])
    assert [frame.name for frame in frames] == ["on_receive", "handler"]


def test_a_source_of_jitter_that_raises_costs_the_jitter(house) -> None:
    class Dry:
        def random(self) -> float:
            raise RuntimeError("no more numbers")

    flags = SupervisorFlags(intensity=5, period=60.0)
    specs = [house.spec("a", backoff=Backoff(min=2.0, max=9.0))]
    root = Supervisor.start(flags, specs, clock=house.clock, bus=house.bus, rng=Dry())
    house.roots.append(root)
    root.address("a").tell(ValueError())
    assert house.bus.until("child.restart_scheduled").data["delay"] == 2.0
    house.clock.advance(2.0)
    house.up("root/a", 2)
