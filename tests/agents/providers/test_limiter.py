"""The limits of a minute: as values over every window, as a server's word, and as a simulated server sees them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents.providers.calibration import Calibration
from darumad.agents.providers.granted import granted_by
from darumad.agents.providers.limiter import WINDOW, Limiter, Measure, Remaining
from darumad.names import Millis, Seconds
from darumad.sim import Fault, Quota, Reply, Rule, When, most_within
from darumad.values import changed
from tests.agents.providers.desk import SLOW, Desk, ask, seen
from tests.kit import FakeClock

NOW = Millis(1_795_219_200_000)
ONE = {Measure.REQUESTS: 1}


Made = tuple[int, int, int, int, int]
CALLS = st.tuples(*(st.integers(*bounds) for bounds in ((0, 40), (1, 60), (0, 60), (0, 90), (0, 100))))


@given(st.lists(CALLS, max_size=60), st.integers(1, 100))
def test_no_window_ever_holds_more_than_the_limit(calls: list[Made], limit: int) -> None:
    """However long the calls take and wherever in that time each reaches the server."""
    limiter, now, arrived, largest = Limiter({Measure.INPUT: limit}), 0.0, [], 0  # whole seconds: exact
    for wait, estimate, used, lasts, share in calls:
        now += wait
        needs = {Measure.INPUT: estimate}
        at = limiter.when(now, needs)
        assert at == now or limiter.when(at - 1, needs) == at, "no later than it fits"
        assert limiter.when(at, needs) == at, "and no sooner: who waited is not sent away again"
        now, booking = at, limiter.book(needs)
        true = min(used, estimate)
        arrived.append((now + min(share, lasts), true))
        now += lasts
        limiter.settle(now, booking, {Measure.INPUT: true})
        largest = max(largest, true)
    assert most_within(arrived, 60) <= max(limit, largest)


def test_what_is_open_counts_until_a_minute_after_it_ended() -> None:
    limiter = Limiter({Measure.REQUESTS: 1})
    booking = limiter.book(ONE)
    assert limiter.when(5.0, ONE) == 5.0 + WINDOW
    limiter.settle(10.0, booking, ONE)
    assert (limiter.when(10.0, ONE), limiter.when(70.0, ONE)) == (70.0, 70.0)


def test_what_was_never_sent_makes_room_again() -> None:
    limiter = Limiter({Measure.REQUESTS: 1})
    limiter.settle(1.0, limiter.book(ONE), {})
    assert limiter.when(1.0, ONE) == 1.0


def test_what_is_open_when_its_loop_is_let_go_counts_as_sent_and_its_late_end_as_nothing() -> None:
    limiter = Limiter({Measure.REQUESTS: 2})
    first, second = limiter.book(ONE), limiter.book(ONE)
    limiter.settle(1.0, first, {})
    limiter.let_go(5.0)
    limiter.settle(50.0, second, ONE)
    assert limiter.when(50.0, {Measure.REQUESTS: 2}) == 5.0 + WINDOW
    assert limiter.when(5.0 + WINDOW, {Measure.REQUESTS: 2}) == 5.0 + WINDOW


def test_a_call_larger_than_the_limit_goes_alone_and_not_never() -> None:
    limiter, large = Limiter({Measure.INPUT: 10}), {Measure.INPUT: 50}
    assert limiter.when(0.0, large) == 0.0
    limiter.settle(1.0, limiter.book(large), large)
    assert limiter.when(1.0, {Measure.INPUT: 1}) == 1.0 + WINDOW


def test_a_call_goes_as_soon_as_enough_of_the_last_minute_has_passed() -> None:
    limiter = Limiter({Measure.INPUT: 10})
    for now, used in ((0.0, {Measure.INPUT: 4}), (10.0, {Measure.INPUT: 4}), (20.0, {Measure.INPUT: 2})):
        limiter.settle(now, limiter.book(used), used)
    sent = {tokens: limiter.when(20.0, {Measure.INPUT: tokens}) for tokens in (4, 5, 8, 9, 10, 99)}
    assert sent == {4: 60.0, 5: 70.0, 8: 70.0, 9: 80.0, 10: 80.0, 99: 80.0}


def test_what_ended_more_than_a_minute_ago_is_kept_no_longer() -> None:
    limiter = Limiter({Measure.REQUESTS: 1})
    for now in range(0, 6_000, 60):
        assert limiter.when(float(now), ONE) == now
        limiter.settle(float(now), limiter.book(ONE), ONE)
    assert len(limiter._windows[Measure.REQUESTS].ended) == 1


def test_a_server_s_word_is_heeded_until_its_minute_is_over() -> None:
    limiter = Limiter({})
    limiter.heed(10.0, {Measure.REQUESTS: Remaining(1, 20.0), Measure.INPUT: Remaining(100, 5.0)})
    assert limiter.when(10.0, ONE) == 10.0
    limiter.book(ONE)
    assert limiter.when(10.0, ONE) == 30.0
    assert limiter.when(31.0, ONE) == 31.0


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-21T00:00:07Z",
            },
            {Measure.REQUESTS: Remaining(0, 7.0)},
        ),
        (
            {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "1m6s"},
            {Measure.INPUT: Remaining(149_984, 66.0)},
        ),
        (
            {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "17ms"},
            {Measure.REQUESTS: Remaining(1, 0.017)},
        ),
        ({"x-ratelimit-remaining-requests": "many", "x-ratelimit-reset-requests": "1s"}, {}),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "soon"}, {}),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "900h"},
            {Measure.REQUESTS: Remaining(0, 120.0)},
        ),
        ({}, {}),
    ],
)  # fmt: skip
def test_what_headers_say_is_read_or_left(headers: dict[str, str], left: dict[Measure, Remaining]) -> None:
    found = granted_by(headers, NOW)
    assert {each: (pytest.approx(said.resets_in), said.remaining) for each, said in found.items()} == {
        each: (said.resets_in, said.remaining) for each, said in left.items()
    }


async def test_the_server_never_sees_more_calls_a_minute_than_are_allowed(sim) -> None:
    clock = FakeClock()
    desk = Desk(sim, clock)
    desk.change(per_minute={Measure.REQUESTS: 2}, timeouts=SLOW.__class__(total=Seconds(600)))
    calls = [asyncio.ensure_future(desk.complete()(ask(str(n)))) for n in range(2)]
    await asyncio.gather(*calls)
    third = await desk.failure()
    assert (third.kind, 59 < third.retry_after < 61) == ("local_saturation", True)
    clock.advance(WINDOW + 1)
    assert (await desk.complete()(ask())).stop == "end"
    assert len(sim.attempts()) == 3
    await desk.broker.close()


async def test_a_call_that_was_refused_took_a_request_and_no_tokens_and_a_hung_one_may_have_taken_all(
    desk: Desk,
) -> None:
    most = {Measure.REQUESTS: 9, Measure.OUTPUT: 1_000}
    desk.change(per_minute=most, timeouts=changed(SLOW, first_token=Seconds(0.2), total=Seconds(0.2)))
    desk.sim.play(
        Rule(id="refuses", when=When(nth=(1,)), fault=Fault(name="http_status", code=400)),
        Rule(id="hangs", when=When(nth=(1,)), fault=Fault(name="hang_headers")),
    )
    kinds = [(await desk.failure()).kind for _ in range(3)]
    assert kinds == ["invalid_request", "timeout", "local_saturation"]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=50))
def test_a_guess_is_never_more_than_twice_off_by_what_was_learned(seen: list[tuple[int, int]]) -> None:
    learned = Calibration()
    for guessed, read in seen:
        learned = learned.learned(guessed, read)
    assert 0.5 <= learned.factor <= 2.0


@pytest.mark.parametrize(("read", "factor"), [(300, 1.5), (100, 0.5), (10**6, 2.0), (200, 1.0)])
def test_a_factor_comes_to_what_the_server_counts(read: int, factor: float) -> None:
    learned = Calibration()
    for _ in range(40):
        learned = learned.learned(200, read)
    assert learned.factor == pytest.approx(factor, abs=0.01)


async def test_a_model_that_reads_more_tokens_than_guessed_has_more_booked_for_its_next_call(desk: Desk) -> None:
    prompt = "word " * 640  # a thousand tokens, as they are guessed
    desk.change(per_minute={Measure.INPUT: 9_000})
    desk.sim.play(Rule(id="dense", script=(Reply(text="fine", input_tokens=2_000),)))
    for _ in range(3):
        assert (await desk.complete()(ask(prompt))).text == "fine"
    # 6,000 are used; a fourth is taken for 1,000 x 1.49 x 1.15, a fifth would be for more than is left
    assert (await desk.complete()(ask(prompt))).text == "fine"
    assert (await desk.failure(prompt)).kind == "local_saturation"
    assert desk.broker._standing.factor(("anthropic", "claude-sonnet-5-5")) == pytest.approx(1.59, abs=0.02)


async def test_a_quota_that_a_server_tells_is_kept_before_it_refuses(desk: Desk, vendor: str) -> None:
    if vendor == "ollama":
        return  # it tells none
    desk.sim.play(Rule(id="fine", script=(Reply(text="fine"),)), quotas={f"{vendor}*": Quota(requests=2)})
    for _ in range(2):
        await desk.complete()(ask())
    refused = await desk.failure()
    assert (refused.kind, 30 < refused.retry_after <= 61) == ("local_saturation", True)
    assert [each.status for each in desk.sim.attempts()] == [200, 200]


async def test_who_waits_for_one_provider_s_leave_holds_up_no_other(desk: Desk) -> None:
    desk.use, desk.by_agent = "anthropic", {"local": "ollama"}
    desk.sim.play(Rule(id="held", script=(Reply(text="fine"),), gate="door", when=_only("anthropic")))
    held = [asyncio.ensure_future(desk.complete()(ask())) for _ in range(20)]
    await seen(desk.sim, lambda attempts: len(attempts) == 8)
    assert (await desk.complete(agent="local")(ask())).text == "ack ollama#1"
    desk.sim.release("door")
    await asyncio.gather(*held)


def _only(listener: str):
    from darumad.sim import When  # noqa: PLC0415

    return When(listener=listener)
