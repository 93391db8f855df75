from collections.abc import Callable
from typing import Any

import pytest

from darumad.errors import Broken, Refused
from darumad.events import DaemonPaused
from darumad.journal import (
    APPLIED,
    Audit,
    Claim,
    Held,
    NewItem,
    Note,
    Program,
    PromoteDue,
    Release,
    Released,
    ReleaseRepaired,
    Rescue,
    Setting,
    Slot,
)
from darumad.journal.batch import audit_hash
from darumad.names import AgentName, Fence, ItemId, Millis, Stage
from darumad.values import changed
from darumad.work.states import UNFINISHED, WorkState
from tests.journal.desk import AUDIT, DO, MADE, PREPARE, REVIEW, Desk, move, new_item, step


def test_a_cancel_names_who_held_what_under_which_fence(desk: Desk) -> None:
    desk.submit("a", "b")
    held = desk.claim_one()
    said = desk.cancel("a", "b")
    assert said.items == ("a", "b")
    assert said.running == (("a", "actor/1#1", held.record.fence),)
    record = desk.record("a")
    assert (record.state, record.fence, record.holder) == (WorkState.CANCELLED, held.record.fence + 1, None)
    (told, _) = desk.reader.events(0, type="work.cancelled")
    assert told.data == {"by": "uid:1000", "reason": "enough"}


@pytest.mark.parametrize("state", ["waiting", "ready", "scheduled", "parked", "dead"])
def test_whatever_is_not_finished_can_be_cancelled(desk: Desk, state: str) -> None:
    put(desk, "a", state)
    desk.cancel("a")
    assert desk.state("a") is WorkState.CANCELLED


def put(desk: Desk, item: str, state: str) -> None:
    """`item` in `state`, by honest means."""
    if state == "waiting":
        desk.submit("first", new_item(item, needs=["first"]))
        return
    desk.submit(item)
    if state == "scheduled":
        desk.call(
            move(
                desk.claim_one(),
                WorkState.SCHEDULED,
                reason="backoff",
                run_at=desk.clock.wall() + 1000,
                keep_rank=False,
            )
        )
    elif state == "parked":
        desk.call(move(desk.claim_one(), WorkState.PARKED, reason="question", fence_up=True))
    elif state == "dead":
        desk.kill(desk.claim_one())


@pytest.mark.parametrize("how", ["succeeded", "cancelled"])
def test_what_is_finished_cannot_be_cancelled_and_takes_the_others_with_it(desk: Desk, how: str) -> None:
    desk.submit("a")
    desk.succeed(desk.claim_one()) if how == "succeeded" else desk.cancel("a")
    desk.submit("b")
    with pytest.raises(Refused, match=f"a is {how}") as refused:
        desk.cancel("b", "a")
    assert refused.value.code == "conflict"
    assert desk.state("b") is WorkState.READY


@pytest.mark.parametrize("ask", ["cancel", "release"])
def test_an_unknown_id_is_named(desk: Desk, ask: str) -> None:
    with pytest.raises(Refused, match="no item is called ghost") as refused:
        getattr(desk, ask)("ghost")
    assert refused.value.code == "not_found"


def test_a_cancel_kills_the_dependents_of_the_cancelled(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]))
    desk.cancel("a")
    assert desk.state("b") is WorkState.DEAD


