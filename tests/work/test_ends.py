"""What follows each end: the table is complete, and each row does what it says."""

import pytest

from darumad.names import ItemId, Millis, Seconds, Stage
from darumad.values import changed
from darumad.work import (
    KINDS,
    LEADS_TO,
    Failure,
    ParkReason,
    ScheduleReason,
    StopReason,
    Verdict,
    WorkResult,
    WorkState,
)
from darumad.work.causes import ENDS, Course, cause_of
from darumad.work.codec import review_to_json
from darumad.work.ends import LONGEST, SHORTEST, Next, in_line
from darumad.work.gates import Finding, Gate, Review
from tests.work.build import FAULTY, NOW, PASSED, UNDECIDED, WALK, done, failed, follows, item, record, reviewed

OPT, EXE, REV = WALK
PROVIDER = ("connect", "disconnect", "timeout", "server_error", "overloaded", "malformed_response", "truncated_stream")
OWN = (
    "context_too_long", "request_too_large", "schema_violation", "bad_tool_args", "empty_output", "invalid_request",
    "tool_error", "loop_detected", "max_steps", "max_tokens", "item_timeout", "idle_timeout", "agent_crashed",
    "result_too_large", "child_died",
)  # fmt: skip
NEEDS_SOMEBODY = {
    "auth": ParkReason.PROVIDER,
    "quota_exhausted": ParkReason.PROVIDER,
    "model_not_found": ParkReason.PROVIDER,
    "budget_exhausted": ParkReason.BUDGET,
    "price_unknown": ParkReason.BUDGET,
}
COUNTERS = ("failures", "crashes", "delays", "parks", "reviews")


def raised(following: Next) -> dict[str, int]:
    return {name: getattr(following, name) for name in COUNTERS if getattr(following, name)}


# --- the table ------------------------------------------------------------------------------------------------------


def test_every_kind_has_its_row_and_the_other_rows_are_five() -> None:
    others = {"completed", "circuit_open", "gate_undecided", "expired", "dependency_failed"}
    assert set(ENDS) == set(KINDS) | others


@pytest.mark.parametrize("stop", list(StopReason))
def test_every_stop_reason_has_a_row_of_its_own_name_even_without_a_kind(stop: StopReason) -> None:
    assert ENDS[cause_of(WorkResult(stop_reason=stop), EXE, WALK)].stop_reason is stop


def test_every_stop_reason_is_told_by_some_row() -> None:
    assert {end.stop_reason for end in ENDS.values()} == set(StopReason)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("stop", list(StopReason))
def test_every_end_of_every_stage_leads_where_running_may_lead(stage: Stage, stop: StopReason) -> None:
    stages = WALK if stage in WALK else (stage,)
    following = follows(record(stage), WorkResult(stop_reason=stop), stages=stages)
    assert following.to in LEADS_TO[WorkState.RUNNING]
    assert following.stage in stages


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_in_every_stage_raises_at_most_the_counter_of_its_row(stage: Stage, kind: str) -> None:
    stages = WALK if stage in WALK else (stage,)
    following = follows(record(stage), failed(kind), stages=stages)
    assert set(raised(following)) <= {ENDS[kind].counter}
    assert following.to is not WorkState.SUCCEEDED


@pytest.mark.parametrize("stop", [stop for stop in StopReason if stop is not StopReason.COMPLETED])
@pytest.mark.parametrize("stage", list(Stage))
def test_nothing_but_completed_ever_succeeds(stage: Stage, stop: StopReason) -> None:
    following = follows(record(stage), WorkResult(stop_reason=stop, data=PASSED.data), stages=(stage,))
    assert following.to is not WorkState.SUCCEEDED


def test_a_kind_that_nobody_knows_is_judged_by_its_stop_reason() -> None:
    result = WorkResult(stop_reason=StopReason.TOOL_ERROR, error=Failure(kind="gremlins", message="?"))
    assert cause_of(result, EXE, WALK) == "tool_error"


