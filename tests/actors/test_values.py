"""What the orchestrator remembers and what its helpers decide, as values: no thread, no clock, no journal."""

from typing import Any

import pytest

from darumad.actors import TreeListener, agent_at, judge_of
from darumad.actors.barred import Barred, Probes
from darumad.actors.decisions import held_next, move_of, output_of
from darumad.actors.holds import TemplateHolds
from darumad.actors.judge import AgentError, TaskAbandoned
from darumad.actors.messages import SlotDown
from darumad.actors.roster import ANY, MOST, Backlog, Roster, pool_of
from darumad.agents import AgentDefinition
from darumad.bridge import Done, Seat, handler_crashed, put_back
from darumad.journal.requests import Held, Slot, Step
from darumad.names import ActorPath, AgentName, Attempt, Fence, Incarnation, ItemId, Millis, Role, Seconds, Stage
from darumad.supervision import Event, ExitReason
from darumad.values import changed
from darumad.work.codec import plan_to_json
from darumad.work.item import WorkRecord
from darumad.work.plan import Plan, PlannedItem
from darumad.work.result import Failure, StopReason, WorkResult
from darumad.work.states import WorkState
from tests.work import build

EXECUTOR, OTHER = AgentName("executor"), AgentName("other")
NOW = Seconds(1.0)
DOING, PREPARING = (Role.EXECUTOR, EXECUTOR), (Role.OPTIMIZER, ANY)


def held(name: str = "a", stage: Stage = Stage.EXECUTING, **more: Any) -> Held:
    record = build.record(stage, of=build.item(id=ItemId(name)), fence=Fence(3), attempt=1, holder="x/1#1")
    return Held(record=record, slot=Slot(EXECUTOR, stage, "x/1#1"), **more)


def nobody(message: object) -> None:
    raise AssertionError(message)


def seat(path: str) -> Seat:
    """The first life of an executor's slot."""
    definition = AgentDefinition(name=EXECUTOR, role=Role.EXECUTOR, count=1)
    return Seat(
        path=ActorPath(path), incarnation=Incarnation(1), role=Role.EXECUTOR, definition=definition,
        tell=nobody, report=nobody,
    )  # fmt: skip


# --- the roster -------------------------------------------------------------------------------------------------------


def test_a_slot_is_free_or_offered_or_holds_one_item() -> None:
    roster = Roster()
    roster.add(seat("x/1"))
    (slot,) = roster.offer({DOING: 5})
    assert (slot.holder, slot.stage, slot.agent) == ("x/1#1", Stage.EXECUTING, EXECUTOR)
    assert roster.offer({DOING: 5}) == ()
    assert (roster.taken(), roster.held()) == ({"x/1#1"}, frozenset())
    roster.hold("x/1#1", held(), NOW)
    assert (roster.taken(), roster.held(), roster.under_way(EXECUTOR)) == (frozenset(), {("a", 3)}, 1)
    assert (roster.holds(ItemId("a")), roster.holds(ItemId("b"))) == (True, False)
    roster.free("x/1#1")
    assert (roster.taken(), roster.held(), roster.under_way(EXECUTOR)) == (frozenset(), frozenset(), 0)
    assert roster.take(DOING) == "x/1#1"


def test_a_slot_that_is_gone_gives_back_what_it_held_and_is_offered_no_more() -> None:
    roster = Roster()
    roster.add(seat("x/1"))
    roster.hold("x/1#1", held(), NOW)
    gone = roster.remove("x/1#1")
    assert gone is not None
    assert gone.held == held()
    assert (roster.under_way(EXECUTOR), roster.pools(), roster.take(DOING)) == (0, (), None)
    assert roster.remove("x/1#1") is None
    assert roster.hold("x/1#1", held(), NOW) is None
    roster.free("x/1#1")
    assert roster.take(DOING) is None


def test_a_free_slot_that_died_is_skipped() -> None:
    roster = Roster()
    for number in (1, 2):
        roster.add(seat(f"x/{number}"))
    roster.remove("x/1#1")
    assert [slot.holder for slot in roster.offer({DOING: 2})] == ["x/2#1"]