def test_a_released_park_goes_on_where_it_was_with_its_rank(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(move(held, WorkState.PARKED, DO, reason="question", fence_up=True, output={"brief": 1}))
    desk.clock.advance(100.0)
    desk.release("a", answers=["blue"])
    record = desk.record("a")
    assert (record.state, record.stage, record.rank) == (WorkState.READY, DO, held.record.rank)
    assert (record.answers, record.attempt_open) == (("blue",), True)
    assert desk.events("a")[-2:] == ["work.answered", "work.ready"]


def test_answers_to_a_challenge_begin_a_new_attempt_and_are_appended(desk: Desk) -> None:
    desk.submit(new_item("a", state=WorkState.PARKED, reason="challenge", questions=("which?",)))
    desk.release("a", answers=["the red one"])
    desk.call(move(desk.claim_one(), WorkState.PARKED, reason="challenge", questions=("how red?",)))
    desk.release("a", answers=["very"])
    held = desk.claim_one()
    assert (held.record.attempt, held.record.questions) == (2, ("how red?",))
    assert held.record.answers == ("the red one", "very")


def challenged(uid: str, desk: Desk, **more: Any) -> NewItem:
    """An item that is to run tomorrow, and is asked back first."""
    asks = {"state": WorkState.PARKED, "reason": "challenge", "questions": ("which?",)}
    return new_item(uid, run_at=Millis(desk.clock.wall() + 86_400_000), **asks, **more)


def test_what_is_answered_before_its_time_begins_then_however_often_it_is_answered(desk: Desk) -> None:
    desk.submit(challenged("a", desk))
    before = desk.record("a")
    for said in ("the red one", "very"):
        desk.release("a", answers=[said])
    told = desk.record("a")
    assert (told.state, told.reason, told.run_at, told.rank) == (
        WorkState.SCHEDULED, "delay", before.run_at, before.rank,
    )  # fmt: skip
    assert desk.events("a")[-2:] == ["work.answered", "work.scheduled"]
    assert desk.claim() == ()
    desk.clock.advance(86_400)
    desk.call(PromoteDue())
    assert desk.claim_one().record.answers == ("the red one", "very")


def test_what_is_answered_after_its_time_is_ready_and_expires_like_any_other(desk: Desk) -> None:
    dies = desk.clock.wall() + 86_403_000
    desk.submit(
        challenged("late", desk), challenged("told", desk, expires_at=dies), challenged("over", desk, expires_at=dies)
    )
    desk.release("told", answers=["the red one"])
    desk.clock.advance(86_401)
    desk.release("late", answers=["the red one"])
    assert (desk.state("late"), desk.record("late").run_at) == (WorkState.READY, None)
    desk.clock.advance(2)
    desk.call(PromoteDue())
    assert (desk.state("told"), desk.state("over")) == (WorkState.DEAD, WorkState.DEAD)


def test_what_is_retried_before_its_time_is_ready_at_once_and_not_behind_what_came_later(desk: Desk) -> None:
    desk.submit(challenged("a", desk))
    desk.release("a")
    desk.clock.advance(1)
    desk.submit("b")
    assert [each.record.item.id for each in desk.claim(count=2)] == ["a", "b"]
    assert desk.record("a").run_at is None


def test_a_dependent_that_is_challenged_before_its_time_waits_for_all_three(desk: Desk) -> None:
    desk.submit("x", challenged("a", desk, needs=["x"]))
    due = desk.record("a").run_at
    held = desk.claim_one()
    assert (desk.state("a"), desk.record("a").questions) == (WorkState.WAITING, ("which?",))
    desk.succeed(held)
    assert (desk.state("a"), desk.record("a").run_at) == (WorkState.PARKED, due)
    desk.release("a", answers=["the red one"])
    assert (desk.state("a"), desk.record("a").run_at) == (WorkState.SCHEDULED, due)


def test_an_attempt_keeps_what_it_was_executed_with_and_one_that_never_was_has_nothing(desk: Desk) -> None:
    def claim(resources_version: str | None, stage: Stage = DO) -> Held:
        (held,) = desk.call(Claim(slots=(Slot(AgentName("*"), stage, "x#1", resources_version),))).held
        return held

    def told() -> list[str | None]:
        return [each["resources_version"] for each in desk.reader.attempts(ItemId("a"))]

    desk.submit("a")
    held = claim(None, PREPARE)
    desk.call(move(held, WorkState.RUNNING, DO, holder="x#1", resources_version="one"))
    assert told() == ["one"]
    desk.call(move(held, WorkState.READY, DO, from_stage=DO))
    held = claim("two")
    desk.call(move(held, WorkState.RUNNING, REVIEW, holder="y#1"))
    assert told() == ["two"], "it went on with another"
    desk.call(move(held, WorkState.READY, PREPARE, from_stage=REVIEW, ends_attempt=True))
    desk.call(move(claim(None, PREPARE), WorkState.DEAD, ends_attempt=True))
    assert told() == ["two", None]


def test_a_released_scheduled_item_is_ready_at_once(desk: Desk) -> None:
    put(desk, "a", "scheduled")
    desk.release("a")
    assert (desk.state("a"), desk.record("a").run_at) == (WorkState.READY, None)


def test_a_retry_of_the_dead_begins_anew_with_fresh_budgets_and_no_expiry(desk: Desk) -> None:
    desk.submit(new_item("a", expires_at=desk.clock.wall() + 1000))
    held = desk.claim_one()
    desk.call(move(held, WorkState.RUNNING, DO, output={"brief": 1}))
    desk.call(
        move(
            held,
            WorkState.DEAD,
            from_stage=DO,
            ends_attempt=True,
            failures=3,
            reviews=1,
            crashes=1,
            error={"kind": "x"},
        )
    )
    desk.clock.advance(5.0)
    desk.release("a")
    record = desk.record("a")
    assert (record.failures, record.reviews, record.crashes, record.error) == (0, 0, 0, None)
    assert (record.state, record.stage, record.item.expires_at) == (WorkState.READY, PREPARE, None)
    assert desk.claim_one().record.attempt == 2
    assert desk.events("a")[-3:] == ["work.retried", "work.ready", "work.assigned"]


def test_a_retry_revives_the_dependents_that_its_death_killed(desk: Desk) -> None:
    desk.submit("a", "x", new_item("b", needs=["a"]), new_item("c", needs=["b"]), new_item("d", needs=["a", "x"]))
    desk.cancel("x")
    desk.kill(desk.claim_one())
    assert sorted(desk.release("a").items) == ["a", "b", "c"]
    assert [desk.state(each) for each in "abcd"] == [
        WorkState.READY, WorkState.WAITING, WorkState.WAITING, WorkState.DEAD,
    ]  # fmt: skip
    assert desk.events("c")[-1] == "work.revived"


def chain(name: str, length: int) -> list[NewItem]:
    """Each depends on the one before it."""
    return [new_item(f"{name}{n}", needs=[f"{name}{n - 1}"] if n else []) for n in range(length)]


def fan(name: str, length: int) -> list[NewItem]:
    """A chain, and one that depends on every link of it."""
    return [*chain(name, length), new_item(f"{name}all", needs=[f"{name}{n}" for n in range(length)])]


def test_what_is_parked_for_a_template_goes_on_with_another_state_of_it_and_nothing_else_does(desk: Desk) -> None:
    desk.submit(*(new_item(name, stages=(DO,)) for name in ("a", "b", "asks", "runs")))
    slots = tuple(Slot(AgentName("executor"), DO, f"actor/{n}#1", resources_version="v1") for n in range(4))
    a, b, asks, _ = desk.call(Claim(slots=slots)).held
    for held, reason in ((a, "template"), (b, "template"), (asks, "question")):
        desk.call(move(held, WorkState.PARKED, reason=reason, fence_up=True))
    by = Audit(by="daemon", action="release", target="what is repaired")
    same = ReleaseRepaired(agent=AgentName("executor"), resources_version="v1", audit=by)
    others = ReleaseRepaired(agent=AgentName("other"), resources_version="v2", audit=by)
    assert [desk.call(each) for each in (same, others)] == [Released(()), Released(())]
    assert desk.call(changed(same, resources_version="v2")) == Released((ItemId("a"), ItemId("b")))
    assert [desk.state(each) for each in ("a", "b", "asks", "runs")] == [
        WorkState.READY, WorkState.READY, WorkState.PARKED, WorkState.RUNNING,
    ]  # fmt: skip
    assert [each["target"] for each in desk.reader.audits()].count(by.target) == 1, "of what nobody waited for, no word"


def release_those_that_can(desk: Desk) -> Released:
    """All there are, as somebody asks who cannot know which of them can be."""
    names = tuple(ItemId(uid) for (uid,) in desk.sql("SELECT uid FROM item ORDER BY id"))
    released = desk.call(Release(items=names, audit=AUDIT, those_that_can=True))
    assert isinstance(released, Released)
    return released


@pytest.mark.parametrize("shape", [chain, fan])
def test_what_a_revival_costs_grows_with_the_length_of_the_chain_only(
    desk: Desk, shape: Callable[[str, int], list[NewItem]]
) -> None:
    def cost(name: str, length: int) -> int:
        desk.submit(*shape(name, length), max_unfinished=4000)
        desk.kill(desk.claim_one())
        work = desk.work_of(lambda: desk.release(f"{name}0"))
        assert desk.state(f"{name}{length - 1}") is WorkState.WAITING
        desk.cancel(f"{name}0")
        return work

    short = cost("short", 400)
    assert cost("long", 1600) < 5 * short, "four times the length; 16 would be its square"


def test_what_a_retry_of_all_the_dead_costs_grows_with_their_number_only(desk: Desk) -> None:
    def cost(name: str, length: int) -> int:
        desk.submit(*chain(name, length), max_unfinished=4000)
        desk.cancel(f"{name}0")
        return desk.work_of(lambda: release_those_that_can(desk))

    short = cost("short", 400)
    assert cost("long", 1600) < 6 * short, "five times as many dead; 25 would be their square"
    assert release_those_that_can(desk) == Released(()), "their first is cancelled"


@pytest.mark.parametrize("asked", [("x",), ("x", "later", "vague")])
def test_a_dependent_that_waits_again_goes_where_its_submit_wished_it(desk: Desk, asked: tuple[str, ...]) -> None:
    tomorrow = desk.clock.wall() + 86_400_000
    desk.submit(
        "x",
        new_item("later", needs=["x"], state=WorkState.SCHEDULED, reason="delay", run_at=tomorrow),
        new_item("vague", needs=["x"], state=WorkState.PARKED, reason="challenge", questions=("which?",)),
    )
    desk.kill(desk.claim_one())
    desk.release(*asked)
    desk.succeed(desk.claim_one())
    later, vague = desk.record("later"), desk.record("vague")
    assert (later.state, later.reason, later.run_at) == (WorkState.SCHEDULED, "delay", tomorrow)
    assert (vague.state, vague.reason, vague.questions) == (WorkState.PARKED, "challenge", ("which?",))


def test_a_dependent_that_expired_while_it_waited_is_still_to_be_answered_when_it_waits_again(desk: Desk) -> None:
    soon = desk.clock.wall() + 1000
    asks = {"state": WorkState.PARKED, "reason": "challenge", "questions": ("which?",)}
    desk.submit("x", *(new_item(each, needs=["x"], expires_at=soon, **asks) for each in ("vague", "told")))
    held = desk.claim_one()
    desk.clock.advance(2.0)
    desk.call(PromoteDue())
    desk.release("vague")
    desk.release("told", answers=["the red one"])
    desk.succeed(held)
    assert (desk.state("vague"), desk.state("told")) == (WorkState.PARKED, WorkState.READY)


def test_a_dependent_whose_error_cannot_be_read_stays_dead_and_keeps_no_other_from_living_again(desk: Desk) -> None:
    desk.submit("x", new_item("bad", needs=["x"]), new_item("good", needs=["x"]))
    desk.kill(desk.claim_one())
    desk.sql("UPDATE item SET error = 'oh' WHERE uid = 'bad'")
    assert desk.release("x").items == ("x", "good")
    assert desk.state("bad") is WorkState.DEAD


def test_a_dead_dependent_cannot_live_before_what_it_needs(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]))
    desk.cancel("a")
    with pytest.raises(Refused, match="b depends on a, which is cancelled and stays so: hand both in anew") as refused:
        desk.release("b")
    assert refused.value.code == "conflict"