def test_the_items_own_timeout_is_never_taken_for_a_calls() -> None:
    result = WorkResult(stop_reason=StopReason.TIMEOUT, error=Failure(kind="timeout", message="30 min are over"))
    assert raised(follows(record(), result)) == {"failures": 1}


def test_a_stage_that_is_not_in_the_walk_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        follows(record(Stage.PLANNING), done(), stages=WALK)


# --- the stage did its work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "following"), [(OPT, EXE), (EXE, REV)])
def test_a_stage_that_did_its_work_leads_to_the_next(stage: Stage, following: Stage) -> None:
    assert follows(record(stage), done()) == Next(to=WorkState.RUNNING, stage=following)


@pytest.mark.parametrize("stages", [(EXE,), (OPT, EXE)])
def test_the_last_stage_of_a_short_walk_ends_it(stages: tuple[Stage, ...]) -> None:
    following = follows(record(of=item(stages=stages)), done())
    assert (following.to, following.ends_attempt, following.outcome) == (WorkState.SUCCEEDED, True, "completed")


def test_a_passed_review_ends_the_walk_as_succeeded() -> None:
    assert follows(record(REV), PASSED).to is WorkState.SUCCEEDED


def test_a_plan_that_was_made_is_succeeded() -> None:
    assert follows(record(Stage.PLANNING), done(), stages=(Stage.PLANNING,)).to is WorkState.SUCCEEDED


# --- the review -----------------------------------------------------------------------------------------------------


def test_a_review_that_finds_faults_sends_the_item_back_to_the_first_stage_with_feedback() -> None:
    following = follows(record(REV), FAULTY)
    assert (following.to, following.stage, following.run_at) == (WorkState.READY, OPT, None)
    assert following.feedback == FAULTY.data
    assert (following.ends_attempt, following.keep_rank, raised(following)) == (True, True, {"reviews": 1})


@pytest.mark.parametrize(
    ("before", "to"), [(0, WorkState.READY), (1, WorkState.READY), (2, WorkState.READY), (3, WorkState.DEAD)]
)
def test_the_fourth_fault_finding_is_dead(before: int, to: WorkState) -> None:
    following = follows(record(REV, reviews=before), FAULTY)
    assert (following.to, following.outcome) == (to, "review_rejected")
    assert following.feedback == FAULTY.data


@pytest.mark.parametrize(("before", "to"), [(0, WorkState.READY), (3, WorkState.DEAD)])
def test_faults_that_are_told_in_no_form_are_feedback_all_the_same(before: int, to: WorkState) -> None:
    following = follows(record(REV, reviews=before), failed("review_rejected", data="no form"))
    assert (following.to, raised(following)) == (to, {"reviews": 1})
    assert following.feedback == {"issues": ["it was review_rejected"]}


def test_faults_and_an_undecided_gate_together_send_the_item_back() -> None:
    both = reviewed(correctness=Verdict.FAIL, completeness=Verdict.UNKNOWN)
    assert follows(record(REV), both).to is WorkState.READY


def test_a_gate_that_nobody_could_judge_parks_the_item_and_names_the_gate() -> None:
    following = follows(record(REV), UNDECIDED)
    assert (following.to, following.reason, following.fence_up) == (WorkState.PARKED, ParkReason.PROVIDER, True)
    assert following.error is not None
    assert following.error["message"].startswith("correctness (correctness is unknown)")
    assert following.error["hints"] == list(KINDS["model_not_found"].hints)
    assert raised(following) == {"parks": 1}


def test_a_gate_that_was_left_open_is_told_with_who_left_it_open() -> None:
    why = "the check of t@1 leaves it unknown, and no model judged it"
    gates = {Gate.CORRECTNESS: Finding(Verdict.UNKNOWN, (why,))}
    data = review_to_json(Review(gates=gates, required=frozenset(gates)))
    error = follows(record(REV), WorkResult(stop_reason=StopReason.COMPLETED, data=data)).error
    assert error is not None
    assert error["message"] == f"correctness ({why}): a required gate that is unknown is no pass"
    assert error["type"] == "GateUndecided"


