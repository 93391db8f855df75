"""G: error budgets, the mailbox, exceptions."""

import asyncio
import threading

import pytest

from darumad.clock import SystemClock
from darumad.supervision import ActorDeadError, ErrorBudget, FatalError, MailboxFull, Timeout
from darumad.supervision.pykka_door import ActorRegistry
from tests.kit import Probe, eventually, fastest
from tests.supervision.conftest import SWITCHING

BUDGET = ErrorBudget(5, 60.0)


def fail(house, address, error: Exception, nth: int) -> None:
    """Make one error and wait until it was judged."""
    address.tell(error)
    house.bus.until("child.error", times=nth)


def test_g1_the_fifth_error_in_a_minute_restarts_once(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET), house.spec("b"), intensity=1, period=600)
    address, at = root.address("a"), 0.0
    for nth, when in enumerate([0, 10, 20, 30, 59.9], 1):
        house.clock.advance(when - at)
        at = when
        assert house.bus.named("child.exited") == []
        fail(house, address, ValueError(nth), nth)
    house.up("root/a", 2)
    assert len(house.bus.named("child.budget_exceeded")) == 1
    assert [e.data["errors_in_window"] for e in house.bus.named("child.error")] == [1, 2, 3, 4, 5]
    assert house.bus.until("child.exited").data["reason"].detail.args == (5,)
    for nth in range(6, 10):
        fail(house, address, ValueError(nth), nth)
    assert address.ask("who", within=5) == ("a", 2)
    row = root.tree()[1]
    assert (row.errors_in_window, row.consecutive_errors, row.restarts, row.last_error) == (4, 4, 1, "ValueError: 9")
    assert root.is_alive()
    root.address("b").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == 2, (
        "the five errors were one restart"
    )