def test_a_slot_that_goes_down_and_up_under_its_name_is_one_slot() -> None:
    roster = Roster()
    for _ in range(2):
        roster.add(seat("x/1"))
        roster.remove("x/1#1")
    roster.add(seat("x/1"))
    assert [slot.holder for slot in roster.offer({DOING: 5})] == ["x/1#1"]


@pytest.mark.parametrize("gets", [None, held()])
def test_a_slot_that_goes_down_and_up_while_it_is_taken_is_given_nothing_else(gets: Held | None) -> None:
    roster = Roster()
    roster.add(seat("x/1"))
    assert roster.take(DOING) == "x/1#1"
    roster.remove("x/1#1")
    roster.add(seat("x/1"))
    assert roster.take(DOING) is None
    if gets is not None:
        assert roster.hold("x/1#1", gets, NOW) is not None
        assert roster.take(DOING) is None
    roster.free("x/1#1")
    assert (roster.take(DOING), roster.take(DOING)) == ("x/1#1", None)


def test_the_slot_that_is_free_for_the_longest_is_taken_first() -> None:
    roster = Roster()
    for number in (1, 2, 3):
        roster.add(seat(f"x/{number}"))
    assert roster.take(DOING) == "x/1#1"
    roster.free("x/1#1")
    assert [roster.take(DOING) for _ in range(4)] == ["x/2#1", "x/3#1", "x/1#1", None]


def test_a_slot_that_a_claim_found_nothing_for_comes_up_free_again() -> None:
    roster = Roster()
    roster.add(seat("x/1"))
    roster.offer({DOING: 1})
    roster.free("x/1#1")
    assert roster.taken() == frozenset()
    roster.remove("x/1#1")
    roster.add(seat("x/1"))
    assert roster.take(DOING) == "x/1#1"


def test_a_slot_whose_agent_is_made_anew_keeps_its_item_and_is_offered_with_what_the_agent_is_made_of() -> None:
    roster = Roster()
    roster.add(seat("x/1"), "as it was")
    (slot,) = roster.offer({DOING: 1})
    roster.hold("x/1#1", held(), NOW)
    roster.add(seat("x/1"), "corrected")
    assert (roster.held(), roster.take(DOING)) == ({("a", 3)}, None)
    roster.free("x/1#1")
    (again,) = roster.offer({DOING: 5})
    assert (slot.resources_version, again.resources_version) == ("as it was", "corrected")


def test_optimizers_and_reviewers_serve_every_definition_and_executors_their_own() -> None:
    assert pool_of(Stage.OPTIMIZING, OTHER) == pool_of(Stage.OPTIMIZING, EXECUTOR)
    assert pool_of(Stage.EXECUTING, OTHER) != pool_of(Stage.EXECUTING, EXECUTOR)


# --- the backlog ------------------------------------------------------------------------------------------------------


def slots(pool: tuple[Role, AgentName], count: int) -> list[Slot]:
    stage = Stage.EXECUTING if pool == DOING else Stage.OPTIMIZING
    return [Slot(pool[1], stage, f"{pool[1]}/{number}#1") for number in range(count)]


def test_at_first_there_may_be_work_anywhere() -> None:
    assert Backlog().wanted([DOING, PREPARING]) == {DOING: MOST, PREPARING: MOST}


def test_a_pool_that_was_not_looked_at_stays_unknown() -> None:
    """Its slots were busy, or came up later: what waits there must not wait for the next re-read."""
    backlog = Backlog()
    backlog.asked(slots(PREPARING, 2))
    assert backlog.wanted([DOING, PREPARING]) == {DOING: MOST}


def test_what_is_known_of_a_pool_is_offered_once() -> None:
    backlog = Backlog()
    backlog.asked(slots(DOING, 1))
    backlog.answered(slots(DOING, 1), frozenset())
    assert backlog.wanted([DOING]) == {}
    backlog.add(DOING, 3)
    assert backlog.wanted([DOING]) == {DOING: 3}
    backlog.asked(slots(DOING, 2))
    assert backlog.wanted([DOING]) == {DOING: 1}