def test_of_those_that_can_be_retried_there_may_be_none(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]))
    desk.cancel("a")
    assert desk.call(Release(items=(ItemId("b"),), audit=AUDIT, those_that_can=True)) == Released(())
    assert desk.state("b") is WorkState.DEAD


def test_dead_items_that_need_each_other_are_retried_together(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]))
    desk.kill(desk.claim_one())
    assert desk.release("b", "a").items == ("b", "a")
    assert (desk.state("a"), desk.state("b")) == (WorkState.READY, WorkState.WAITING)


@pytest.mark.parametrize("state", ["waiting", "ready"])
def test_only_the_parked_the_scheduled_and_the_dead_are_released(desk: Desk, state: str) -> None:
    put(desk, "a", state)
    with pytest.raises(Refused) as refused:
        desk.release("a")
    assert refused.value.code == "conflict"


def test_the_count_of_unfinished_items_follows_every_end_and_every_return(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]), "c", "d")
    desk.kill(desk.claim_one())
    desk.cancel("c")
    desk.release("a")
    desk.succeed(desk.claim_one())
    counted = desk.sql("SELECT count(*) FROM item WHERE state NOT IN ('succeeded', 'dead', 'cancelled')")
    assert desk.journal._writer._tail.unfinished == counted[0][0]