def test_a_review_cannot_write_itself_a_pass() -> None:
    forged = done({**FAULTY.data, "passed": True, "issues": []})
    assert follows(record(REV), forged).to is WorkState.READY


@pytest.mark.parametrize("data", [None, "looks good", {"passed": True}, {"gates": 1, "required": 2}, {"gates": {}}, []])
def test_a_review_that_cannot_be_read_is_a_schema_violation_and_no_pass(data: object) -> None:
    following = follows(record(REV), done(data))
    assert (following.to, following.stage, following.outcome) == (WorkState.SCHEDULED, REV, "schema_violation")


def test_a_review_that_was_itself_asked_for_succeeds_whatever_it_found() -> None:
    assert follows(record(REV, of=item(stages=(REV,))), FAULTY).to is WorkState.SUCCEEDED


# --- providers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [EXE, REV, Stage.PLANNING])
@pytest.mark.parametrize("kind", [*PROVIDER, "rate_limited", "local_saturation"])
def test_an_outage_costs_an_item_nothing_but_time(kind: str, stage: Stage) -> None:
    following = follows(record(stage, failures=2), failed(kind), stages=WALK if stage in WALK else (stage,))
    assert (following.to, following.reason) == (WorkState.SCHEDULED, ScheduleReason.OUTAGE)
    assert (following.stage, following.ends_attempt, following.keep_rank) == (stage, False, True)
    assert raised(following) == {"delays": 1}


@pytest.mark.parametrize(("before", "seconds"), [(0, 5), (1, 10), (5, 160), (6, 300), (7, 300), (100_000, 300)])
def test_an_outage_waits_five_seconds_doubled_up_to_five_minutes(before: int, seconds: int) -> None:
    assert follows(record(delays=before), failed("connect"), rng_unit=1.0).run_at == NOW + seconds * 1000


@pytest.mark.parametrize("kind", ["rate_limited", "connect"])
def test_a_wait_that_the_provider_names_is_waited(kind: str) -> None:
    result = failed(kind, retry_after=Seconds(42.5), circuit_open=kind == "connect")
    assert follows(record(), result).run_at == NOW + 42_500


@pytest.mark.parametrize("kind", PROVIDER)
def test_a_failure_while_the_target_answers_others_is_the_items_own(kind: str) -> None:
    following = follows(record(), failed(kind, target_answered=True))
    assert (following.reason, raised(following)) == (ScheduleReason.BACKOFF, {"failures": 1})


@pytest.mark.parametrize("kind", PROVIDER)
def test_an_open_circuit_is_never_the_items_own_doing(kind: str) -> None:
    following = follows(record(), failed(kind, target_answered=True, circuit_open=True))
    assert (following.reason, raised(following)) == (ScheduleReason.OUTAGE, {"delays": 1})


def test_no_number_of_delays_kills() -> None:
    assert follows(record(delays=10_000, failures=2), failed("overloaded")).to is WorkState.SCHEDULED


def test_an_outage_tells_whether_an_attempt_was_made() -> None:
    assert follows(record(), WorkResult(stop_reason=StopReason.CIRCUIT_OPEN)).outcome == "circuit_open"
    assert follows(record(), failed("local_saturation", circuit_open=True)).outcome == "circuit_open"
    assert follows(record(), failed("local_saturation")).outcome == "provider_error"
    assert follows(record(), failed("connect")).outcome == "provider_error"


@pytest.mark.parametrize("stage", [EXE, REV])
@pytest.mark.parametrize(("kind", "reason"), list(NEEDS_SOMEBODY.items()))
def test_what_only_a_person_can_mend_parks_the_item(kind: str, reason: ParkReason, stage: Stage) -> None:
    following = follows(record(stage), failed(kind))
    assert (following.to, following.reason, following.stage) == (WorkState.PARKED, reason, stage)
    assert (following.fence_up, following.ends_attempt, raised(following)) == (True, False, {"parks": 1})