def test_a_pool_whose_every_slot_found_work_may_hold_more() -> None:
    backlog, offered = Backlog(), slots(DOING, 2)
    backlog.asked(offered)
    backlog.answered(offered, frozenset(each.holder for each in offered))
    assert backlog.wanted([DOING]) == {DOING: MOST}
    backlog.asked(slots(DOING, MOST))
    backlog.answered(slots(DOING, MOST), frozenset({"executor/0#1"}))
    assert backlog.wanted([DOING]) == {}


# --- what is barred ---------------------------------------------------------------------------------------------------


def test_of_all_definitions_behind_a_half_open_circuit_one_item_goes_on_until_it_ends_or_the_circuit_closes() -> None:
    third, shut, free = AgentName("third"), AgentName("shut"), AgentName("free")
    barred = Barred(frozenset({shut}), {EXECUTOR: "far", OTHER: "far", third: "near"})
    probe, probes = build.item(id=ItemId("probe"), agent=EXECUTOR), Probes()
    assert probes.narrowed(barred) == barred
    probes.claimed([probe, build.item(id=ItemId("beside"), agent=free)], barred.but_one)
    assert probes.narrowed(barred) == Barred(frozenset({shut, EXECUTOR, OTHER}), {third: "near"})
    others = {agent: build.item(id=ItemId("another"), agent=agent) for agent in (EXECUTOR, OTHER, third, shut, free)}
    assert probes.goes_on(probe, barred)
    assert {agent for agent, item in others.items() if probes.goes_on(item, barred)} == {free}
    probes.forget(barred, lambda _: True)
    assert probes.goes_on(probe, barred)
    probes.forget(barred, lambda item: item != "probe")
    assert (probes.narrowed(barred), probes.goes_on(probe, barred)) == (barred, False)
    probes.claimed([probe], barred.but_one)
    probes.forget(Barred(frozenset({shut}), {third: "near"}), lambda _: True)
    assert probes.narrowed(barred) == barred


# --- holds ------------------------------------------------------------------------------------------------------------


def ended(
    name: str, kind: str | None = "agent_crashed", stage: Stage = Stage.EXECUTING
) -> tuple[WorkRecord, WorkResult]:
    """How a stage of this item ended; well, if nothing is said."""
    record = build.record(stage, of=build.item(id=ItemId(name), agent=EXECUTOR))
    if kind is None:
        return record, WorkResult(stop_reason=StopReason.COMPLETED)
    reason = StopReason.AGENT_CRASHED if kind == "agent_crashed" else StopReason.INTERRUPTED
    return record, WorkResult(stop_reason=reason, error=Failure(kind=kind, message="it fell"))


def in_turn(*ends: tuple[WorkRecord, WorkResult]) -> list[bool]:
    """Of each end, a second apart, whether its template is held for it."""
    holds = TemplateHolds()
    return [holds.count(*each, Seconds(number)) for number, each in enumerate(ends)]


def test_three_different_items_hold_a_template_for_a_minute() -> None:
    holds = TemplateHolds()
    assert [holds.count(*ended(each), Seconds(0)) for each in "abc"] == [False, False, True]
    assert holds.all_held(Seconds(3.0)) == {EXECUTOR}
    assert holds.all_held(Seconds(62.0)) == frozenset()
    assert in_turn(*map(ended, "abab")) == [False] * 4, "two items are the items' own fault"


def test_a_success_between_clears_the_template() -> None:
    assert in_turn(ended("a"), ended("b"), ended("b", None), ended("c"))[-1] is False


def test_the_loop_held_twice_holds_a_template_be_it_for_one_item_in_whatever_stage() -> None:
    once, reviewing = ended("a", "loop_held"), ended("a", "loop_held", Stage.REVIEWING)
    assert in_turn(once, once) == [False, True]
    assert in_turn(once, ended("b", None), once) == [False] * 3, "a success between clears it"
    assert in_turn(reviewing, ended("a", None), reviewing)[-1], "but not that of another stage"


def test_a_template_whose_agent_was_restarted_starts_afresh() -> None:
    holds = TemplateHolds()
    for each in (*map(ended, "abc"), ended("a", "loop_held"), ended("b", "loop_held")):
        holds.count(*each, Seconds(0))
    assert holds.all_held(Seconds(0)) == {EXECUTOR}
    holds.forget({OTHER})
    assert holds.all_held(Seconds(0)) == {EXECUTOR}
    holds.forget({EXECUTOR})
    assert holds.all_held(Seconds(0)) == frozenset()


