"""The lives of the role actors: what restarts one, what does not, and that an actor is up without its agent."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from darumad.actors import Station
from darumad.actors.places import instances, restart_instances
from darumad.agents import AgentDefinition, SpawnRefused
from darumad.bridge import Limit, half
from darumad.names import Millis, Role, Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from darumad.work.states import WorkState
from tests.actors.company import Company, Poison, completed, failed
from tests.kit import Gate, eventually

Companies = Callable[..., Company]
ONLY = {"stages": (Stage.EXECUTING,), "max_attempts": 100}
PLACE = "daruma/engine/minds/executors/of-executor/executor/1"
EXECUTOR = "of-executor/executor/1"


def fail_all(daemon: Company, count: int) -> None:
    """So many items that fail once each, one after the other, by a kind that counts."""
    for number in range(count):
        daemon.submit(f"i{number}", **ONLY)
        daemon.becomes(f"i{number}", WorkState.SCHEDULED)


async def fail(item: WorkItem, context: Context) -> WorkResult:
    return failed("tool_error", StopReason.TOOL_ERROR)


def test_four_errors_degrade_an_instance_and_do_not_restart_it(company: Companies) -> None:
    daemon = company(count=1, executor=fail).start()
    fail_all(daemon, 4)
    daemon.until("agent.error_recorded", times=4)
    row = daemon.instance(EXECUTOR)
    assert (row.incarnation, row.errors_in_window, row.state) == (1, 4, "up")
    assert len(daemon.until("agent.health_degraded")) == 1


def test_the_fifth_error_within_the_window_restarts_it_after_its_backoff_and_it_works_again(
    company: Companies,
) -> None:
    daemon = company(count=1, executor=fail).start()
    fail_all(daemon, 5)
    eventually(lambda: daemon.instance(EXECUTOR).state == "restarting")
    assert daemon.desk.record("i4").failures == 1, "its last item had moved on before its life ended"
    daemon.minds[Role.EXECUTOR] = _well
    daemon.clock.advance(1.1)
    daemon.until("agent.restarted")
    row = daemon.instance(EXECUTOR)
    assert (row.incarnation, row.errors_in_window, row.state) == (2, 0, "up")
    daemon.submit("next", **ONLY)
    daemon.succeeds("next")
    (fact,) = daemon.facts("agent.restarted")
    assert (fact["agent"], fact["reason"]) == ("executor", "errors")


def test_operators_who_restart_an_instance_at_once_all_get_it_restarted(company: Companies) -> None:
    daemon = company(count=1).start()
    together, asked = threading.Barrier(8), ThreadPoolExecutor(8)

    def ask(_: int) -> dict[str, str | None]:
        together.wait()
        return restart_instances(daemon.root, [PLACE], lambda _: None)

    with asked:
        assert list(asked.map(ask, range(8))) == [{PLACE: None}] * 8
    eventually(lambda: daemon.instance(EXECUTOR).state == "up")


def test_an_instance_whose_supervisor_ends_as_it_is_asked_for_has_its_new_life_from_there(company: Companies) -> None:
    daemon = company(count=1).start()
    above = daemon.instance("executors").ref

    def its_supervisor_ends(_: str) -> None:
        above.terminate_child("of-executor")

    assert restart_instances(daemon.root, [PLACE], its_supervisor_ends) == {PLACE: None}
    above.restart_child("of-executor")
    daemon.submit("one")
    daemon.succeeds("one")


def test_an_instance_that_cannot_be_started_anew_keeps_no_other_from_it_and_is_tried_again(company: Companies) -> None:
    daemon = company(count=3)
    paths = [f"{PLACE[:-1]}{number}" for number in (1, 2, 3)]
    station, no_threads = daemon._station, list[bool]()

    def with_what_the_system_gives(role: Role, definition: AgentDefinition) -> Station:
        if no_threads and no_threads.pop():
            raise RuntimeError("can't start new thread")
        return station(role, definition)

    daemon._station = with_what_the_system_gives  # type: ignore[method-assign]
    daemon.start().seated()
    no_threads += [True, False]  # for the second of those that are asked for
    tried = restart_instances(daemon.root, paths, lambda _: None)
    assert tried == {paths[0]: None, paths[1]: "executor/2: RuntimeError: can't start new thread", paths[2]: None}
    eventually(lambda: daemon.instance("executor/2").state == "restarting")
    daemon.clock.advance(1.0)
    eventually(lambda: daemon.instance("executor/2").state == "up")
    assert [daemon.instance(path).incarnation for path in paths] == [2, 3, 2]


def test_errors_that_lie_further_apart_than_the_window_restart_nobody(company: Companies) -> None:
    daemon = company(count=1, executor=fail).start()
    for number in range(6):
        daemon.submit(f"i{number}", **ONLY, expires_at=None)
        daemon.becomes(f"i{number}", WorkState.SCHEDULED)
        daemon.minds[Role.EXECUTOR] = _well
        daemon.clock.advance(61.0)
        daemon.succeeds(f"i{number}")
        daemon.minds[Role.EXECUTOR] = fail
    assert daemon.instance(EXECUTOR).incarnation == 1


def test_an_agents_exit_of_the_process_is_its_items_crash_and_its_actor_lives(company: Companies) -> None:
    async def leave(item: WorkItem, context: Context) -> WorkResult:
        raise SystemExit(3)

    daemon = company(count=1, executor=leave).start()
    daemon.submit("one", **ONLY)
    daemon.becomes("one", WorkState.SCHEDULED)
    assert daemon.desk.record("one").failures == 1
    assert daemon.instance(EXECUTOR).incarnation == 1
    (recorded,) = daemon.until("agent.error_recorded")
    assert "agent_crashed" in recorded["error"]


def test_an_instance_that_keeps_falling_is_benched_and_comes_back_when_somebody_asks(company: Companies) -> None:
    daemon = company(count=1).start()
    for state in ("restarting", "restarting", "restarting", "benched"):
        daemon.instance(EXECUTOR).ref.tell(Poison())
        eventually(lambda state=state: daemon.instance(EXECUTOR).state == state)
        daemon.clock.advance(10.0)
    daemon.until("agent.benched")
    daemon.submit("one", **ONLY)
    other = {**ONLY, "agent": "other"}
    daemon.submit("two", **other)
    daemon.succeeds("two")
    assert daemon.desk.state("one") is WorkState.READY, "there is nobody to work on it, and nobody else was restarted"
    daemon.instance("of-executor").ref.restart_child("executor/1")
    daemon.until("agent.unbenched")
    daemon.succeeds("one")


def test_an_actor_is_up_without_its_agent_and_its_items_wait_until_there_is_one(
    company: Companies, monkeypatch: Any
) -> None:
    monkeypatch.setattr(half, "RESPAWN_FIRST", 0.01)
    daemon, key = company(count=1), threading.Event()
    make = daemon.make

    def refused(role: Role, definition: Any) -> Any:
        if definition.name == "executor" and not key.is_set():
            raise SpawnRefused("no key is configured")
        return make(role, definition)

    daemon.make = refused
    daemon.start()
    daemon.submit("one", **ONLY)
    daemon.until("agent.spawn_failed", times=2)
    assert daemon.instance(EXECUTOR).state == "up"
    assert daemon.bridge.spawn_errors() == {f"{PLACE}#1": "no key is configured"}
    assert daemon.desk.state("one") is WorkState.READY
    assert [each["reason"] for each in daemon.facts("agent.health_degraded")] == ["no key is configured"]
    key.set()
    daemon.succeeds("one")
    assert len(daemon.until("agent.health_restored")) == 1
    assert daemon.instance(EXECUTOR).incarnation == 1


def test_while_its_agent_is_made_an_instance_is_starting_and_idle_only_then(
    company: Companies, monkeypatch: Any
) -> None:
    gate, daemon = Gate(), company(count=1)

    async def slowly(role: Role, definition: Any) -> Any:
        if definition.name == "executor":
            await gate.passed()
        return daemon.make(role, definition)

    monkeypatch.setattr(daemon, "_made", slowly)
    states = lambda: {each["agent"]: each["state"] for each in instances(daemon.root, daemon.bridge, Millis(0))}  # noqa: E731
    daemon.start()
    up = {"orchestrator": "idle", "optimizer": "idle", "reviewer": "idle"}
    eventually(lambda: states() == {**up, "executor": "starting"})
    gate.open()
    eventually(lambda: states() == {**up, "executor": "idle"})


def test_a_task_that_ignores_its_cancel_costs_its_actor_its_life_and_the_slot_is_free_again(
    company: Companies,
) -> None:
    go, begun = Gate(), threading.Event()

    async def deaf(item: WorkItem, context: Context) -> WorkResult:
        if item.id != "one":
            return completed()
        begun.set()
        while not go.is_open:
            with suppress(asyncio.CancelledError):
                await go.passed()
        return completed()

    daemon = company(count=1, grace=0.05, executor=deaf).start()
    daemon.submit("one", **ONLY)
    assert begun.wait(10)
    (running,) = daemon.desk.cancel("one").running
    daemon.bridge.cancel([Owner(running[0], running[2])], Limit.CANCELLED, lambda _: None)
    eventually(lambda: daemon.instance(EXECUTOR).state == "restarting")
    daemon.submit("two", **ONLY)
    daemon.clock.advance(1.1)
    daemon.succeeds("two")
    assert daemon.instance(EXECUTOR).incarnation == 2
    assert daemon.bridge.health().abandoned == 1
    go.open()
    assert daemon.desk.state("one") is WorkState.CANCELLED


def test_what_a_life_says_after_its_end_is_dropped_and_a_stale_move_changes_nothing(company: Companies) -> None:
    """The orchestrator has put the item back; its next holder's work counts, the first one's does not."""
    lives: list[str] = []
    go = Gate()

    async def first_is_late(item: WorkItem, context: Context) -> WorkResult:
        lives.append("begun")
        if len(lives) > 1:
            return completed(text="by the second life")
        while not go.is_open:
            with suppress(asyncio.CancelledError):
                await go.passed()
        return completed(text="by the first life")

    daemon = company(count=1, executor=first_is_late).start()
    daemon.submit("one", **ONLY)
    eventually(lambda: lives)
    pool = daemon.instance("of-executor").ref
    pool.terminate_child("executor/1")
    pool.restart_child("executor/1")
    daemon.succeeds("one")
    go.open()
    eventually(lambda: not daemon.bridge.in_flight())
    result = daemon.desk.reader.result("one")  # type: ignore[arg-type]
    assert result is not None
    assert result["text"] == "by the second life"


async def _well(item: WorkItem, context: Context) -> WorkResult:
    return completed(text="it went well")
