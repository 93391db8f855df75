"""The circuit's table claimed whole, and what holds of every walk through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents.providers.breaker import (
    FIRST_OPEN,
    IN_A_ROW,
    JITTER,
    LONGEST_OPEN,
    WINDOW,
    Circuit,
    End,
    Lets,
    Permit,
    Refusal,
    State,
    end_of,
)
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.limiter import Booking, Measure, Remaining
from darumad.agents.providers.standing import Standing
from darumad.events import Fact
from darumad.work import KINDS
from tests.agents.providers.desk import Draws
from tests.kit import FakeClock

NO_PROBE, PROBE = Permit(probe=False), Permit(probe=True)
OPEN = Circuit(opened=1, until=10.0)
HALF = Circuit(opened=1, until=0.0)
PROBING = Circuit(opened=1, until=0.0, probing=True)
HARD = Circuit(hard="auth")


def after(*ends: End, start: Circuit | None = None, step: float = 1.0) -> Circuit:
    circuit = start or Circuit()
    for number, end in enumerate(ends):
        circuit = circuit.ended(end, NO_PROBE, number * step, kind="auth")
    return circuit


@pytest.mark.parametrize(
    ("circuit", "state", "answer"),
    [
        (Circuit(), State.CLOSED, NO_PROBE),
        (OPEN, State.OPEN, Refusal(10.0)),
        (HALF, State.HALF_OPEN, PROBE),
        (PROBING, State.HALF_OPEN, Refusal(0.0)),
        (HARD, State.HARD_OPEN, Refusal(None, "auth")),
    ],
)
def test_every_state_has_its_answer(circuit: Circuit, state: State, answer: object) -> None:
    assert circuit.state(5.0) is state
    assert circuit.admit(5.0)[1] == answer


@pytest.mark.parametrize(
    ("circuit", "permit", "end", "then"),
    [
        (Circuit(), NO_PROBE, End.ANSWERED, State.CLOSED),
        (Circuit(), NO_PROBE, End.FAILED, State.CLOSED),
        (Circuit(), NO_PROBE, End.LOST, State.CLOSED),
        (Circuit(), NO_PROBE, End.HOPELESS, State.HARD_OPEN),
        (OPEN, NO_PROBE, End.ANSWERED, State.OPEN),
        (OPEN, NO_PROBE, End.FAILED, State.OPEN),
        (OPEN, NO_PROBE, End.LOST, State.OPEN),
        (OPEN, NO_PROBE, End.HOPELESS, State.HARD_OPEN),
        (HALF, NO_PROBE, End.ANSWERED, State.HALF_OPEN),
        (HALF, NO_PROBE, End.FAILED, State.HALF_OPEN),
        (PROBING, PROBE, End.ANSWERED, State.CLOSED),
        (PROBING, PROBE, End.FAILED, State.OPEN),
        (PROBING, PROBE, End.LOST, State.HALF_OPEN),
        (PROBING, PROBE, End.HOPELESS, State.HARD_OPEN),
        (Circuit(), PROBE, End.FAILED, State.CLOSED),
        (HARD, PROBE, End.ANSWERED, State.HARD_OPEN),
        (HARD, NO_PROBE, End.FAILED, State.HARD_OPEN),
    ],
)
def test_every_end_in_every_state_leads_where_the_table_says(
    circuit: Circuit, permit: Permit, end: End, then: State
) -> None:
    assert circuit.ended(end, permit, 5.0, kind="auth").state(5.0) is then


def test_a_lost_probe_lets_the_next_one_through() -> None:
    circuit = PROBING.ended(End.LOST, PROBE, 5.0)
    assert circuit.admit(5.0)[1] == PROBE
    assert PROBING.forget_probe().admit(5.0)[1] == PROBE


def test_half_of_five_opens_and_half_of_four_does_not() -> None:
    good, bad = End.ANSWERED, End.FAILED
    assert after(bad, good, bad, good).state(4.0) is State.CLOSED
    assert after(bad, good, bad, good, bad).state(4.0) is State.OPEN
    assert after(bad, good, good, bad, good).state(4.0) is State.CLOSED


@given(st.lists(st.tuples(st.sampled_from((0.0, 0.25, 0.5, 1.0, 9.0)), st.booleans()), max_size=40))
def test_it_opens_with_the_attempt_that_makes_it_half_of_five_or_three_in_a_row(
    attempts: list[tuple[float, bool]],
) -> None:
    circuit, now, ended, row, weighed_at = Circuit(), 0.0, [], 0, 0.0
    for wait, good in attempts:
        now += wait
        weighed_at = weighed_at if ended and ended[-1][0] == int(now) else now  # once a second
        ended.append((int(now), not good))
        row = 0 if good else row + 1
        weighed = [failed for second, failed in ended if second > weighed_at - WINDOW]
        circuit = circuit.ended(End.ANSWERED if good else End.FAILED, NO_PROBE, now)
        opens = (len(weighed) >= 5 and sum(weighed) * 2 >= len(weighed)) or row >= 3
        assert circuit.state(now) is (State.OPEN if opens else State.CLOSED)
        if opens:
            break


@pytest.mark.parametrize("circuit", [OPEN, HALF, HARD])
def test_what_is_said_to_be_mended_has_its_next_call_for_a_probe(circuit: Circuit) -> None:
    assert circuit.mended(5.0).admit(5.0)[1] == PROBE


@pytest.mark.parametrize("circuit", [Circuit(), PROBING])
def test_what_is_closed_or_tried_already_is_mended_by_nobody_s_word(circuit: Circuit) -> None:
    assert circuit.mended(5.0) == circuit


def test_three_failures_in_a_row_open_however_old() -> None:
    assert after(*[End.FAILED] * 3, step=1_000.0).state(2_000.0) is State.OPEN
    assert after(End.FAILED, End.FAILED, End.ANSWERED, End.FAILED, step=1_000.0).state(3_000.0) is State.CLOSED


def test_failures_of_another_window_are_not_weighed() -> None:
    circuit = after(End.FAILED, End.FAILED, End.ANSWERED, End.ANSWERED)
    assert circuit.ended(End.FAILED, NO_PROBE, 3.0).state(3.0) is State.OPEN
    assert circuit.ended(End.FAILED, NO_PROBE, 4.0 + WINDOW).state(5.0 + WINDOW) is State.CLOSED


def test_each_failed_probe_doubles_the_wait_up_to_two_minutes() -> None:
    circuit, waits, now = after(End.FAILED, End.FAILED, End.FAILED), [], 2.0
    for _ in range(8):
        waits.append(circuit.until - now)
        now = circuit.until
        circuit, permit = circuit.admit(now)
        circuit = circuit.ended(End.FAILED, permit, now)
    assert waits == pytest.approx([5, 10, 20, 40, 80, 120, 120, 120])


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_a_wait_is_never_more_than_a_fifth_off(unit: float, opened: int) -> None:
    circuit = Circuit(opened=opened, until=0.0, probing=True).ended(End.FAILED, PROBE, 100.0, unit=unit)
    wait = circuit.until - 100.0
    assert FIRST_OPEN * 0.8 - 1e-9 <= wait <= LONGEST_OPEN * 1.2 + 1e-9


EVENTS = st.lists(
    st.tuples(st.floats(0, 40), st.sampled_from(End), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=80
)


@given(EVENTS)
def test_no_walk_has_two_probes_or_calls_through_an_open_circuit(events: list[tuple[float, End, float, int]]) -> None:
    circuit, now, out = Circuit(), 0.0, []
    for wait, end, unit, which in events:
        now += wait
        before = circuit.state(now)
        circuit, answer = circuit.admit(now)
        if isinstance(answer, Permit):
            assert before in {State.CLOSED, State.HALF_OPEN}
            assert answer.probe is (before is State.HALF_OPEN)
            out.append(answer)
        else:
            assert before is not State.CLOSED
        assert sum(each.probe for each in out) <= 1
        if out and which:
            permit = out.pop(which % len(out))
            circuit = circuit.ended(end, permit, now, kind="auth", unit=unit)
        assert sum(each.failed for each in circuit.samples) <= sum(each.ended for each in circuit.samples)
        assert len(circuit.samples) <= WINDOW + 1


def test_a_half_open_circuit_is_open_to_one_and_shut_while_that_one_is_on_its_way() -> None:
    clock, target = FakeClock(), ("anthropic", "model")
    standing = Standing(clock, Draws(), lambda _: None)
    for _ in range(IN_A_ROW):
        standing.ended(target, standing.admit(target), "server_error")
    assert standing.open_until("anthropic") is not None
    clock.advance(FIRST_OPEN * (1 + JITTER))
    assert standing.open_until("anthropic") is None
    probe = standing.admit(target)
    assert standing.open_until("anthropic") is not None
    standing.ended(target, probe, None)
    assert standing.open_until("anthropic") is None


def test_a_circuit_that_opens_is_told_once_until_it_closes() -> None:
    clock, target, told = FakeClock(), ("anthropic", "model"), list[Fact]()
    standing = Standing(clock, Draws(), told.append)
    for _ in range(IN_A_ROW):
        standing.ended(target, standing.admit(target), "server_error")
    (opened,) = told
    assert (opened.name, opened.subject) == ("provider.circuit_opened", "anthropic:model")
    assert opened.data()["kind"] == "server_error"
    clock.advance(FIRST_OPEN * (1 + JITTER))
    standing.ended(target, standing.admit(target), "server_error")
    assert told == [opened], "a probe that fails is the same outage"
    clock.advance(10 * FIRST_OPEN)
    standing.ended(target, standing.admit(target), None)
    assert [each.name for each in told] == ["provider.circuit_opened", "provider.circuit_closed"]
    standing.ended(target, standing.admit(target), "auth")
    standing.reset("anthropic")
    assert [(each.name, each.data()) for each in told[2:]] == [
        ("provider.circuit_opened", {"kind": "auth", "half_opens_ms": None}),
        ("provider.circuit_closed", {}),
    ]


def test_what_is_said_to_be_mended_lets_one_call_through_which_closes_it_or_shuts_it_again() -> None:
    clock, target, told = FakeClock(), ("anthropic", "model"), list[Fact]()
    standing = Standing(clock, Draws(), told.append)
    standing.ended(target, standing.admit(target), "auth")
    clock.advance(100 * LONGEST_OPEN)
    assert standing.lets(target) is Lets.NONE, "no wait mends it"
    assert not standing.mended("ollama"), "another provider's word"
    assert standing.lets(target) is Lets.NONE
    for end in ("auth", None):
        assert standing.mended("anthropic")
        assert standing.lets(target) is Lets.ONE
        probe = standing.admit(target)
        with pytest.raises(AttemptFailed):
            standing.admit(target)
        standing.ended(target, probe, end)
        assert standing.lets(target) is (Lets.NONE if end else Lets.ALL)
    assert not standing.mended("anthropic"), "nothing is shut"
    assert [each.name for each in told] == ["provider.circuit_opened", "provider.circuit_closed"]


def test_one_whose_operator_vouches_for_it_is_called_at_once_whatever_it_failed_and_whatever_wait_it_wanted() -> None:
    clock, target, other = FakeClock(), ("anthropic", "model"), ("ollama", "model")
    standing = Standing(clock, Draws(), list[Fact]().append)
    for each in (target, other):
        for _ in range(IN_A_ROW):
            standing.ended(each, standing.admit(each), "server_error")
        standing.rate_limited(each[0], 3600.0)
        booking = standing.book(each[0], {}, {})
        assert isinstance(booking, Booking)
        standing.heed(each[0], {Measure.REQUESTS: Remaining(0, 3600.0)})
    standing.vouch_for("anthropic")
    assert isinstance(standing.book("anthropic", {}, {Measure.REQUESTS: 1}), Booking)
    assert standing.book("ollama", {}, {Measure.REQUESTS: 1}) == 3600.0
    assert (standing.lets(target), standing.held_back("anthropic")) == (Lets.ONE, 0.0)
    assert (standing.lets(other), standing.held_back("ollama")) == (Lets.NONE, 3600.0)
    standing.admit(target)
    standing.vouch_for("anthropic")
    assert standing.lets(target) is Lets.NONE, "its probe is on its way"
    standing.rate_limited("anthropic", 60.0)
    assert standing.held_back("anthropic") == 60.0, "as the first time that it asks"


def test_every_kind_says_of_its_target_what_the_table_does() -> None:
    ends = {kind: end_of(kind) for kind in KINDS}
    failed = {
        "connect",
        "disconnect",
        "timeout",
        "server_error",
        "malformed_response",
        "truncated_stream",
        "overloaded",
    }
    assert {kind for kind, end in ends.items() if end is End.FAILED} == failed
    assert {kind for kind, end in ends.items() if end is End.HOPELESS} == {"auth", "quota_exhausted", "model_not_found"}
    not_the_target_s = {
        "local_saturation",
        "budget_exhausted",
        "price_unknown",
        "cancelled",
        "interrupted",
        "bridge_stalled",
    }
    assert {kind for kind, end in ends.items() if end is End.LOST} == not_the_target_s
    assert {ends[kind] for kind in ("rate_limited", "invalid_request", "bad_tool_args")} == {End.ANSWERED}
