"""Restarts that fail or hang, and what can be done meanwhile. OTP's `supervisor_SUITE:hanging_restart_loop*`."""

import threading

import pytest

from darumad.supervision import IGNORE, ChildSpec, Restarting, StartError, Timeout
from tests.kit import Probe, eventually, pause
from tests.supervision.conftest import SWITCHING


class Turnstile:
    """An `on_start` that lets the first start pass; each later one waits to be let through, to fail or to succeed."""

    def __init__(self, house) -> None:
        self.starts, self.fails = 0, True
        self._through = threading.Semaphore(0)
        self._house = house

    def __call__(self, _actor) -> None:
        self.starts += 1
        if self.starts == 1:
            return
        assert self._through.acquire(timeout=10)
        if self.fails:
            raise RuntimeError("not yet")

    def until(self, starts: int) -> None:
        eventually(lambda: self.starts >= starts)

    def let_through(self, times: int = 1) -> None:
        self._through.release(times)


def in_background(call):
    """Run `call` in a thread; its outcome, an answer or an exception, comes into the list."""
    outcome = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    pause(0.05)  # its call is to stand in the supervisor's lane before the start that it waits for ends
    return thread, outcome


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_calls_are_answered_between_the_attempts_of_a_restart_loop(house, strategy) -> None:
    turnstile = Turnstile(house)
    root = house.start(house.spec("a", probe={"on_start": turnstile}), house.spec("b"), strategy=strategy)
    root.address("a").tell(ValueError())
    turnstile.until(2)
    calls = (
        root.which_children,
        lambda: root.restart_child("a"),
        lambda: root.delete_child("a"),
        lambda: root.count_children()["active"],
        lambda: root.terminate_child("a"),
        root.which_children,
    )
    waiting = [in_background(call) for call in calls]
    turnstile.let_through()
    for thread, _ in waiting:
        thread.join(10)
    states, restart, delete, active, terminate, after = (outcome[0] for _, outcome in waiting)
    assert states[0].state == "restarting"
    assert isinstance(restart, Restarting)
    assert isinstance(delete, Restarting)
    assert active == (1 if strategy == "one_for_one" else 0)
    assert terminate is None
    assert after[0].state == "undefined"
    assert turnstile.starts == 2, "terminated: the loop has ended"
    turnstile.fails = False
    turnstile.let_through()
    assert root.restart_child("a").incarnation == 3


def test_a_stop_gets_in_between_the_attempts(house) -> None:
    turnstile = Turnstile(house)
    root = house.start(house.spec("a", probe={"on_start": turnstile}), house.spec("b"), intensity=3)
    root.address("a").tell(ValueError())
    turnstile.until(2)
    thread, outcome = in_background(root.stop)
    turnstile.let_through()
    thread.join(10)
    assert outcome == [True]
    assert turnstile.starts == 2
    assert root.wait(0).kind == "shutdown"
    assert house.whats("stop") == [("stop", "b")]


def test_a_pools_child_in_a_restart_loop_is_counted_and_not_active(house) -> None:
    # OTP's case hanging_restart_loop_simple.
    turnstile = Turnstile(house)
    template = ChildSpec("w", lambda: Probe.start(house.log, "w", on_start=turnstile))
    root = house.start(template, strategy="pool")
    root.start_child().tell(ValueError())
    turnstile.until(2)
    counting, listing = in_background(root.count_children), in_background(root.which_children)
    turnstile.let_through()
    for thread, _ in (counting, listing):
        thread.join(10)
    assert counting[1] == [{"specs": 1, "active": 0, "supervisors": 0, "workers": 1}]
    assert [(info.state, info.ref) for info in listing[1][0]] == [("restarting", None)]
    turnstile.fails = False
    turnstile.let_through()
    house.up("root/1", 3)
    assert root.count_children()["active"] == 1


def test_a_pools_child_that_wishes_to_be_ignored_at_its_restart_is_gone(house) -> None:
    answers = [None, IGNORE]

    def once():
        return Probe.start(house.log, "w") if answers.pop(0) is None else IGNORE

    root = house.start(ChildSpec("w", once), strategy="pool")
    root.start_child().tell(ValueError())
    eventually(lambda: root.which_children() == [])
    assert root.is_alive()


