"""G: error budgets, the mailbox, exceptions."""

import threading
import time

import pytest

from darumad.supervision import ActorDeadError, ErrorBudget, FatalError, MailboxFull
from darumad.supervision.pykka_door import ActorRegistry
from tests.kit import Probe, eventually

BUDGET = ErrorBudget(5, 60.0)


def fail(house, address, error: Exception, nth: int) -> None:
    """Make one error and wait until it was judged."""
    address.tell(error)
    house.bus.until("child.error", times=nth)


def test_g1_the_fifth_error_in_a_minute_restarts_once(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET), intensity=1)
    address, at = root.address("a"), 0.0
    for nth, when in enumerate([0, 10, 20, 30, 59.9], 1):
        house.clock.advance(when - at)
        at = when
        assert house.bus.named("child.exited") == []
        fail(house, address, ValueError(nth), nth)
    house.up("root/a", 2)
    assert len(house.bus.named("child.budget_exceeded")) == 1
    assert [e.data["errors_in_window"] for e in house.bus.named("child.error")] == [1, 2, 3, 4, 5]
    for nth in range(6, 10):
        fail(house, address, ValueError(nth), nth)
    assert address.ask("who", within=5) == ("a", 2)
    row = root.tree()[1]
    assert (row.errors_in_window, row.consecutive_errors, row.restarts, row.last_error) == (4, 4, 1, "ValueError: 9")
    assert root.is_alive()