# --- the judge --------------------------------------------------------------------------------------------------------


def test_a_template_whose_leftovers_held_the_loop_twice_within_an_hour_is_held_whatever_succeeds() -> None:
    holds = TemplateHolds()
    holds.left_behind(EXECUTOR, Seconds(0))
    holds.left_behind(OTHER, Seconds(10))
    assert holds.all_held(Seconds(10)) == frozenset()
    holds.left_behind(EXECUTOR, Seconds(1000))
    for stage in Stage:
        holds.count(*ended("a", None, stage), Seconds(1001))
    assert holds.all_held(Seconds(3599)) == {EXECUTOR}
    assert holds.all_held(Seconds(3601)) == frozenset(), "one of the two is an hour old"
    holds.left_behind(EXECUTOR, Seconds(3602))
    assert holds.all_held(Seconds(3602)) == {EXECUTOR}
    holds.forget([EXECUTOR])
    assert holds.all_held(Seconds(3602)) == frozenset()


@pytest.mark.parametrize(
    ("error", "judged"),
    [
        (AgentError(Failure(kind="tool_error", message="")), "count"),
        (AgentError(Failure(kind="server_error", message="")), "count"),
        (AgentError(Failure(kind="server_error", message="", circuit_open=True)), "ignore"),
        (AgentError(Failure(kind="cancelled", message="")), "ignore"),
        (AgentError(Failure(kind="interrupted", message="")), "ignore"),
        (TaskAbandoned("it ignored its cancel"), "crash"),
        (ValueError("our own handler"), "crash"),
        (SystemExit(1), "crash"),
    ],
    ids=lambda each: getattr(each, "kind", None) or (each if isinstance(each, str) else type(each).__name__),
)
def test_what_counts_against_an_agent_is_the_tables_and_our_own_errors_are_crashes(
    error: BaseException, judged: str
) -> None:
    assert judge_of({})(error) == judged


def test_the_settings_move_a_kind_from_one_verdict_to_another() -> None:
    error = AgentError(Failure(kind="tool_error", message=""))
    assert judge_of({"tool_error": "ignore"})(error) == "ignore"


# --- decisions --------------------------------------------------------------------------------------------------------


def test_a_stage_without_a_free_slot_goes_ready_with_the_next_stage() -> None:
    done = Done("x/1#1", held(), WorkResult(stop_reason=StopReason.COMPLETED, text="it is done"))
    follows = build.follows(done.held.record, done.result)
    move = move_of(done, follows, holder=None, now=Millis(5), new_id=str)
    assert (move.follows.to, move.follows.stage, move.holder) == (WorkState.READY, Stage.REVIEWING, None)
    moved = move_of(done, follows, holder="y/1#1", now=Millis(5), new_id=str)
    assert (moved.follows.to, moved.follows.stage, moved.holder) == (WorkState.RUNNING, Stage.REVIEWING, "y/1#1")
    assert (moved.fence, moved.from_stage) == (Fence(3), Stage.EXECUTING)


def test_what_one_stage_made_is_what_the_next_one_holds() -> None:
    before = held(brief={"intent": "x"}, steps=((1, "model", "digest", {"text": "of this stage"}),))
    done = Done("x/1#1", before, WorkResult(stop_reason=StopReason.COMPLETED, text="it is done"))
    move = move_of(done, build.follows(done.held.record, done.result), holder="y/1#1", now=Millis(5), new_id=str)
    following = held_next(done, move, Fence(3), "y/1#1")
    assert (following.record.stage, following.record.holder, following.brief) == (
        Stage.REVIEWING, "y/1#1", {"intent": "x"},
    )  # fmt: skip
    assert following.work is not None
    assert following.work.text == "it is done"
    assert following.steps == ()


def test_a_brief_is_what_the_next_stage_begins_with_and_is_no_work() -> None:
    done = Done("o/1#1", held(stage=Stage.OPTIMIZING), build.done({"intent": "x"}))
    move = move_of(done, build.follows(done.held.record, done.result), holder="x/1#1", now=Millis(5), new_id=str)
    following = held_next(done, move, Fence(3), "x/1#1")
    assert (following.record.stage, following.brief, following.work) == (Stage.EXECUTING, {"intent": "x"}, None)