# --- failures of the item's own -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(
    ("before", "to"), [(0, WorkState.SCHEDULED), (1, WorkState.SCHEDULED), (2, WorkState.DEAD), (7, WorkState.DEAD)]
)
def test_the_third_failure_is_dead(kind: str, before: int, to: WorkState) -> None:
    following = follows(record(failures=before), failed(kind))
    assert (following.to, raised(following)) == (to, {"failures": 1})
    assert (following.ends_attempt, following.outcome) == (True, ENDS[kind].stop_reason.value)


@pytest.mark.parametrize("kind", OWN)
def test_a_retry_begins_a_new_attempt_at_the_first_stage_with_a_new_rank(kind: str) -> None:
    following = follows(record(), failed(kind))
    assert (following.stage, following.reason) == (OPT, ScheduleReason.BACKOFF)
    assert (following.keep_rank, following.fence_up) == (False, False)


def test_max_attempts_is_the_items_own() -> None:
    only_once = record(of=item(max_attempts=1))
    assert follows(only_once, failed("tool_error")).to is WorkState.DEAD


@pytest.mark.parametrize(("before", "unit", "millis"), [(0, 0, 2000), (1, 0, 4000), (1, 1, 4800), (9, 1, 300_000)])
def test_the_wait_doubles_from_two_seconds_with_jitter_up_to_five_minutes(
    before: int, unit: float, millis: int
) -> None:
    patient = record(failures=before, of=item(max_attempts=99))
    assert follows(patient, failed("tool_error"), rng_unit=unit).run_at == NOW + millis


def test_an_items_own_backoff_is_its_first_wait() -> None:
    hasty = record(failures=1, of=item(backoff=Seconds(0.05)))
    assert follows(hasty, failed("tool_error")).run_at == NOW + 100


@pytest.mark.parametrize("kind", [*OWN, *PROVIDER, *NEEDS_SOMEBODY, "rate_limited", "local_saturation"])
def test_a_failed_optimizer_costs_its_item_nothing_but_the_models_help(kind: str) -> None:
    following = follows(record(OPT, failures=2), failed(kind))
    assert (following.to, following.stage, following.degraded) == (WorkState.RUNNING, EXE, True)
    assert raised(following) == {}


def test_an_optimization_that_was_itself_asked_for_can_fail() -> None:
    alone = record(OPT, failures=2, of=item(stages=(OPT,)))
    assert follows(alone, failed("tool_error")).to is WorkState.DEAD


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("kind", OWN)
def test_a_failed_reviewer_is_tried_again_on_the_finished_work(kind: str, before: int) -> None:
    following = follows(record(REV, failures=before), failed(kind))
    assert (following.to, following.stage, following.reason) == (WorkState.SCHEDULED, REV, ScheduleReason.BACKOFF)
    assert (following.ends_attempt, raised(following)) == (True, {"failures": 1})


@pytest.mark.parametrize("kind", OWN)
def test_a_reviewer_that_keeps_failing_parks_the_item_and_kills_no_finished_work(kind: str) -> None:
    following = follows(record(REV, failures=2), failed(kind))
    assert (following.to, following.reason, following.stage) == (WorkState.PARKED, ParkReason.CONFLICT, REV)
    assert (following.fence_up, following.ends_attempt, following.failures) == (True, True, 1)


@pytest.mark.parametrize("kind", ["agent_crashed", "child_died"])
def test_a_crash_of_a_held_template_parks_the_item_and_is_no_failure_of_it(kind: str) -> None:
    following = follows(record(failures=2), failed(kind), template_held=True)
    assert (following.to, following.reason) == (WorkState.PARKED, ParkReason.TEMPLATE)
    assert raised(following) == {"parks": 1}


@pytest.mark.parametrize("stage", WALK)
def test_who_held_the_loop_by_a_template_that_is_held_is_parked_and_owes_nothing(stage: Stage) -> None:
    following = follows(record(stage, crashes=2), failed("loop_held"), template_held=True)
    assert (following.to, following.reason) == (WorkState.PARKED, ParkReason.TEMPLATE)
    assert raised(following) == {"parks": 1}


