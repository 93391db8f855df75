"""The one table of kinds: complete, and what it says counts, counts."""

import pytest

from darumad.work.kinds import KINDS, Breaker, Counts, Fallback, Retry, verdict

WHILE_CLOSED = {"connect", "disconnect", "timeout", "server_error", "malformed_response", "truncated_stream"}
COUNTED = {
    "invalid_request", "request_too_large", "context_too_long", "bad_tool_args", "schema_violation", "empty_output",
    "loop_detected", "agent_crashed", "result_too_large", "tool_error", "item_timeout", "idle_timeout", "child_died",
}  # fmt: skip
IGNORED = {
    "overloaded", "rate_limited", "quota_exhausted", "auth", "model_not_found", "spawn_failed", "refusal", "max_steps",
    "max_tokens", "local_saturation", "no_room", "budget_exhausted", "price_unknown", "cancelled", "interrupted",
    "invalid_item",    "challenged", "review_rejected", "outcome_unknown", "stale", "bridge_stalled", "loop_held",
    "unreadable",
}  # fmt: skip


def test_the_table_has_every_kind_and_no_other() -> None:
    assert set(KINDS) == WHILE_CLOSED | COUNTED | IGNORED | {"handler_crashed"}


def test_every_kind_says_where_it_comes_from_what_lies_behind_it_and_what_to_do() -> None:
    assert [each.name for each in KINDS.values() if not (each.comes_from and each.hints and each.recovery)] == []


@pytest.mark.parametrize("kind", sorted(COUNTED))
def test_the_agents_own_failures_count_whatever_the_circuit(kind: str) -> None:
    assert {verdict(kind, circuit_open=is_open, moved={}) for is_open in (True, False)} == {"count"}


@pytest.mark.parametrize("kind", sorted(WHILE_CLOSED))
def test_a_providers_failure_counts_only_while_its_circuit_is_closed(kind: str) -> None:
    assert verdict(kind, circuit_open=False, moved={}) == "count"
    assert verdict(kind, circuit_open=True, moved={}) == "ignore"


@pytest.mark.parametrize("kind", sorted(IGNORED))
def test_what_is_known_not_to_be_the_agents_doing_never_counts(kind: str) -> None:
    assert {verdict(kind, circuit_open=is_open, moved={}) for is_open in (True, False)} == {"ignore"}


def test_a_crash_of_our_own_handler_restarts_at_once() -> None:
    assert verdict("handler_crashed", circuit_open=False, moved={}) == "crash"


def test_a_kind_that_nobody_knows_counts() -> None:
    assert verdict("gremlins", circuit_open=True, moved={}) == "count"


@pytest.mark.parametrize(
    ("word", "closed", "opened"),
    [
        ("count", "count", "count"),
        ("while_closed", "count", "ignore"),
        ("ignore", "ignore", "ignore"),
        ("crash", "crash", "crash"),
    ],
)
@pytest.mark.parametrize("kind", ["tool_error", "connect", "overloaded", "gremlins"])
def test_the_setting_moves_a_kind(kind: str, word: str, closed: str, opened: str) -> None:
    assert verdict(kind, circuit_open=False, moved={kind: word}) == closed
    assert verdict(kind, circuit_open=True, moved={kind: word}) == opened


def test_the_setting_moves_no_other_kind() -> None:
    assert verdict("tool_error", circuit_open=False, moved={"connect": "ignore"}) == "count"


def test_a_word_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="maybe"):
        verdict("connect", circuit_open=False, moved={"connect": "maybe"})


def test_what_samples_a_breaker_is_the_providers_own_failing() -> None:
    assert {k.name for k in KINDS.values() if k.breaker is Breaker.FAILURE} == WHILE_CLOSED | {"overloaded"}


def test_what_hard_opens_a_circuit_is_what_only_a_person_can_mend() -> None:
    hard = {k.name: k.breaker for k in KINDS.values() if k.breaker in {Breaker.HARD_OPEN, Breaker.HARD_OPEN_MODEL}}
    assert hard == {
        "quota_exhausted": Breaker.HARD_OPEN,
        "auth": Breaker.HARD_OPEN,
        "model_not_found": Breaker.HARD_OPEN_MODEL,
    }


def test_what_hard_opens_a_circuit_is_never_tried_again_but_falls_back() -> None:
    hard = [KINDS[name] for name in ("quota_exhausted", "auth", "model_not_found")]
    assert {(kind.retry, kind.fallback) for kind in hard} == {(Retry.NO, Fallback.YES)}


def test_what_counts_while_closed_is_what_a_breaker_sees() -> None:
    seen = {k.name for k in KINDS.values() if k.counts is Counts.WHILE_CLOSED}
    assert all(KINDS[name].breaker is Breaker.FAILURE for name in seen)