def test_g1_errors_further_apart_than_the_window_restart_nobody(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    for nth in range(1, 13):
        fail(house, root.address("a"), ValueError(), nth)
        house.clock.advance(15)
    assert house.states(root) == [("a", "up", 1)]


@pytest.mark.real_clock
@pytest.mark.usefixtures("beside_a_spinner")
def test_g1_the_window_is_one_of_real_seconds_on_the_real_clock(house) -> None:
    house.clock = clock = SystemClock()
    quick, slow = ErrorBudget(2, 600.0), ErrorBudget(2, 0.1)
    root = house.start(house.spec("quick", error_budget=quick), house.spec("slow", error_budget=slow))
    for nth in (1, 2, 3):
        fail(house, root.address("slow"), ValueError(), nth)
        since = clock.monotonic()
        eventually(lambda since=since: clock.monotonic() - since > 0.1)
    for nth in (4, 5):
        fail(house, root.address("quick"), ValueError(), nth)
    house.up("root/quick", 2)
    assert root.address("slow").incarnation == 1


def test_g3_success_does_not_empty_the_window(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    address = root.address("a")
    for nth in range(1, 5):
        fail(house, address, ValueError(), nth)
        for _ in range(250):
            address.tell("fine")
        address.ask(lambda actor: actor.succeeded(), within=5)
    assert root.tree()[1].consecutive_errors == 0
    assert len(house.whats("fine")) == 1000
    house.clock.advance(59.9)
    assert house.bus.named("child.exited") == []
    fail(house, address, ValueError(), 5)
    house.up("root/a", 2)


def test_g4_a_late_error_of_an_old_life_counts_for_nobody(house) -> None:
    root = house.start(house.spec("a", error_budget=BUDGET))
    address = root.address("a")
    for incarnation in (2, 3):
        address.tell(("exit", "normal"))
        house.up("root/a", incarnation)
    third = address.ask(lambda actor: actor, within=5)
    for _ in range(4):
        third.report(ValueError())
    address.tell(("exit", "normal"))
    house.up("root/a", 4)
    third.report(ValueError("late"))
    assert house.bus.until("stale.dropped", "root/a").incarnation == 3
    assert root.tree()[1].errors_in_window == 0
    for nth in range(5, 9):
        fail(house, address, ValueError(), nth)
    assert address.ask("who", within=5) == ("a", 4)


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
    for _ in range(3):
        with pytest.raises(ValueError, match="boom"):
            address.ask(ValueError("boom"), within=5)
    assert {e.data["judged"] for e in house.bus.named("child.error")} == {"ignore"}
    row = root.tree()[1]
    assert (row.errors_in_window, row.incarnation) == (0, 1)


@pytest.mark.parametrize("judge", [lambda error: 1 / 0, lambda error: "maybe", lambda error: None])
def test_g6_a_broken_judge_saves_nobody(house, judge) -> None:
    root = house.start(house.spec("a", error_budget=ErrorBudget(5, 60.0, judge=judge)))
    root.address("a").tell(ValueError())
    house.up("root/a", 2)
    assert house.bus.until("child.error").data["judged"] == "crash"


@SWITCHING
def test_g9_what_waits_behind_a_crash_is_told_so(house, switching) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a"))
    ref = root.which_children()[0].ref
    ref.tell(("block", wake))
    ref.tell(ValueError())
    for n in range(3):
        ref.tell(n)
    asks = [ref.ask("who", block=False) for _ in range(2)]
    wake.set()

    def both_end() -> None:
        for ask in asks:
            with pytest.raises(ActorDeadError):
                ask.get(timeout=5)

    assert fastest(both_end, enough=1.0) < 1.0
    house.up("root/a", 2)
    assert len(house.bus.named("dead_letter")) == 3
    assert not [what for what, *_ in house.log if isinstance(what, int)]


def test_without_a_budget_an_asked_error_crashes_too(house) -> None:
    root, error = house.start(house.spec("a")), ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        root.address("a").ask(error, within=5)
    assert caught.value is error
    house.up("root/a", 2)
    assert ("failure", "a", 1) in house.log


def test_without_a_budget_a_proxys_error_crashes_too(house) -> None:
    root = house.start(house.spec("a"))
    proxy = root.which_children()[0].ref.proxy()
    assert proxy.id.get(timeout=5) == "a"
    with pytest.raises(TypeError):
        proxy.note().get(timeout=5)
    house.up("root/a", 2)


def test_a_report_from_another_thread_crashes_after_the_message(house) -> None:
    root = house.start(house.spec("a"))
    old = root.address("a").ask(lambda actor: actor, within=5)
    reporter = threading.Thread(target=old.report, args=(ValueError(),))
    reporter.start()
    reporter.join()
    house.up("root/a", 2)


def test_base_exceptions_end_one_actor_and_no_peer(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    errors = [SystemExit(), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()]
    for n, error in enumerate(errors):
        with pytest.raises(type(error)):
            root.address("a").ask(error, within=5)
        house.up("root/a", n + 2)
    assert root.address("b").ask("who", within=5) == ("b", 1)


def test_stop_overtakes_the_backlog(house) -> None:
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


def test_the_mailbox_is_bounded_but_not_for_the_supervisor(house) -> None:
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


def test_an_address_nobody_holds_takes_dead_letters(house) -> None:
    root = house.start(house.spec("a"))
    address = root.address("a")
    root.terminate_child("a")
    address.tell("x")
    house.bus.until("dead_letter", "root/a")
    with pytest.raises(ActorDeadError):
        address.ask("x", within=5)
    root.delete_child("a")
    address.tell("x")
    house.bus.until("dead_letter", "root/a", times=2)
    with pytest.raises(ActorDeadError):
        address.ask("x", within=5)


@SWITCHING
def test_every_ask_ends_though_its_actor_dies(house, switching) -> None:
    root = house.start(house.spec("a"), intensity=10_000)
    address, ends, over = root.address("a"), [], threading.Event()

    def asker() -> None:
        while not over.is_set():
            try:
                ends.append(address.ask("who", within=20))
            except Exception as error:  # noqa: BLE001
                ends.append(type(error).__name__)

    askers = [threading.Thread(target=asker) for _ in range(4)]
    for thread in askers:
        thread.start()
    for n in range(12):
        house.up("root/a", n + 1)
        address.tell(ValueError())
    over.set()
    for thread in askers:
        thread.join(30)
        assert not thread.is_alive()
    assert "Timeout" not in ends


@SWITCHING
def test_every_tell_is_handled_or_a_dead_letter_though_its_actor_dies(house, switching) -> None:
    root = house.start(house.spec("a", mailbox=1_000_000), intensity=10_000)
    address, told = root.address("a"), []

    def teller(name: int) -> None:
        for n in range(200):
            address.tell((name, n))
            told.append((name, n))

    tellers = [threading.Thread(target=teller, args=(name,)) for name in range(4)]
    for thread in tellers:
        thread.start()
    for n in range(20):
        house.up("root/a", n + 1)
        address.tell(ValueError())
    for thread in tellers:
        thread.join(30)
    house.up("root/a", 21)
    eventually(lambda: root.tree()[1].mailbox_depth == 0)
    root.stop()
    handled = [what for what, *_ in house.log if isinstance(what, tuple)]
    letters = [e for e in house.bus.named("dead_letter") if e.data["message"] == "tuple"]
    assert len(set(handled)) == len(handled)
    assert len(handled) + len(letters) == len(told) == 800


def test_an_actor_that_nobody_supervises_is_a_pykka_actor(house) -> None:
    ref = Probe.start(house.log, "free")
    assert ref.proxy().id.get(timeout=5) == "free"
    assert (ref.path, ref.incarnation) == ("", 0)
    assert ref in ActorRegistry.get_all()
    assert ref.stop()
    assert not ref.is_alive()
    assert ref not in ActorRegistry.get_all()


def test_an_actor_may_tell_itself(house) -> None:
    root = house.start(house.spec("a"))
    root.address("a").tell(lambda actor: actor.actor_ref.tell("later"))
    eventually(lambda: ("later", "a", 1) in house.log)


def test_on_failure_runs_after_the_crash_was_reported(house, wake) -> None:
    root = house.start(house.spec("a", shutdown=0.05, probe={"on_failure": lambda _: wake.wait(60)}))
    root.address("a").tell(ValueError())
    house.up("root/a", 2)
    assert house.bus.until("child.exited").data["reason"].kind == "crash"
    assert house.bus.until("child.abandoned").incarnation == 1
    assert root.leaked == 1


def test_an_ask_that_takes_too_long_times_out_and_is_handled_all_the_same(house) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a"))
    root.address("a").tell(("block", wake))
    with pytest.raises(Timeout):
        root.address("a").ask("late", within=0.01)
    wake.set()
    eventually(lambda: ("late", "a", 1) in house.log)


async def test_awaiting_an_answer_does_not_block_the_loop(house) -> None:
    wake = threading.Event()
    root = house.start(house.spec("a"))
    ref = root.which_children()[0].ref
    ref.tell(("block", wake))
    asking = asyncio.ensure_future(_answer_of(ref.ask("who", block=False)))
    await asyncio.sleep(0)
    assert not asking.done()
    wake.set()
    assert await asyncio.wait_for(asking, 5) == ("a", 1)
    assert await _answer_of(ref.ask("who", block=False).map(len)) == 2
    with pytest.raises(ValueError, match="boom"):
        await _answer_of(ref.ask(ValueError("boom"), block=False))


async def _answer_of(reply):
    return await reply


def test_a_reply_may_be_filtered_mapped_and_joined_as_pykkas(house) -> None:
    root = house.start(house.spec("a"))
    ref = root.which_children()[0].ref
    asks = [ref.ask(n, block=False) for n in range(3)]
    assert asks[0].join(*asks[1:]).map(sum).get(timeout=5) == 3
    assert ref.ask([1, 2, 3], block=False).filter(lambda n: n > 1).get(timeout=5) == [2, 3]