def test_a_held_template_excuses_nothing_but_its_crashes() -> None:
    assert follows(record(failures=2), failed("tool_error"), template_held=True).to is WorkState.DEAD


# --- the other ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["refusal", "invalid_item"])
@pytest.mark.parametrize("stage", WALK)
def test_what_another_try_would_not_mend_is_dead_at_once(kind: str, stage: Stage) -> None:
    following = follows(record(stage), failed(kind))
    assert (following.to, following.ends_attempt, raised(following)) == (WorkState.DEAD, True, {})
    assert following.outcome == ENDS[kind].stop_reason.value


@pytest.mark.parametrize("stop", [StopReason.EXPIRED, StopReason.DEPENDENCY_FAILED])
def test_an_item_that_expired_or_lost_a_dependency_is_dead(stop: StopReason) -> None:
    following = follows(record(), WorkResult(stop_reason=stop))
    assert (following.to, following.outcome) == (WorkState.DEAD, stop.value)


def test_a_challenge_parks_the_item_with_its_questions() -> None:
    following = follows(record(OPT), failed("challenged", data={"questions": ["Which report?"]}))
    assert (following.to, following.reason) == (WorkState.PARKED, ParkReason.CHALLENGE)
    assert (following.questions, raised(following)) == (("Which report?",), {"parks": 1})


@pytest.mark.parametrize("reason", ["approval", "question", "children"])
def test_an_agent_that_asks_says_whom_it_needs(reason: str) -> None:
    assert follows(record(), failed("challenged", data={"reason": reason})).reason == reason


@pytest.mark.parametrize("data", [{"reason": "budget"}, {"reason": []}, {"questions": "abc"}, "why?", None])
def test_an_agent_cannot_ask_for_what_is_not_its_to_ask(data: object) -> None:
    following = follows(record(), failed("challenged", data=data))
    assert (following.reason, following.questions) == (ParkReason.CHALLENGE, ())


def test_a_cancelled_item_is_cancelled_under_a_new_fence() -> None:
    following = follows(record(), failed("cancelled"))
    assert (following.to, following.fence_up, following.ends_attempt) == (WorkState.CANCELLED, True, True)
    assert following.outcome == "cancelled"


@pytest.mark.parametrize("stage", WALK)
@pytest.mark.parametrize("kind", ["interrupted", "bridge_stalled"])
def test_an_interrupted_item_goes_on_where_it_was_and_owes_nothing(kind: str, stage: Stage) -> None:
    assert follows(record(stage), failed(kind)) == Next(
        to=WorkState.READY, stage=stage, reason="interrupted", outcome="interrupted"
    )


@pytest.mark.parametrize(("before", "to"), [(0, WorkState.READY), (1, WorkState.READY), (2, WorkState.DEAD)])
@pytest.mark.parametrize("kind", ["handler_crashed", "loop_held"])
def test_the_third_crash_of_our_own_handler_or_loop_is_dead(before: int, to: WorkState, kind: str) -> None:
    following = follows(record(crashes=before), failed(kind))
    assert (following.to, following.stage, raised(following)) == (to, EXE, {"crashes": 1})
    assert following.outcome == following.reason == ("interrupted" if to is WorkState.READY else "agent_crashed")
    assert following.error


@pytest.mark.parametrize("kind", ["stale", "spawn_failed"])
def test_what_changed_nothing_moves_nothing(kind: str) -> None:
    assert not follows(record(), failed(kind)).moves


def test_only_what_changed_nothing_moves_nothing() -> None:
    still = {cause for cause, end in ENDS.items() if end.course is Course.STAY}
    assert still == {"stale", "spawn_failed"}


# --- time -----------------------------------------------------------------------------------------------------------

LATE = item(expires_at=NOW)


@pytest.mark.parametrize("result", [failed("tool_error"), failed("connect"), failed("interrupted")])
def test_an_item_past_its_expiry_does_not_go_back_into_the_line(result: WorkResult) -> None:
    following = follows(record(of=LATE), result)
    assert (following.to, following.ends_attempt) == (WorkState.DEAD, True)
    assert following.outcome == following.reason == "expired"