def test_scheduled_items_become_ready_when_their_time_comes(desk: Desk) -> None:
    put(desk, "a", "scheduled")
    due = desk.clock.wall() + 1000
    assert desk.call(PromoteDue()) == type(desk.call(PromoteDue()))(0, due)
    desk.clock.advance(1.0)
    promoted = desk.call(PromoteDue())
    assert (promoted.ready, promoted.next_due) == (1, None)
    assert desk.events("a")[-1] == "work.ready"


def test_a_retry_after_a_failure_queues_anew_and_an_outage_keeps_its_place(desk: Desk) -> None:
    desk.submit("failed", "outage")
    failed, outage = desk.claim(count=2)
    run_at = desk.clock.wall() + 1000
    desk.call(
        move(
            failed, WorkState.SCHEDULED, reason="backoff", run_at=run_at, keep_rank=False, failures=1, ends_attempt=True
        )
    )
    desk.call(move(outage, WorkState.SCHEDULED, reason="outage", run_at=run_at, delays=1))
    desk.clock.advance(1.0)
    desk.call(PromoteDue())
    assert desk.record("outage").rank == outage.record.rank
    assert desk.record("failed").rank == run_at - 5 * 600_000


def test_whatever_is_past_its_time_dies_unless_it_runs(desk: Desk) -> None:
    soon = desk.clock.wall() + 1000
    desk.submit(new_item("runs", expires_at=soon))
    desk.claim_one()
    desk.submit(
        new_item("ready", expires_at=soon),
        new_item("parked", expires_at=soon, state=WorkState.PARKED, reason="challenge"),
        new_item("later", expires_at=soon, state=WorkState.SCHEDULED, run_at=soon + 5),
        new_item("waits", needs=["ready"], expires_at=soon),
    )
    desk.clock.advance(1.0)
    desk.call(PromoteDue())
    assert desk.state("runs") is WorkState.RUNNING
    for each in ("ready", "parked", "later", "waits"):
        assert (desk.state(each), desk.events(each)[-1]) == (WorkState.DEAD, "work.expired")


