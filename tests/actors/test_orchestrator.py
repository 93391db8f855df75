"""The one hand that hands work out: what it gives to whom, what follows each end, and what it does when shaken."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from darumad.actors import Barred, Claiming, HowClaiming
from darumad.actors import orchestrator as room
from darumad.actors.messages import Beat, Committed, Hint, SlotUp
from darumad.actors.places import restart_instances
from darumad.agents import AgentDefinition
from darumad.bridge import Done, Ended, Limit, Seat, degraded
from darumad.events import WorkParked
from darumad.journal import Claim, Note, Rescue, Slot
from darumad.journal.room import Room
from darumad.names import ActorPath, AgentName, Fence, Incarnation, ItemId, Millis, Role, Seconds, Stage
from darumad.values import changed
from darumad.work.blame import SETTLED_AFTER
from darumad.work.codec import plan_to_json
from darumad.work.gates import Verdict
from darumad.work.item import WorkItem
from darumad.work.plan import Plan, PlannedItem
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from darumad.work.states import WorkState
from tests.actors.company import REREAD, Company, Poison, completed, failed, review
from tests.actors.held import Held
from tests.journal.desk import DO, Desk, move, new_item
from tests.journal.desk import Gate as Writer
from tests.kit import captured_logs, eventually
from tests.kit.clock import FakeClock

Companies = Callable[..., Company]
Work = Callable[[WorkItem, Context], Awaitable[WorkResult]]


def in_turn(*ends: WorkResult) -> Work:
    """Ends as said, one after the other; the last for ever."""
    left = list(ends)

    async def work(item: WorkItem, context: Context) -> WorkResult:
        return left.pop(0) if len(left) > 1 else left[0]

    return work


def how_claiming(daemon: Company) -> Claiming:
    """What the orchestrator says of it."""
    said: queue.SimpleQueue[Claiming] = queue.SimpleQueue()
    daemon.tell(HowClaiming(said.put))
    return said.get(timeout=10.0)


TOOL = failed("tool_error", StopReason.TOOL_ERROR)
ONE = Barred(but_one={AgentName("executor"): "near"})


# --- the walk ---------------------------------------------------------------------------------------------------------


def submit_goal(daemon: Company, name: str = "goal", **more: Any) -> None:
    daemon.submit(name, role=Role.ORCHESTRATOR, agent=AgentName("orchestrator"), stages=(Stage.PLANNING,), **more)


def test_a_goal_is_planned_and_what_is_planned_is_done_in_its_order(company: Companies) -> None:
    daemon = company().start()
    submit_goal(daemon)
    daemon.succeeds("goal", "planned-1", "planned-2")
    (made,) = daemon.facts("plan.created", "goal")
    assert made["items"] == ["planned-1", "planned-2"]
    done = [item for item, context in daemon.contexts if context.stage is Stage.EXECUTING]
    assert done == ["planned-1", "planned-2"]
    result = daemon.desk.reader.result(ItemId("goal"))
    assert result is not None
    assert [(each["id"], each["depends_on"]) for each in result["data"]["items"]] == [
        ("planned-1", []), ("planned-2", ["planned-1"]),
    ]  # fmt: skip


def test_a_plan_for_which_there_is_no_room_waits_and_is_handed_in_later(
    company: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = company().start()
    submit_goal(daemon, hint=False)
    monkeypatch.setattr(Room, "low", lambda _: "there is no room")
    daemon.tell(Hint())
    waiting = daemon.becomes("goal", WorkState.SCHEDULED)
    assert (waiting.reason, waiting.error["kind"], waiting.failures) == ("outage", "no_room", 0)
    monkeypatch.undo()
    daemon.clock.advance(60.0)
    daemon.succeeds("goal", "planned-3", "planned-4")


def test_a_plan_that_the_journal_refuses_is_handed_in_once_more(company: Companies) -> None:
    daemon = company().start()
    daemon.submit("planned-1")
    submit_goal(daemon)
    daemon.succeeds("planned-1", "goal", "planned-3", "planned-4")


def test_a_goal_whose_time_is_over_before_its_plan_is_there_is_dead_of_that(company: Companies) -> None:
    held = Held(completed(data=plan_to_json(Plan(items=(PlannedItem(key="a", description="do a"),), stages=(DO,)))))
    daemon = company(orchestrator=held).start()
    submit_goal(daemon, expires_at=Millis(daemon.clock.wall() + 5_000))
    eventually(lambda: held.begun == ["goal"])
    daemon.clock.advance(6.0)
    held.release()
    dead = daemon.becomes("goal", WorkState.DEAD)
    assert (dead.reason, dead.error["kind"]) == ("expired", "expired")


def test_one_goal_is_planned_at_a_time(company: Companies) -> None:
    held = Held(completed(data=plan_to_json(Plan(items=(PlannedItem(key="a", description="do a"),), stages=(DO,)))))
    daemon = company(orchestrator=held).start()
    submit_goal(daemon, "one")
    submit_goal(daemon, "two")
    eventually(lambda: held.begun == ["one"])
    assert daemon.becomes("two", WorkState.READY).attempt == 0
    held.release()
    daemon.succeeds("one", "two", "planned-1", "planned-2")


@pytest.mark.parametrize(("role", "stage"), [("optimizer", Stage.OPTIMIZING), ("reviewer", Stage.REVIEWING)])
def test_an_item_for_a_role_is_that_roles_alone_and_what_it_makes_is_the_result(
    company: Companies, role: str, stage: Stage
) -> None:
    daemon = company(reviewer=in_turn(review(Verdict.FAIL, "it is wrong"))).start()
    daemon.submit("one", role=Role(role), agent=AgentName(role), stages=(stage,))
    daemon.succeeds("one")
    assert [context.stage for _, context in daemon.contexts] == [stage]
    result = daemon.desk.reader.result(ItemId("one"))
    assert result is not None
    made = {"optimizer": result["data"].get("intent"), "reviewer": result["data"].get("issues")}
    assert made[role] == {"optimizer": "do one", "reviewer": ["it is wrong"]}[role]
    assert result["review"] is None, "it was asked for and was not reviewed itself"
    assert daemon.facts("work.review_failed") == []


def test_an_item_walks_through_its_stages_each_seeing_what_the_one_before_made(company: Companies) -> None:
    daemon = company().start()
    daemon.submit("one")
    daemon.succeeds("one")
    stages = [context.stage for _, context in daemon.contexts]
    assert stages == [Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING]
    _, executing, reviewing = (context for _, context in daemon.contexts)
    assert executing.brief == {"intent": "do one"}
    assert reviewing.work is not None
    assert reviewing.work.text == "did one"
    assert [each["stage"] for each in daemon.facts("work.stage_changed", "one")] == ["executing", "reviewing"]


def test_an_item_walks_only_the_stages_it_has(company: Companies) -> None:
    daemon = company().start()
    daemon.submit("one", stages=(Stage.EXECUTING,))
    daemon.succeeds("one")
    assert [context.stage for _, context in daemon.contexts] == [Stage.EXECUTING]


def test_there_is_never_more_under_way_of_a_definition_than_it_has_slots(company: Companies) -> None:
    held = Held()
    daemon = company(count=2, executor=held).start().seated()
    daemon.submit(*(f"i{number}" for number in range(6)))
    eventually(lambda: len(held.begun) == 2)
    running = [each.state for each in daemon.desk.reader.records() if each.state is WorkState.RUNNING]
    assert len(running) == 2
    held.release()
    daemon.succeeds(*(f"i{number}" for number in range(6)))


def test_one_definitions_full_slots_hold_up_nobody_elses_work(company: Companies) -> None:
    held, free = Held(), Held()
    free.release()

    async def by_agent(item: WorkItem, context: Context) -> WorkResult:
        return await (held if item.agent == "executor" else free)(item, context)

    daemon = company(count=2, executor=by_agent).start()
    daemon.submit("a", "b", "c")
    eventually(lambda: len(held.begun) == 2)
    daemon.submit("x", agent=AgentName("other"))
    daemon.succeeds("x")
    held.release()
    daemon.succeeds("a", "b", "c")


# --- what follows an end ----------------------------------------------------------------------------------------------


def test_a_review_that_finds_faults_sends_the_work_back_with_them(company: Companies) -> None:
    daemon = company(reviewer=in_turn(review(Verdict.FAIL, "no ending"), review(Verdict.PASS))).start()
    daemon.submit("one")
    daemon.succeeds("one")
    assert daemon.facts("work.review_failed", "one")[0]["issues"] == ["no ending"]
    second = [context for _, context in daemon.contexts if context.stage is Stage.EXECUTING][1]
    assert "no ending" in str(second.feedback)
    assert (daemon.desk.record("one").reviews, daemon.desk.record("one").attempt) == (1, 2)


def test_work_that_is_found_faulty_once_too_often_is_dead(company: Companies) -> None:
    daemon = company(reviewer=in_turn(review(Verdict.FAIL, "no ending"))).start()
    daemon.submit("one", max_reviews=1)
    record = daemon.becomes("one", WorkState.DEAD)
    assert record.reviews == 2


def test_an_attempt_tells_which_state_of_the_template_it_was_executed_with_whatever_its_end(company: Companies) -> None:
    begun = threading.Event()

    async def fail_then_hang(item: WorkItem, context: Context) -> WorkResult:
        if context.attempt == 1:
            return TOOL
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    daemon = company(count=1, executor=fail_then_hang).start()
    daemon.submit("a")
    daemon.becomes("a", WorkState.SCHEDULED)
    daemon.template = "corrected"
    restart_instances(daemon.root, ["daruma/engine/minds/executors/of-executor/executor/1"], str)
    daemon.clock.advance(2.0)
    assert begun.wait(10)
    daemon.desk.cancel("a")
    first, second = daemon.desk.reader.attempts(ItemId("a"))
    assert (first["resources_version"], first["outcome"]) == ("as it was", "tool_error")
    assert (second["resources_version"], second["outcome"]) == ("corrected", "cancelled")


def test_a_failure_is_tried_again_after_its_wait_and_not_before(company: Companies) -> None:
    daemon = company(executor=in_turn(TOOL, completed(text="it went well"))).start()
    daemon.submit("one", stages=(Stage.EXECUTING,))
    daemon.becomes("one", WorkState.SCHEDULED)
    daemon.clock.advance(1.9)
    assert daemon.desk.state("one") is WorkState.SCHEDULED
    daemon.clock.advance(0.2)
    daemon.succeeds("one")
    assert daemon.desk.record("one").failures == 1


def test_the_last_failure_is_the_items_death(company: Companies) -> None:
    daemon = company(executor=in_turn(TOOL)).start()
    daemon.submit("one", stages=(Stage.EXECUTING,), max_attempts=2)
    daemon.becomes("one", WorkState.SCHEDULED)
    daemon.clock.advance(2.1)
    record = daemon.becomes("one", WorkState.DEAD)
    assert record.failures == 2
    assert "so it went" in record.error["message"]


def test_what_waits_for_an_item_begins_when_it_is_done(company: Companies) -> None:
    held = Held()
    daemon = company(executor=held).start()
    daemon.submit("first")
    daemon.submit("second", needs=("first",))
    eventually(lambda: held.begun == ["first"])
    assert daemon.desk.state("second") is WorkState.WAITING
    held.release()
    daemon.succeeds("first", "second")
    assert held.begun == ["first", "second"]


# --- gates ------------------------------------------------------------------------------------------------------------


def test_while_draining_nothing_is_claimed_and_what_runs_stops_at_the_end_of_its_stage(company: Companies) -> None:
    held = Held()
    daemon = company(executor=held).start()
    daemon.submit("one")
    eventually(lambda: held.begun)
    daemon.dispatch.draining = True
    daemon.submit("two")
    held.release()
    record = daemon.becomes("one", WorkState.READY)
    assert record.stage is Stage.REVIEWING
    assert daemon.desk.state("two") is WorkState.READY
    daemon.dispatch.draining = False
    daemon.clock.advance(REREAD)
    daemon.succeeds("one", "two")


def test_what_a_claim_takes_that_was_on_its_way_when_all_was_stopped_is_put_back(company: Companies) -> None:
    """Whoever stops all that runs has looked by then, and would leave it running."""
    held = Held()
    daemon = company(optimizer=held).start().seated()
    daemon.dispatch.paused = True
    daemon.submit("one")
    daemon.becomes("one", WorkState.READY)
    writer = Writer(daemon.desk)
    daemon.dispatch.paused = False
    daemon.tell(Hint())
    eventually(lambda: daemon.desk.journal.health().queued == 2)
    daemon.dispatch.paused = True
    writer.open()
    daemon.until("work.interrupted", "one")
    assert held.begun == []
    daemon.dispatch.paused = False
    held.release()
    daemon.clock.advance(REREAD)
    daemon.succeeds("one")
    assert daemon.desk.record("one").attempt == 1


def test_the_next_stage_does_not_begin_that_was_committed_when_all_was_stopped(company: Companies) -> None:
    held, reviewed = Held(), Held(review(Verdict.PASS))
    daemon = company(executor=held, reviewer=reviewed).start().seated()
    daemon.submit("one")
    eventually(lambda: held.begun)
    daemon.becomes("one", WorkState.RUNNING)
    writer = Writer(daemon.desk)
    held.release()
    eventually(lambda: daemon.desk.journal.health().queued == 1)
    daemon.dispatch.paused = True
    writer.open()
    daemon.until("work.interrupted", "one")
    assert (daemon.becomes("one", WorkState.READY).stage, reviewed.begun) == (Stage.REVIEWING, [])
    daemon.dispatch.paused = False
    reviewed.release()
    daemon.clock.advance(REREAD)
    daemon.succeeds("one")


def test_a_barred_definitions_items_stay_where_they_are_until_it_is_barred_no_more(company: Companies) -> None:
    daemon = company()
    daemon.barred = Barred(wholly=frozenset({AgentName("executor")}))
    daemon.start()
    daemon.submit("one")
    daemon.submit("two", agent=AgentName("other"))
    daemon.succeeds("two")
    assert daemon.desk.state("one") is WorkState.READY
    assert daemon.desk.record("one").attempt == 0
    daemon.barred = Barred()
    daemon.clock.advance(REREAD)
    daemon.succeeds("one")


def test_while_a_circuit_lets_one_call_through_one_item_is_handed_out_and_the_next_when_it_has_ended(
    company: Companies,
) -> None:
    held = Held()
    daemon = company(executor=held)
    daemon.barred = ONE
    daemon.start().seated()
    daemon.submit("a", "b", "c", "d", stages=(Stage.EXECUTING,))
    eventually(lambda: held.begun)
    daemon.clock.advance(REREAD)
    daemon.becomes("b", WorkState.READY)
    assert held.begun == ["a"], "of free slots there is one more"
    held.release("a")
    daemon.succeeds("a")
    eventually(lambda: held.begun == ["a", "b"])
    daemon.barred = Barred()
    daemon.tell(Hint())
    eventually(lambda: len(held.begun) == 3)
    held.release()
    daemon.succeeds("b", "c", "d")


def test_what_was_made_ready_meanwhile_waits_for_the_probe_too(company: Companies) -> None:
    preparing, doing = Held(), Held()
    daemon = company(optimizer=preparing, executor=doing).start().seated()
    daemon.submit("a", "b")
    eventually(lambda: len(preparing.begun) == 2)
    daemon.barred = ONE
    preparing.release("b")
    eventually(lambda: doing.begun == ["b"])
    preparing.release("a")
    assert daemon.becomes("a", WorkState.READY).stage is Stage.EXECUTING
    doing.release()
    daemon.succeeds("b", "a")


def test_what_a_claim_takes_that_was_on_its_way_when_the_circuit_let_one_through_is_the_probe(
    company: Companies,
) -> None:
    preparing, doing = Held(), Held()
    daemon = company(optimizer=preparing, executor=doing).start().seated()
    daemon.submit("a", "b")
    eventually(lambda: len(preparing.begun) == 2)
    writer = Writer(daemon.desk)
    daemon.tell(Hint())
    eventually(lambda: daemon.desk.journal.health().queued == 2)
    daemon.barred = ONE
    preparing.release("b")
    eventually(lambda: daemon.desk.journal.health().queued == 4)
    writer.open()
    eventually(lambda: doing.begun == ["b"])
    preparing.release("a")
    assert daemon.becomes("a", WorkState.READY).stage is Stage.EXECUTING
    assert doing.begun == ["b"]
    doing.release()
    daemon.succeeds("b", "a")


def test_a_probe_that_is_over_is_followed_by_the_next_though_it_succeeded_in_nothing(company: Companies) -> None:
    daemon = company(executor=in_turn(TOOL, completed()))
    daemon.barred = ONE
    daemon.start()
    daemon.submit("a", "b", stages=(Stage.EXECUTING,))
    daemon.succeeds("b")
    assert daemon.desk.state("a") is WorkState.SCHEDULED


def test_definitions_that_share_a_circuit_share_its_probe_and_the_next_is_anybodys(company: Companies) -> None:
    held = Held(TOOL)
    daemon = company(executor=held)
    daemon.barred = Barred(but_one=dict.fromkeys((AgentName("executor"), AgentName("other")), "near"))
    daemon.start().seated()
    daemon.submit("mine", hint=False, stages=(Stage.EXECUTING,))
    daemon.submit("theirs", agent=AgentName("other"), stages=(Stage.EXECUTING,))
    eventually(lambda: held.begun == ["mine"])
    daemon.becomes("theirs", WorkState.READY)
    held.release("mine")
    eventually(lambda: held.begun == ["mine", "theirs"])
    held.release()


@pytest.mark.parametrize(("kind", "reason"), [("auth", "provider"), ("budget_exhausted", "budget")])
def test_what_is_parked_for_what_was_mended_while_it_was_held_goes_on(
    company: Companies, kind: str, reason: str
) -> None:
    async def refused(item: WorkItem, context: Context) -> WorkResult:
        if house.mended:
            return completed()
        house.clock.advance(1.0)
        house.mended["executor", reason] = Seconds(house.clock.monotonic())
        return failed(kind, StopReason.PROVIDER_ERROR)

    house = company(executor=refused).start()
    house.submit("a")
    house.succeeds("a")
    assert house.desk.record("a").parks == 1


def test_what_an_earlier_life_parked_for_its_template_goes_on_where_that_is_another_now(company: Companies) -> None:
    house = company(count=1)
    for name, version in (("mended", "as it was"), ("broken", "corrected")):
        house.desk.submit(new_item(name, stages=(Stage.EXECUTING,)))
        slot = Slot(AgentName("executor"), Stage.EXECUTING, "before/1#1", resources_version=version)
        (held,) = house.desk.call(Claim(slots=(slot,))).held
        told = WorkParked(held.record.item.id, "template", None)
        house.desk.call(move(held, WorkState.PARKED, reason="template", fence_up=True, facts=(told,)))
    house.template = "corrected"
    house.start().succeeds("mended")
    assert house.seated().becomes("broken", WorkState.PARKED).fence == held.record.fence + 1
    house.template = "corrected again"
    restart_instances(house.root, ["daruma/engine/minds/executors/of-executor/executor/1"], str)
    house.submit("next")
    house.succeeds("next")
    assert house.desk.reader.attempts(ItemId("next"))[0]["resources_version"] == "corrected again"
    house.becomes("broken", WorkState.PARKED)  # within one life of the daemon that is its operator's to say


def test_what_was_mended_before_an_item_was_held_is_no_reason_for_it_to_go_on(company: Companies) -> None:
    async def refused(item: WorkItem, context: Context) -> WorkResult:
        return failed("auth", StopReason.PROVIDER_ERROR)

    house = company(executor=refused)
    house.mended["executor", "provider"] = Seconds(house.clock.monotonic())
    house.clock.advance(1.0)
    house.start()
    house.submit("a")
    house.becomes("a", WorkState.PARKED)


def test_a_template_that_crashes_for_three_items_is_held_and_the_rest_wait(company: Companies) -> None:
    async def crash(item: WorkItem, context: Context) -> WorkResult:
        raise ValueError("a broken template")

    daemon = company(executor=crash).start()
    daemon.submit("a", "b", "c", stages=(Stage.EXECUTING,))
    eventually(lambda: any(daemon.desk.state(each) is WorkState.PARKED for each in "abc"))
    daemon.submit("later", stages=(Stage.EXECUTING,))
    daemon.submit("other", stages=(Stage.EXECUTING,), agent=AgentName("other"))
    daemon.becomes("other", WorkState.SCHEDULED)
    assert daemon.desk.state("later") is WorkState.READY, "nothing is claimed for it any more"
    parked = [daemon.desk.record(each) for each in "abc" if daemon.desk.state(each) is WorkState.PARKED]
    assert {(each.reason, each.failures) for each in parked} == {("template", 0)}
    assert how_claiming(daemon) == Claiming(Barred(wholly=frozenset({AgentName("executor")})), claimed=4)


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_lost_hint_costs_no_more_than_the_next_look_at_the_journal(company: Companies) -> None:
    daemon = company().start()
    eventually(lambda: daemon.orchestrator().mailbox_depth == 0)
    daemon.submit("warm")
    daemon.succeeds("warm")
    daemon.submit("one", hint=False)
    daemon.clock.advance(REREAD)
    daemon.succeeds("one")


def test_a_suspect_begins_as_soon_as_the_one_before_it_has_ended(company: Companies, tmp_path: Path) -> None:
    before = Desk(tmp_path / "state", FakeClock(0.0)).open()
    before.submit(*(new_item(name, stages=(Stage.EXECUTING,)) for name in "abc"))
    before.sql("UPDATE item SET lives = 2, suspect = 1")
    before.close()
    daemon = company()
    daemon.clock.advance(SETTLED_AFTER)
    daemon.start().succeeds("a", "b", "c")  # on a clock that stands still: nobody looks again


def test_an_item_that_cannot_be_read_leaves_its_slot_to_the_next_at_once(company: Companies, tmp_path: Path) -> None:
    before = Desk(tmp_path / "state", FakeClock(0.0)).open()
    before.submit("bad", "good")
    before.sql("UPDATE item SET error = 'no JSON' WHERE uid = 'bad'")
    before.close()
    daemon = company(count=1).start()
    daemon.succeeds("good")  # on a clock that stands still: nobody looks again
    assert daemon.desk.record("bad").error["kind"] == "unreadable"


def test_a_place_that_an_item_leaves_in_its_lane_is_the_next_ones_at_once(company: Companies) -> None:
    daemon = company(places={"narrow": 1}).start()
    names = [f"item-{number}" for number in range(6)]
    daemon.submit(*names, lane="narrow")
    daemon.succeeds(*names)  # and nobody reads the journal again: the clock stands still


def test_a_claim_that_fails_is_said_and_made_again_at_the_next_look(company: Companies) -> None:
    structlog.reset_defaults()
    daemon = company()
    soon = daemon.clock.wall() + 1000
    daemon.desk.sql(
        f"CREATE TRIGGER stuck BEFORE INSERT ON hold WHEN new.claimed_at < {soon} BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with captured_logs() as told:
        daemon.start().submit("one")
        eventually(lambda: any(each["event"] == "request_failed" for each in told))
    (line,) = {(each["request"], each["error"]) for each in told if each["event"] == "request_failed"}
    assert line == ("Claim", "the journal could not carry out Claim: no")
    daemon.clock.advance(REREAD)
    daemon.succeeds("one")


def test_what_one_decision_raises_is_its_items_and_the_others_go_on(
    company: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = room.what_follows

    def poisoned(record: Any, *rest: Any, **given: Any) -> Any:
        if record.item.id == "poison" and given is not None and rest[1].stop_reason is StopReason.COMPLETED:
            raise ZeroDivisionError("this item's own")
        return real(record, *rest, **given)

    monkeypatch.setattr(room, "what_follows", poisoned)
    daemon = company().start()
    daemon.submit("poison", "a", "b")
    daemon.succeeds("a", "b")
    record = daemon.becomes("poison", WorkState.DEAD)
    assert record.crashes == 3
    assert daemon.orchestrator().incarnation == 1, "nobody else was restarted for it"


def test_a_crash_after_a_new_step_is_the_first_whatever_was_counted_before_it(
    company: Companies, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = Desk(tmp_path / "state", FakeClock(0.0)).open()
    before.submit(new_item("one", stages=(Stage.EXECUTING,)))
    before.sql("UPDATE item SET crashes = 2")
    before.close()
    real, raised = room.what_follows, threading.Event()

    def poisoned(record: Any, stage: Stage, result: WorkResult, **given: Any) -> Any:
        if result.success and not raised.is_set():
            raised.set()
            raise ZeroDivisionError("once")
        return real(record, stage, result, **given)

    async def gets_on(item: WorkItem, context: Context) -> WorkResult:
        return completed(text=await context.steps.once("model", {}, _said))

    monkeypatch.setattr(room, "what_follows", poisoned)
    daemon = company(executor=gets_on).start()
    daemon.succeeds("one")
    assert raised.is_set()


async def _said() -> str:
    return "so it is"


def test_an_end_that_the_journal_cannot_take_is_its_items_crash_and_not_paid_for_for_ever(company: Companies) -> None:
    async def paid(item: WorkItem, context: Context) -> WorkResult:
        return completed(text=f"did {item.id}")

    daemon = company(executor=paid)
    daemon.desk.sql(
        "CREATE TRIGGER stuck BEFORE INSERT ON output WHEN new.body LIKE '%did poison%'"
        " BEGIN SELECT RAISE(ABORT, 'it does not fit'); END"
    )
    daemon.start().submit("poison", "a")
    daemon.succeeds("a")
    dead = daemon.becomes("poison", WorkState.DEAD)
    assert dead.crashes == 3
    assert "it does not fit" in dead.error["message"]


def test_a_decision_that_raises_after_it_took_a_slot_gives_it_back(
    company: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = room.move_of

    def poisoned(done: Done, *rest: Any, holder: str | None, **given: Any) -> Any:
        if done.held.record.item.id == "poison" and holder is not None:
            raise ZeroDivisionError("this item's own")
        return real(done, *rest, holder=holder, **given)

    monkeypatch.setattr(room, "move_of", poisoned)
    daemon = company(count=1).start().seated()
    daemon.submit("poison")
    assert daemon.becomes("poison", WorkState.DEAD).crashes == 3
    daemon.submit("a")
    daemon.succeeds("a")


def test_a_brief_that_cannot_be_built_is_its_items_end_and_costs_no_slot(
    company: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(item: WorkItem, *_: Any, **__: Any) -> Any:
        if item.id == "bad":
            raise ZeroDivisionError("a defect of the brief's own")
        return {"intent": item.description}

    monkeypatch.setattr(degraded, "build_brief", defect)
    daemon = company(count=1, optimizer=in_turn(TOOL)).start()
    daemon.submit("bad")
    dead = daemon.becomes("bad", WorkState.DEAD)
    assert (dead.reason, dead.crashes) == ("agent_crashed", 3)
    daemon.submit("good")
    daemon.succeeds("good")
    assert daemon.orchestrator().incarnation == 1, "nobody else was restarted for it"


def test_an_orchestrator_that_crashes_comes_back_and_what_ran_is_put_back_and_done(company: Companies) -> None:
    held = Held()
    daemon = company(executor=held).start()
    daemon.submit("a", "b")
    eventually(lambda: len(held.begun) == 2)
    daemon.tell(Committed([object()]))  # type: ignore[list-item] # what no journal says
    eventually(lambda: daemon.orchestrator().incarnation == 2)
    held.release()
    daemon.succeeds("a", "b")
    assert {daemon.desk.record(each).failures + daemon.desk.record(each).crashes for each in "ab"} == {0}


def _dies(daemon: Company, slot: Any) -> None:
    slot.ref.tell(Poison())
    eventually(lambda: daemon.instance(slot.path).state == "restarting")
    daemon.clock.advance(10.0)


def _is_ended(daemon: Company, slot: Any) -> None:
    above = daemon.instance("of-executor").ref
    above.terminate_child(slot.id)
    above.restart_child(slot.id)


@pytest.mark.parametrize("is_killed", [_dies, _is_ended])
def test_an_executor_killed_under_load_has_its_own_item_claimed_again_and_no_other(
    company: Companies, is_killed: Callable[[Company, Any], None]
) -> None:
    held, names = Held(), [f"i{number}" for number in range(12)]
    daemon = company(count=3, executor=held).start()
    daemon.submit(*names)
    eventually(lambda: len(held.begun) == 3)
    lost = held.begun[1]
    is_killed(daemon, daemon.instance(daemon.desk.record(lost).holder.partition("#")[0]))
    eventually(lambda: len(held.begun) == 4)
    assert held.begun[3] == lost, "before any that waits behind it"
    assert daemon.desk.record(lost).crashes == 0, "what its slot ended of was not its doing"
    held.release()
    daemon.succeeds(*names)
    assert sorted(held.begun) == sorted([*names, lost])
    assert [name for name in names if daemon.facts("work.interrupted", name)] == [lost]
    assert (daemon.desk.record(lost).failures, daemon.desk.record(lost).attempt) == (0, 1)


def test_what_has_not_begun_does_not_begin_in_the_place_of_what_lost_its_slot(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held).start()
    daemon.submit("lost", "waits")
    eventually(lambda: held.begun == ["lost"])
    slot, above = daemon.instance(daemon.desk.record("lost").holder.partition("#")[0]), daemon.instance("of-executor")
    above.ref.terminate_child(slot.id)
    daemon.becomes("lost", WorkState.READY)
    for _ in range(3):  # a claim, its answer, and whatever follows that
        looked = threading.Event()
        daemon.tell(Hint())
        daemon.tell(Beat(looked.set))
        assert looked.wait(10)
        daemon.desk.call(Note(facts=()))
    assert daemon.facts("work.assigned", "waits") == []
    above.ref.restart_child(slot.id)
    held.release()
    daemon.succeeds("lost", "waits")


def test_a_cancelled_items_slot_is_free_for_the_next(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held).start()
    daemon.submit("one")
    eventually(lambda: held.begun == ["one"])
    daemon.submit("two")
    (running,) = daemon.desk.cancel("one").running
    daemon.bridge.cancel([Owner(running[0], running[2])], Limit.CANCELLED, lambda _: None)
    eventually(lambda: held.begun == ["one", "two"])
    held.release()
    daemon.succeeds("two")
    assert daemon.desk.state("one") is WorkState.CANCELLED


def test_a_revoked_item_that_nobody_moved_is_put_back_and_done(company: Companies) -> None:
    """What a cancel leaves that was not committed: stopped, not lost."""
    held = Held()
    daemon = company(executor=held).start()
    daemon.submit("one")
    eventually(lambda: held.begun)
    record = daemon.desk.record("one")
    daemon.bridge.cancel([Owner(record.item.id, record.fence)], Limit.REVOKED, lambda _: None, "cancelled by uid:7")
    held.release()
    daemon.succeeds("one")
    assert daemon.facts("work.interrupted", "one")[0]["why"] == "cancelled by uid:7"


def test_of_two_that_end_with_the_same_item_at_once_the_later_holder_counts_and_no_slot_is_lost(
    company: Companies,
) -> None:
    held, reviewed = Held(), Held(review(Verdict.PASS))
    daemon = company(count=2, executor=held, reviewer=reviewed).start()
    daemon.submit("a")
    eventually(lambda: held.begun == ["a"])
    daemon.desk.call(Rescue(live=frozenset()))
    daemon.tell(Hint())
    eventually(lambda: held.begun == ["a", "a"])
    writer = Writer(daemon.desk)
    held.release()
    eventually(lambda: daemon.bridge.health().running == 0)
    writer.open()
    daemon.until("work.stale_result", "a")
    reviewed.release("a")
    daemon.succeeds("a")
    daemon.submit("b", "c")
    eventually(lambda: sorted(reviewed.begun) == ["a", "b", "c"])  # a reviewer each, and neither let go


def test_an_answer_for_an_item_that_the_slot_does_not_hold_changes_nothing(company: Companies) -> None:
    held = Held()
    daemon = company(count=1, executor=held).start()
    daemon.submit("one")
    eventually(lambda: held.begun)
    ours = daemon.desk.record("one")
    other = daemon.desk.submit("other").records[0]
    stranger = type("Held", (), {"record": changed(other, stage=Stage.EXECUTING)})()
    before = type("Held", (), {"record": changed(ours, fence=Fence(ours.fence - 1))})()
    late = [(ours.holder, stranger), ("nobody#7", stranger), (ours.holder, before)]
    daemon.tell(Ended(tuple(Done(holder, each, completed()) for holder, each in late)))
    held.release()
    daemon.succeeds("one", "other")
    assert daemon.facts("work.stale_result") == []


def test_a_slot_that_dies_while_it_is_offered_work_gives_it_back(company: Companies) -> None:
    """Gone between the claim and its commit: the slot is in the claim, and the bridge no longer knows its life."""
    daemon = company(count=1)
    daemon.start()
    ghost = AgentDefinition(name=AgentName("ghost"), role=Role.EXECUTOR, count=1)
    deaf: Callable[[object], None] = lambda message: None  # noqa: E731 - nobody is there
    path, first = ActorPath("gone"), Incarnation(1)
    daemon.tell(
        SlotUp(Seat(path=path, incarnation=first, role=ghost.role, definition=ghost, tell=deaf, report=daemon.tell))
    )
    daemon.submit("one", agent=AgentName("ghost"), stages=(Stage.EXECUTING,))
    interrupted = daemon.until("work.interrupted", "one")
    assert interrupted[0]["why"] == "its slot had ended"
    assert daemon.desk.record("one").crashes == 0