def test_an_item_may_finish_its_attempt_past_its_expiry() -> None:
    assert follows(record(EXE, of=LATE), done()).to is WorkState.RUNNING
    assert follows(record(REV, of=LATE), PASSED).to is WorkState.SUCCEEDED


def test_an_item_is_not_expired_one_millisecond_before() -> None:
    assert follows(record(of=LATE), failed("tool_error"), now=Millis(NOW - 1)).to is WorkState.SCHEDULED


def test_an_item_without_a_free_slot_stands_in_line_for_its_next_stage_with_its_rank() -> None:
    waiting = in_line(Next(to=WorkState.RUNNING, stage=REV), record(), NOW)
    assert (waiting.to, waiting.stage, waiting.keep_rank, waiting.ends_attempt) == (WorkState.READY, REV, True, False)


def test_an_item_past_its_expiry_does_not_stand_in_line() -> None:
    assert in_line(Next(to=WorkState.RUNNING, stage=REV), record(of=LATE), NOW).outcome == "expired"


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_failure_is_told_with_the_item_the_agent_hints_and_steps() -> None:
    following = follows(record(holder="executors/executor/1#2"), failed("auth"))
    assert following.error == {
        "kind": "auth",
        "type": "",
        "message": "it was auth",
        "item": {"id": ItemId("a"), "phase": "implementation"},
        "agent": "executors/executor/1#2",
        "hints": list(KINDS["auth"].hints),
        "recovery": [KINDS["auth"].recovery[0], "Look at the log of the attempt and at what the work depends on."],
    }


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("counted", [0, 9])
@pytest.mark.parametrize("stage", WALK)
@pytest.mark.parametrize("kind", list(KINDS))
def test_whatever_stops_an_item_says_why_and_by_whom(kind: str, stage: Stage, counted: int, late: bool) -> None:
    before = dict.fromkeys(COUNTERS, counted)
    held = record(stage, of=LATE if late else None, holder="executors/executor/1#2", **before)
    following = follows(held, failed(kind))
    stopped = following.to not in {WorkState.READY, WorkState.RUNNING}
    if stopped or following.degraded:
        assert following.error
        assert (following.error["kind"] != "", following.error["agent"]) == (True, "executors/executor/1#2")
        assert following.error["message"] in {f"it was {kind}", "the item was not done by its expires_at"}
    if stopped:
        assert following.outcome in {each.value for each in StopReason}


def test_what_an_agent_wrote_is_why_it_failed_where_it_says_no_more() -> None:
    following = follows(record(), WorkResult(stop_reason=StopReason.TOOL_ERROR, text="the disk is full"))
    assert following.error
    assert following.error["message"] == "the disk is full"


@pytest.mark.parametrize("stop", [s for s in StopReason if s is not StopReason.COMPLETED])
def test_no_failure_is_without_a_sentence(stop: StopReason) -> None:
    following = follows(record(), WorkResult(stop_reason=stop))
    assert following.to is WorkState.READY or (following.error is not None and following.error["message"])


def test_the_item_is_never_changed_by_what_follows() -> None:
    names = set(Next.__struct_fields__)
    assert "item" not in names
    assert "description" not in names


def test_chance_alone_never_changes_anything_but_when() -> None:
    one, other = (follows(record(), failed("tool_error"), rng_unit=unit) for unit in (0.0, 1.0))
    assert one.run_at != other.run_at
    assert changed(one, run_at=None) == changed(other, run_at=None)


@pytest.mark.parametrize(
    ("told", "waited"),
    [(-100.0, SHORTEST), (float("nan"), SHORTEST), (float("inf"), LONGEST)],
)
def test_a_wait_that_is_none_is_made_one(told: float, waited: float) -> None:
    following = follows(record(), failed("rate_limited", retry_after=Seconds(told)))
    assert following.run_at == NOW + waited * 1000