def held_by(*held: Held) -> frozenset[tuple[ItemId, Fence]]:
    return frozenset((each.record.item.id, each.record.fence) for each in held)


def test_an_item_that_its_slot_has_lost_sight_of_goes_back_though_the_slot_works_on_another(desk: Desk) -> None:
    desk.submit("a", "b")
    (lost,), (kept,) = desk.claim(), desk.claim()
    assert lost.slot == kept.slot
    assert desk.call(Rescue(live=held_by(kept))).items == ("a",)


def test_an_item_that_is_held_under_a_later_fence_goes_back(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(Rescue(live=frozenset()))
    desk.claim_one()
    assert desk.call(Rescue(live=held_by(held))).items == ("a",)


def test_what_is_handed_to_a_holder_whose_answer_is_on_the_way_stays_there(desk: Desk) -> None:
    desk.submit("a", "b")
    asks, gone = desk.claim(count=2)
    assert desk.call(Rescue(live=frozenset(), taken=frozenset({asks.slot.holder}))).items == ("b",)
    assert gone.record.item.id == "b"


def test_items_of_lost_holders_go_back_with_their_steps(desk: Desk) -> None:
    desk.submit("a", "b")
    lost, kept = desk.claim(count=2)
    desk.call(step(lost))
    said = desk.call(Rescue(live=held_by(kept)))
    assert said.items == ("a",)
    record = desk.record("a")
    assert (record.state, record.reason, record.fence) == (WorkState.READY, "interrupted", lost.record.fence + 1)
    (told,) = desk.reader.events(0, type="work.rescued")
    assert told.data == {"holder": "actor/1#1", "stage": "optimizing"}
    again = desk.claim_one()
    assert (again.record.attempt, len(again.steps)) == (1, 1)


def test_feedback_and_failures_stay_with_the_item(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    for round_ in (1, 2):
        desk.call(
            move(held, WorkState.READY, PREPARE, ends_attempt=True, outcome="review_rejected", reviews=1,
                feedback={"round": round_})
        )  # fmt: skip
        held = desk.claim_one()
    assert held.record.feedback == ({"round": 1}, {"round": 2})
    assert held.record.reviews == 2
    first, second, third = desk.reader.attempts(ItemId("a"))
    assert [each["outcome"] for each in (first, second, third)] == ["review_rejected", "review_rejected", None]
    assert third["ended_at"] is None


def test_an_attempt_that_was_sent_back_is_told_as_its_review_and_not_as_a_failure_too(desk: Desk) -> None:
    desk.submit("a")
    fell = move(desk.claim_one(), WorkState.READY, PREPARE, ends_attempt=True, outcome="tool_error",
                failures=1, error={"kind": "tool_error"})  # fmt: skip
    desk.call(fell)
    sent_back = move(desk.claim_one(), WorkState.READY, PREPARE, ends_attempt=True, outcome="review_rejected",
                     reviews=1, error={"kind": "review_rejected"}, feedback={"issues": ["no"]})  # fmt: skip
    desk.call(sent_back)
    held = desk.claim_one()
    assert (held.failed, held.record.feedback) == (({"kind": "tool_error"},), ({"issues": ["no"]},))


def test_an_attempt_tells_on_what_each_life_ran_that_held_it(desk: Desk) -> None:
    executor = AgentName("executor")
    desk.submit("a")
    desk.close()
    desk.program = Program("1.0", "v1:calm", {executor: "v1:old", AgentName("echo"): "v1:other"})
    desk.open()
    desk.claim_one()
    desk.close()
    desk.program = Program("1.1", "v1:brisk", {executor: "v1:new"})
    desk.open()
    desk.call(move(desk.claim_one(), WorkState.READY, PREPARE, ends_attempt=True, outcome="review_rejected", reviews=1))
    desk.claim_one()
    first, second = desk.reader.attempts(ItemId("a"))
    old = {"boot": 2, "version": "1.0", "settings": "v1:calm", "definition": "v1:old"}
    new = {"boot": 3, "version": "1.1", "settings": "v1:brisk", "definition": "v1:new"}
    assert (first["lives"], second["lives"]) == ([old, new], [new])


def test_what_stages_made_is_kept_in_order(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(move(held, WorkState.RUNNING, DO, output={"brief": 1}))
    desk.call(move(held, WorkState.RUNNING, REVIEW, from_stage=DO, output={"text": 1}))
    desk.succeed(held, from_stage=REVIEW, output={"passed": True})
    assert [each["stage"] for each in desk.reader.outputs(ItemId("a"))] == ["optimizing", "executing", "reviewing"]
    assert desk.reader.result(ItemId("a")) == MADE
    holds = desk.sql("SELECT ended_at IS NULL, why FROM hold")
    assert holds == [(0, "completed")]


def test_a_switch_survives_a_restart_with_its_fact_and_its_audit(desk: Desk) -> None:
    asked = Setting(values={"paused": "true"}, facts=(DaemonPaused("daemon", "uid:1000"),), audits=(AUDIT,))
    assert desk.call(asked) is APPLIED
    desk.close()
    desk.open()
    assert desk.reader.setting("paused") == "true"
    assert desk.reader.setting("never") is None
    assert "paused" in desk.events()


def test_unfinished_is_every_item_that_is_not_at_its_end_as_of_one_statement(desk: Desk) -> None:
    desk.submit(*(new_item(name, stages=(DO,)) for name in ("succeeded", "dead", "running")))
    succeeded, dead, _ = desk.claim(DO, count=3)
    desk.succeed(succeeded)
    desk.kill(dead)
    desk.submit(
        "ready",
        "cancelled",
        new_item("waiting", needs=["ready"]),
        new_item("scheduled", state=WorkState.SCHEDULED, reason="delay", run_at=Millis(desk.clock.wall() + 1)),
        new_item("parked", state=WorkState.PARKED, reason="challenge"),
    )
    desk.cancel("cancelled")
    assert {each: desk.state(each) for each in WorkState} == {each: each for each in WorkState}
    asked: list[str] = []
    desk.reader._db._connection.set_trace_callback(asked.append)
    assert desk.reader.unfinished() == UNFINISHED
    assert len(asked) == 1, "of two, one that goes on meanwhile is in neither"


def test_of_values_that_are_set_together_all_are_kept_or_none(desk: Desk) -> None:
    with pytest.raises(Broken):
        desk.call(Setting(values={"a": "1", "b": 2**70}, audits=(AUDIT,)))  # type: ignore[dict-item] # on purpose
    assert (desk.reader.setting("a"), desk.reader.audits()) == (None, [])
    desk.call(Setting(values={"a": "1", "b": "2"}, audits=(AUDIT, AUDIT)))
    assert (desk.reader.setting("a"), desk.reader.setting("b"), len(desk.reader.audits())) == ("1", "2", 2)


def test_a_note_records_facts_and_nothing_else(desk: Desk) -> None:
    assert desk.call(Note(facts=(DaemonPaused("daemon", "me"),))) is APPLIED
    assert desk.events("daemon") == ["daemon.starting", "paused"]
    assert desk.reader.audits() == []


def test_each_audit_row_carries_the_hash_of_the_one_before_it_also_over_a_restart(desk: Desk) -> None:
    desk.submit("a")
    desk.cancel("a")
    desk.close()
    desk.open()
    desk.submit("b")
    rows = list(reversed(desk.reader.audits(limit=10)))
    previous = ""
    for row in rows:
        told = [row[name] for name in ("via", "by", "pid", "action", "target", "request_id")]
        assert row["hash"] == audit_hash(previous, row["at"], told)
        previous = row["hash"]
    assert len(rows) == 3