def test_a_pool_stops_while_one_of_its_children_waits_for_its_next_try(house) -> None:
    turnstile = Turnstile(house)

    def start(name):
        return Probe.start(house.log, name, on_start=turnstile if name == "bad" else None)

    root = house.start(ChildSpec("w", start), strategy="pool")
    bad = root.start_child("bad")
    root.start_child("good")
    bad.tell(ValueError())
    turnstile.until(2)
    thread, outcome = in_background(root.stop)
    turnstile.let_through()
    thread.join(10)
    assert outcome == [True]
    assert house.whats("stop") == [("stop", "good")]


def test_a_restart_whose_start_hangs_is_abandoned_and_tried_again(house, wake) -> None:
    def hangs_once(actor) -> None:
        if actor.incarnation == 2:
            wake.wait(60)

    root = house.start(house.spec("a", start_timeout=0.1, probe={"on_start": hangs_once}), intensity=2)
    root.address("a").tell(ValueError())
    house.up("root/a", 3)
    failed = house.bus.until("child.start_failed")
    assert isinstance(failed.data["reason"].detail, Timeout)
    assert house.bus.until("child.abandoned").incarnation == 2
    assert root.leaked == 1
    assert root.address("a").ask("who", within=5) == ("a", 3)
    wake.set()
    eventually(lambda: root.leaked == 0)
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "two restarts were spent"


def test_a_start_that_ends_after_its_time_does_nothing_any_more(house, wake) -> None:
    root = house.start()
    with pytest.raises(StartError):
        root.start_child(house.spec("a", start_timeout=0.05, probe={"on_start": lambda _: wake.wait(60)}))
    assert root.start_child(house.spec("a")).incarnation == 2
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert root.address("a").ask("who", within=5) == ("a", 2)
    assert house.whats("stop", "failure") == []
    assert [e.incarnation for e in house.bus.named("child.started")] == [2]


def test_a_supervisor_whose_start_takes_too_long_leaves_no_orphan(house, wake) -> None:
    def hangs_once(actor) -> None:
        if actor.incarnation == 1:
            wake.wait(60)

    slow = house.spec("slow", start_timeout=60.0, probe={"on_start": hangs_once})
    inner = house.nested("s", house.spec("first"), slow, house.spec("last"))
    nested = ChildSpec("s", inner.start, type="supervisor", start_timeout=0.2)
    root = house.start()
    with pytest.raises(StartError) as caught:
        root.start_child(nested)
    assert isinstance(caught.value.cause, Timeout)
    again = root.start_child(nested)
    assert house.states(again) == [("first", "up", 2), ("slow", "up", 2), ("last", "up", 1)]
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("stop") == [], "the old supervisor's thread touched nothing of the new one's"
    assert house.states(again) == [("first", "up", 2), ("slow", "up", 2), ("last", "up", 1)]
    assert [row.path for row in root.tree()] == ["root", "root/s", "root/s/first", "root/s/slow", "root/s/last"]


@SWITCHING
def test_api_calls_from_many_threads_do_not_disturb_a_restart_loop(house, switching) -> None:
    def fails_often(actor) -> None:
        if actor.incarnation % 4:
            raise RuntimeError("mostly not")

    root = house.start(house.spec("b"), intensity=10_000)
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            root.which_children()
            root.count_children()
            root.get_childspec("b")

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        with pytest.raises(StartError):
            root.start_child(house.spec("a", probe={"on_start": fails_often}))
    root.start_child(house.spec("a", probe={"on_start": fails_often}))
    address = root.address("a")
    for incarnation in (8, 12, 16):
        address.tell(ValueError())
        house.up("root/a", incarnation)
    over.set()
    for caller in callers:
        caller.join(10)
    assert [e.incarnation for e in house.bus.named("child.started", "root/a")] == [4, 8, 12, 16]
    assert [e.incarnation for e in house.bus.named("child.exited", "root/a")] == [4, 8, 12]