def test_g3_success_does_not_empty_the_window(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    address = root.address("a")
    for nth in range(1, 5):
        fail(house, address, ValueError(), nth)
        for _ in range(250):
            address.tell("fine")
        address.ask(lambda actor: actor.succeeded(), within=5)
    assert root.tree()[1].consecutive_errors == 0
    fail(house, address, ValueError(), 5)
    house.up("root/a", 2)


def test_g4_a_late_error_of_an_old_life_counts_for_nobody(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    address = root.address("a")
    old = address.ask(lambda actor: actor, within=5)
    for _ in range(4):
        old.report(ValueError())
    address.tell(("exit", "normal"))
    house.up("root/a", 2)
    old.report(ValueError("late"))
    assert house.bus.until("stale.dropped", "root/a").incarnation == 1
    assert root.tree()[1].errors_in_window == 0


@pytest.mark.parametrize("error", [AssertionError("x"), MemoryError("x"), FatalError("x"), SystemExit(3)])
def test_g6_some_errors_crash_at_once(house, error) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    root.address("a").tell(error)
    house.up("root/a", 2)
    assert house.bus.until("child.error").data["judged"] == "crash"
    assert house.bus.until("child.exited").data["reason"].detail is error
    assert house.bus.named("child.budget_exceeded") == []


def test_g6_an_ignored_error_is_only_told(house) -> None:
    budget = ErrorBudget(1, 60.0, judge=lambda error: "ignore" if isinstance(error, ValueError) else "count")
    root = house.start(house.spec("a", error_budget=budget))
    address = root.address("a")
    with pytest.raises(ValueError, match="boom"):
        address.ask(ValueError("boom"), within=5)
    assert house.bus.until("child.error").data["judged"] == "ignore"
    row = root.tree()[1]
    assert (row.errors_in_window, row.incarnation) == (0, 1)


def test_g_without_a_budget_an_asked_error_crashes_too(house) -> None:
    root, error = house.start(house.spec("a")), ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        root.address("a").ask(error, within=5)
    assert caught.value is error
    house.up("root/a", 2)
    assert ("failure", "a", 1) in house.log


def test_g_a_report_from_another_thread_crashes_after_the_message(house) -> None:
    root = house.start(house.spec("a"))
    old = root.address("a").ask(lambda actor: actor, within=5)
    reporter = threading.Thread(target=old.report, args=(ValueError(),))
    reporter.start()
    reporter.join()
    house.up("root/a", 2)


def test_g7_base_exceptions_end_one_actor_and_no_peer(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    for n, error in enumerate([SystemExit(), KeyboardInterrupt(), GeneratorExit()]):
        with pytest.raises(type(error)):
            root.address("a").ask(error, within=5)
        house.up("root/a", n + 2)
    assert root.address("b").ask("who", within=5) == ("b", 1)


def test_g9_what_waits_behind_a_crash_is_told_so(house) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a"))
    ref = root.which_children()[0].ref
    ref.tell(("block", wake))
    ref.tell(ValueError())
    for n in range(3):
        ref.tell(n)
    asks = [ref.ask("who", block=False) for _ in range(2)]
    wake.set()
    for ask in asks:
        with pytest.raises(ActorDeadError):
            ask.get(timeout=5)
    house.up("root/a", 2)
    assert len(house.bus.named("dead_letter")) == 3
    assert not [what for what, *_ in house.log if isinstance(what, int)]


def test_g_stop_overtakes_the_backlog(house) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a", restart="temporary"))
    ref = root.which_children()[0].ref
    ref.tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    for n in range(1000):
        ref.tell(n)
    stop = ref.stop(block=False)
    wake.set()
    assert stop.get(timeout=10) is True
    house.bus.until("child.exited")
    assert len(house.bus.named("dead_letter")) == 1000


def test_g_the_mailbox_is_bounded_but_not_for_the_supervisor(house) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a", mailbox=2))
    ref, address = root.which_children()[0].ref, root.address("a")
    ref.tell(("block", wake))
    eventually(lambda: ("blocked", "a", 1) in house.log)
    ref.tell(1)
    ref.tell(2)
    for send in (ref.tell, ref.ask, address.tell, lambda m: address.ask(m, within=1)):
        with pytest.raises(MailboxFull):
            send(3)
    assert root.tree()[1].mailbox_depth == 2
    threading.Timer(0.05, wake.set).start()
    root.terminate_child("a")
    assert house.bus.until("child.exited").data["reason"].kind == "shutdown"


def test_g_an_address_nobody_holds_takes_dead_letters(house) -> None:
    root = house.start(house.spec("a"))
    address = root.address("a")
    root.terminate_child("a")
    address.tell("x")
    house.bus.until("dead_letter", "root/a")
    with pytest.raises(ActorDeadError):
        address.ask("x", within=5)
    root.delete_child("a")
    address.tell("x")
    with pytest.raises(ActorDeadError):
        address.ask("x", within=5)


def test_g_every_ask_ends_though_its_actor_dies(house) -> None:
    root = house.start(house.spec("a"), intensity=10_000)
    address, ends, stop = root.address("a"), [], threading.Event()

    def asker() -> None:
        while not stop.is_set():
            try:
                ends.append(address.ask("who", within=20))
            except Exception as error:  # noqa: BLE001
                ends.append(type(error).__name__)

    askers = [threading.Thread(target=asker) for _ in range(4)]
    for thread in askers:
        thread.start()
    for n in range(30):
        house.up("root/a", n + 1)
        address.tell(ValueError())
    stop.set()
    for thread in askers:
        thread.join(30)
        assert not thread.is_alive()
    assert "Timeout" not in ends


def test_g_an_actor_that_nobody_supervises_is_a_pykka_actor(house) -> None:
    ref = Probe.start(house.log, "free")
    assert ref.proxy().id.get(timeout=5) == "free"
    assert (ref.path, ref.incarnation) == ("", 0)
    assert ref in ActorRegistry.get_all()
    assert ref.stop()
    assert not ref.is_alive()
    assert ref not in ActorRegistry.get_all()


def test_g_an_actor_may_tell_itself(house) -> None:
    root = house.start(house.spec("a"))
    root.address("a").tell(lambda actor: actor.actor_ref.tell("later"))
    eventually(lambda: ("later", "a", 1) in house.log)


def test_g_on_failure_runs_after_the_crash_was_reported(house) -> None:
    wake = threading.Event()
    house.opened.append(wake)
    root = house.start(house.spec("a", shutdown=0.05, probe={"on_failure": lambda _: wake.wait(60)}))
    begun = time.monotonic()
    root.address("a").tell(ValueError())
    house.up("root/a", 2)
    assert time.monotonic() - begun < 5
    assert house.bus.until("child.exited").data["reason"].kind == "crash"
    assert root.leaked == 1