def test_what_a_goal_is_broken_up_into_is_from_whom_the_goal_is() -> None:
    goal = build.item(id=ItemId("goal"), stages=(Stage.PLANNING,))
    record = build.record(
        Stage.PLANNING, of=goal, fence=Fence(3), attempt=1, origin="http", submitted_by="uid:7", correlation_id="trace"
    )
    items = tuple(PlannedItem(key=key, description=f"do {key}") for key in "ab")
    plan = plan_to_json(Plan(items=items, stages=(Stage.EXECUTING,)))
    done = Done("o/1#1", Held(record=record, slot=Slot(EXECUTOR, Stage.PLANNING, "o/1#1")), build.done(plan))
    numbers = iter("12")
    move = move_of(done, build.follows(record, done.result), holder=None, now=Millis(5), new_id=lambda: next(numbers))
    assert [(each.origin, each.submitted_by, each.correlation_id) for each in move.plan] == [
        ("http", "uid:7", "trace")
    ] * 2
    assert move.result is not None
    assert [each["description"] for each in move.result["data"]["items"]] == ["do a", "do b"]


def test_the_result_of_an_item_is_the_work_that_was_reviewed_with_its_review() -> None:
    work = WorkResult(stop_reason=StopReason.COMPLETED, text="it is done")
    done = Done("r/1#1", held(stage=Stage.REVIEWING, work=work), build.PASSED)
    move = move_of(done, build.follows(done.held.record, done.result), holder=None, now=Millis(5), new_id=str)
    assert move.result is not None
    told = {name: move.result[name] for name in ("item_id", "attempt", "success", "text", "review", "finished_at")}
    assert told == {
        "item_id": "a", "attempt": 1, "success": True, "text": "it is done", "review": build.PASSED.data,
        "finished_at": 5,
    }  # fmt: skip


def test_a_stage_that_failed_leaves_nothing_for_the_next() -> None:
    done = Done("x/1#1", held(), build.failed("tool_error"))
    assert output_of(done, build.follows(done.held.record, done.result)) is None


def test_an_optimizer_that_failed_leaves_the_brief_that_its_end_came_with() -> None:
    done = Done("x/1#1", held(stage=Stage.OPTIMIZING), build.failed("server_error"), brief={"intent": "x"})
    assert output_of(done, build.follows(done.held.record, done.result)) == {"intent": "x"}


@pytest.mark.parametrize(
    ("done", "crashes", "why"),
    [
        (put_back("x/1#1", held(), "its actor ended: crash"), 0, "its actor ended: crash"),
        (handler_crashed(Done("x/1#1", held(), build.done()), ValueError("ours")), 1, "ValueError: ours"),
    ],
)
def test_what_is_put_back_is_held_against_the_item_only_when_our_own_handler_raised(
    done: Done, crashes: int, why: str
) -> None:
    move = move_of(done, build.follows(done.record, done.result), holder=None, now=Millis(5), new_id=str)
    assert (move.follows.to, move.follows.stage, move.follows.crashes) == (WorkState.READY, Stage.EXECUTING, crashes)
    (fact,) = move.facts
    assert (fact.name, fact.data()["why"]) == ("work.interrupted", why)


