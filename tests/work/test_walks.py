"""Whole lives of items, drawn by chance: however the stages end, a life is bounded and never leaves the table."""

from hypothesis import given
from hypothesis import strategies as st

from darumad.names import Attempt, Fence, Millis, Stage
from darumad.values import changed
from darumad.work import KINDS, LEADS_TO, WorkRecord, WorkResult, WorkState
from darumad.work.causes import ENDS, Course
from darumad.work.ends import Next
from tests.work.build import FAULTY, PASSED, UNDECIDED, WALK, done, failed, follows, item, record

RESULTS = st.one_of(
    st.sampled_from([done(), PASSED, FAULTY, UNDECIDED]),
    st.builds(
        lambda kind, is_open, answered: failed(kind, circuit_open=is_open, target_answered=answered),
        st.sampled_from(list(KINDS)),
        st.booleans(),
        st.booleans(),
    ),
)
COSTLY = [FAULTY, *(failed(kind) for kind, end in ENDS.items() if kind in KINDS and end.course is Course.TRY_AGAIN)]


def after(held: WorkRecord, following: Next) -> WorkRecord:
    """The record once the move is stored and, unless it is final, the item was claimed again."""
    return changed(
        held,
        state=following.to,
        stage=following.stage,
        fence=Fence(held.fence + following.fence_up),
        attempt=Attempt(held.attempt + following.ends_attempt),
        failures=held.failures + following.failures,
        crashes=held.crashes + following.crashes,
        delays=held.delays + following.delays,
        parks=held.parks + following.parks,
        reviews=held.reviews + following.reviews,
    )


def claimed(held: WorkRecord) -> WorkRecord:
    assert held.state is WorkState.RUNNING or LEADS_TO[held.state], "a final item was claimed"
    return changed(held, state=WorkState.RUNNING, fence=Fence(held.fence + 1))


@given(st.lists(RESULTS, max_size=60), st.integers(1, 5), st.integers(0, 5))
def test_no_walk_leaves_the_table_or_goes_beyond_its_limits(
    results: list[WorkResult], max_attempts: int, max_reviews: int
) -> None:
    held = record(WALK[0], of=item(max_attempts=max_attempts, max_reviews=max_reviews))
    for result in results:
        following = follows(held, result)
        assert following.to in LEADS_TO[WorkState.RUNNING]
        held = after(held, following)
        assert held.stage in WALK
        if following.failures and held.failures >= max_attempts:
            assert held.state in {WorkState.DEAD, WorkState.PARKED}
        assert held.reviews <= max_reviews + 1
        if held.state in {WorkState.DEAD, WorkState.SUCCEEDED, WorkState.CANCELLED}:
            assert following.ends_attempt
            return
        held = claimed(held)


@given(st.lists(st.sampled_from(COSTLY), min_size=10, max_size=10), st.integers(1, 4), st.integers(0, 4))
def test_no_item_fails_for_ever(results: list[WorkResult], max_attempts: int, max_reviews: int) -> None:
    held = record(Stage.EXECUTING, of=item(max_attempts=max_attempts, max_reviews=max_reviews, stages=WALK[1:]))
    ends = 0
    for result in results:
        stage = Stage.REVIEWING if result is FAULTY else Stage.EXECUTING
        held = after(held, follows(changed(held, stage=stage), result))
        ends += 1
        if held.state is WorkState.DEAD:
            break
        held = claimed(held)
    assert held.state is WorkState.DEAD
    assert ends <= max_attempts + max_reviews + 1


@given(st.integers(0, 400), st.sampled_from(["connect", "rate_limited", "overloaded", "interrupted", "bridge_stalled"]))
def test_no_outage_and_no_restart_uses_up_an_items_tries(times: int, kind: str) -> None:
    held = record(Stage.EXECUTING)
    for _ in range(times):
        held = claimed(after(held, follows(held, failed(kind))))
    assert (held.failures, held.reviews, held.crashes, held.attempt) == (0, 0, 0, 0)


@given(RESULTS, st.sampled_from(WALK), st.floats(0, 1), st.integers(0, 5))
def test_whatever_is_scheduled_is_scheduled_ahead_and_within_reason(
    result: WorkResult, stage: Stage, unit: float, failures: int
) -> None:
    following = follows(record(stage, failures=failures), result, now=Millis(7), rng_unit=unit)
    assert (following.to is WorkState.SCHEDULED) == (following.run_at is not None)
    assert following.run_at is None or 7 < following.run_at <= 7 + 300_000


@given(RESULTS, st.sampled_from(WALK))
def test_whatever_is_parked_says_for_what_and_under_a_new_fence(result: WorkResult, stage: Stage) -> None:
    following = follows(record(stage), result)
    if following.to is WorkState.PARKED:
        assert following.reason
        assert following.fence_up
        assert following.parks == 1


@given(RESULTS, st.sampled_from(WALK))
def test_what_follows_is_the_same_each_time_it_is_asked(result: WorkResult, stage: Stage) -> None:
    assert follows(record(stage), result) == follows(record(stage), result)
