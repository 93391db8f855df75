"""The rules, as plain values: no thread, no clock, no Pykka."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.supervision import Backoff, ErrorBudget, ExitReason, FatalError, default_judge
from darumad.supervision.backoff import Failures
from darumad.supervision.error_window import ErrorWindow
from darumad.supervision.intensity import Intensity
from darumad.supervision.reasons import reason_of
from darumad.supervision.strategy import comes_back, group, leaves_with
from tests.kit import seeded_rng

REASONS = [
    ExitReason("normal"),
    ExitReason("shutdown"),
    ExitReason("shutdown", "done"),
    ExitReason("crash", ValueError()),
    ExitReason("start_failed"),
    ExitReason("killed"),
    ExitReason("abandoned"),
]


def test_b1_who_comes_back_is_the_table_of_otp() -> None:
    back = {(kind, r.kind) for kind in ("permanent", "transient", "temporary") for r in REASONS if comes_back(kind, r)}
    permanent = {("permanent", r.kind) for r in REASONS}
    transient = {("transient", kind) for kind in ("crash", "start_failed", "killed", "abandoned")}
    assert back == permanent | transient


def test_c_the_group_of_each_strategy() -> None:
    assert group("one_for_one", "abc", "b") == ["b"]
    assert group("pool", "abc", "b") == ["b"]
    assert group("one_for_all", "abc", "b") == ["a", "b", "c"]
    assert group("rest_for_one", "abc", "b") == ["b", "c"]


def test_f1_auto_shutdown_is_a_small_table() -> None:
    assert not leaves_with("never", significant=True, others_active=[])
    assert not leaves_with("any_significant", significant=False, others_active=[])
    assert leaves_with("any_significant", significant=True, others_active=[True])
    assert not leaves_with("all_significant", significant=True, others_active=[True, False])
    assert leaves_with("all_significant", significant=True, others_active=[False])


@pytest.mark.parametrize(
    ("crashes", "allowed"),
    [([0, 1.5, 3.0, 4.5], True), ([0, 1.0, 2.0], True), ([0, 1.0, 1.999], False)],
)
def test_d2_the_window_is_half_open(crashes: list[float], allowed: bool) -> None:
    intensity = Intensity(2, 2)
    assert [intensity.spend(at) for at in crashes][-1] is allowed


@given(st.lists(st.floats(0, 100), max_size=40).map(sorted), st.integers(0, 5), st.floats(0.1, 50))
def test_d2_intensity_agrees_with_counting(times: list[float], limit: int, period: float) -> None:
    intensity = Intensity(limit, period)
    for nth, now in enumerate(times):
        recent = [at for at in times[: nth + 1] if now - at < period]
        assert intensity.spend(now) == (len(recent) <= limit)
        assert list(intensity.history) == recent


@given(st.lists(st.floats(0, 200), max_size=40).map(sorted), st.integers(1, 6))
def test_g1_the_error_window_agrees_with_counting(times: list[float], limit: int) -> None:
    budget, seen = ErrorBudget(limit, 60.0), deque[float]()
    window = ErrorWindow(budget)
    for now in times:
        seen.append(now)
        count = sum(now - at < 60.0 for at in seen)
        assert window.add(now) == window.count(now) == count
        assert budget.is_spent_by(count) == (count >= limit)


def test_g1_the_fifth_within_sixty_seconds() -> None:
    budget = ErrorBudget()
    window = ErrorWindow(budget)
    assert [budget.is_spent_by(window.add(t)) for t in (0, 10, 20, 30, 59.9)] == [False] * 4 + [True]
    window = ErrorWindow(budget)
    assert [budget.is_spent_by(window.add(t)) for t in (0, 10, 20, 30, 60)] == [False] * 5


def test_g6_the_default_judge() -> None:
    assert {
        e: default_judge(e()) for e in (AssertionError, MemoryError, FatalError, SystemExit, KeyboardInterrupt)
    } == (dict.fromkeys((AssertionError, MemoryError, FatalError, SystemExit, KeyboardInterrupt), "crash"))
    assert default_judge(ValueError()) == "count"


@pytest.mark.parametrize("judge", [lambda e: 1 / 0, lambda e: "maybe", lambda e: None])
def test_g6_a_broken_judge_says_crash(judge) -> None:
    assert ErrorBudget(judge=judge).verdict(ValueError()) == "crash"


def test_m1_delays_double_to_the_cap() -> None:
    backoff = Backoff(1, 8, jitter=0)
    assert [backoff.delay(n, seeded_rng()) for n in range(1, 6)] == [1, 2, 4, 8, 8]
    assert backoff.base_delay(100_000) == 8


@given(st.integers(1, 2000), st.integers(0, 100), st.floats(0, 1))
def test_m2_jitter_only_lengthens_and_never_beyond_the_cap(nth: int, seed: int, jitter: float) -> None:
    backoff = Backoff(1, 60, jitter=jitter)
    delay, base = backoff.delay(nth, seeded_rng(seed)), backoff.base_delay(nth)
    assert base <= delay <= min(60, base * (1 + jitter))


def test_m2_fifty_children_wait_differently() -> None:
    rng = seeded_rng()
    delays = [Backoff(1, 60).delay(3, rng) for _ in range(50)]
    assert all(4 <= d <= 4.8 for d in delays)
    assert len(set(delays)) >= 45


def test_m3_health_starts_the_row_anew() -> None:
    failures, backoff = Failures(), Backoff(1, 8, reset_after=30)
    assert [failures.add(backoff, healthy) for healthy in (0, 1, 29.9, 30, 0)] == [1, 2, 3, 1, 2]


def test_exit_takes_five_forms() -> None:
    error = ValueError()
    given_ = [ExitReason("killed"), "normal", "shutdown", ("shutdown", 3), error]
    assert [reason_of(g) for g in given_] == [
        ExitReason("killed"),
        ExitReason("normal"),
        ExitReason("shutdown"),
        ExitReason("shutdown", 3),
        ExitReason("crash", error),
    ]
    with pytest.raises(ValueError, match="exit reason"):
        reason_of("tired")