STEP = Step(
    item=ItemId("a"), fence=Fence(3), attempt=Attempt(1), stage=Stage.EXECUTING, seq=1, kind="model", input_digest="",
    output={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("got_on", "crashes", "suspect"), [({}, 2, True), ({"stepped": True}, 0, False), ({"steps": (STEP,)}, 0, False)]
)
def test_a_new_step_clears_what_is_held_against_an_item_by_the_time_its_stage_ends(
    got_on: dict[str, Any], crashes: int, suspect: bool
) -> None:
    done = Done("x/1#1", blamed(), build.failed("tool_error"), **got_on)
    assert (done.record.crashes, done.record.suspect) == (crashes, suspect)
    handled = handler_crashed(done, ValueError("ours"))
    assert handled.record.crashes == (0 if done.stepped else 2), "a step that was to come with the end is left behind"


@pytest.mark.parametrize(("result", "crashes"), [(build.done("made"), 0), (build.done(), 2)])
def test_what_a_stage_made_clears_what_was_held_against_an_item_before_the_next(
    result: WorkResult, crashes: int
) -> None:
    done = Done("x/1#1", blamed(Stage.OPTIMIZING), result)
    move = move_of(done, build.follows(done.record, result), holder="y/1#1", now=Millis(5), new_id=str)
    record = held_next(done, move, Fence(3), "y/1#1").record
    assert (record.crashes, record.suspect) == (crashes, bool(crashes))


def blamed(stage: Stage = Stage.EXECUTING) -> Held:
    """An item that was claimed with two crashes, and as a suspect."""
    plain = held(stage=stage)
    return changed(plain, record=changed(plain.record, crashes=2, suspect=True))


# --- the listener -----------------------------------------------------------------------------------------------------

PLACE = "daruma/engine/minds/executors/of-executor/executor/1"


class Heard:
    """A listener, and what it passed on."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.told: list[Any] = []
        self.forgotten: list[str] = []
        self.listener = TreeListener(agent_at, self.facts.append, self.told.append, self.forgotten.append)

    def hear(self, name: str, incarnation: int = 1, path: str = PLACE, **data: object) -> None:
        self.listener(Event(name, 0.0, path, incarnation, data))

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.facts]


def test_a_life_that_ended_is_forgotten_by_the_bridge_and_told_to_the_orchestrator() -> None:
    heard = Heard()
    heard.hear("child.exited", 4, reason=ExitReason("killed"))
    assert heard.forgotten == [f"{PLACE}#4"]
    (down,) = heard.told
    assert isinstance(down, SlotDown)
    assert down.holder == f"{PLACE}#4"


def test_a_restart_is_told_with_what_led_to_it_and_a_first_start_is_none() -> None:
    heard = Heard()
    heard.hear("child.started", 1)
    heard.hear("child.budget_exceeded", 1)
    heard.hear("child.exited", 1, reason=ExitReason("crash"))
    heard.hear("child.started", 2)
    assert heard.names == ["agent.started", "agent.restarted"]
    assert (heard.facts[1].incarnation, heard.facts[1].reason) == (2, "errors")


@pytest.mark.parametrize("ends", [["child.exited"], []], ids=["up", "benched"])
def test_a_restart_that_was_asked_for_is_told_as_such(ends: list[str]) -> None:
    heard = Heard()
    heard.listener.requested(PLACE)
    for name in ends:
        heard.hear(name, 1, reason=ExitReason("shutdown"))
    heard.hear("child.started", 2)
    heard.hear("child.exited", 2, reason=ExitReason("crash"))
    heard.hear("child.started", 3)
    assert [(each.name, each.reason) for each in heard.facts] == [
        ("agent.restarted", "requested"), ("agent.restarted", "crash"),
    ]  # fmt: skip


def test_the_third_counted_error_degrades_and_what_is_ignored_is_not_recorded() -> None:
    heard = Heard()
    for number in (1, 2, 3, 4):
        heard.hear("child.error", judged="count", errors_in_window=number, error="tool_error: no")
    heard.hear("child.error", judged="ignore", errors_in_window=4, error="cancelled: no")
    assert heard.names.count("agent.error_recorded") == 4
    assert heard.names.count("agent.health_degraded") == 1


def test_a_benched_instance_is_told_and_told_again_when_it_is_up() -> None:
    heard = Heard()
    heard.hear("child.exited", 3, reason=ExitReason("crash", ValueError("ours")))
    heard.hear("child.benched", 3)
    heard.hear("child.started", 4)
    assert heard.names == ["agent.benched", "agent.unbenched", "agent.restarted"]


def test_what_is_no_agents_is_none_of_its_business() -> None:
    heard = Heard()
    heard.hear("child.exited", path="daruma/engine/orchestrator", reason=ExitReason("crash"))
    heard.hear("child.started", path="daruma/doors/metrics")
    assert (heard.facts, heard.told, heard.forgotten) == ([], [], [])
