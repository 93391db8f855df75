"""What is tried again, how often, and when: one policy, seen in the server's own log."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents.providers import Credential
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.policy import (
    ALWAYS,
    PERIOD,
    SHARE,
    UNSENT,
    Retries,
    RetryBudget,
    Treatment,
    Tried,
    treatment_of,
)
from darumad.names import ItemId, Seconds
from darumad.sim import Fault, Reply, Rule, When
from darumad.values import changed
from darumad.work import KINDS
from darumad.work.ports import Owner
from tests.agents.providers.desk import KEY, Desk, ask, seen, turns

RATE = Fault(name="http_status", code=429, retry_after=0.2)


class Middling:
    """Chance that always draws in the middle."""

    def random(self) -> float:
        return 0.5


def first(fault: Fault, *nth: int) -> Rule:
    return Rule(id="first", when=When(nth=nth or (1,)), script=(Reply(text="word " * 60),), fault=fault)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Fault(name="http_status", code=500), 2),
        (Fault(name="http_status", code=529), 2),
        (Fault(name="rst", phase="headers"), 2),
        (Fault(name="clean_eof", after=3), 2),
        (Fault(name="malformed_json"), 2),
    ],
)
async def test_what_passes_is_tried_again_and_answered(desk: Desk, vendor: str, fault: Fault, attempts: int) -> None:
    desk.sim.play(first(fault))
    assert (await desk.complete()(ask())).text == f"ack {vendor}#1"
    assert len(desk.sim.attempts()) == attempts
    assert not desk.books.open


@pytest.mark.parametrize("code", [400, 401, 402, 404, 413])
async def test_what_stays_wrong_is_not_tried_again(desk: Desk, vendor: str, code: int) -> None:
    desk.sim.play(Rule(id="always", fault=Fault(name="http_status", code=code)))
    await desk.failure()
    assert len(desk.sim.attempts()) == 1


async def test_a_stream_that_broke_off_after_it_began_is_not_begun_again(desk: Desk, vendor: str) -> None:
    desk.sim.play(Rule(id="always", script=(Reply(text="word " * 60),), fault=Fault(name="rst", after=4)))
    await desk.failure()
    assert len(desk.sim.attempts()) == 1


def test_what_is_tried_again_how_often_and_when_is_one_table() -> None:
    assert {kind: treatment_of(kind) for kind in KINDS if treatment_of(kind).retries} == {
        "connect": Treatment(1, at_once=True),
        "disconnect": Treatment(1, at_once=True, unheard=True),
        "timeout": Treatment(1),
        "malformed_response": Treatment(1),
        "truncated_stream": Treatment(1),
        "server_error": Treatment(2),
        "overloaded": Treatment(2),
        "rate_limited": Treatment(2),
    }


@pytest.mark.parametrize(
    ("failure", "received", "waits"),
    [
        (AttemptFailed("connect", "?"), False, [0.0]),
        (AttemptFailed("disconnect", "?"), False, [0.0]),
        (AttemptFailed("disconnect", "?"), True, []),
        (AttemptFailed("timeout", "?"), True, [0.25]),
        (AttemptFailed("server_error", "?"), False, [0.25, 0.5]),
        (AttemptFailed("overloaded", "?", retry_after=4.0), False, [4.2, 4.2]),
        (AttemptFailed("rate_limited", "?", retry_after=30.0), False, [31.5, 31.5]),
        (AttemptFailed("rate_limited", "?", retry_after=30.1), False, []),
        (AttemptFailed("auth", "?"), False, []),
    ],
)
async def test_a_try_waits_by_chance_up_to_a_bound_that_doubles_or_for_what_was_asked_and_a_little_more(
    failure: AttemptFailed, received: bool, waits: list[float]
) -> None:
    waited: list[float] = []

    async def wait(seconds: float, kind: str) -> None:
        assert kind == failure.diagnosis.kind
        waited.append(seconds)

    async def fails() -> None:
        assert (tried.received, tried.used) == (False, UNSENT), "each try begins anew"
        raise failure

    tried = Tried(received=received, used=None)
    retries = Retries(Middling(), wait=wait, left=lambda: 100.0, allowed=lambda: True)
    with pytest.raises(AttemptFailed):
        await retries.after(failure, tried, fails)
    assert (waited, tried.attempts) == (pytest.approx(waits), 1 + len(waits))


async def test_retry_after_is_waited_for(desk: Desk, vendor: str) -> None:
    desk.sim.play(first(RATE))
    await desk.complete()(ask())
    one, two = desk.sim.attempts()
    assert two.t_arrive - one.t_first_byte >= 0.2
    assert desk.tally.counts()["rate_limit_wait_seconds_total", (vendor,)] >= 0.2


async def test_a_wait_after_another_failure_is_none_for_a_limit(desk: Desk) -> None:
    desk.sim.play(first(Fault(name="http_status", code=500, retry_after=0.05)))
    await desk.complete()(ask())
    assert len(desk.sim.attempts()) == 2
    assert not [name for name, _ in desk.tally.counts() if name == "rate_limit_wait_seconds_total"]


async def test_a_wait_that_is_too_long_is_handed_back_with_its_length(desk: Desk) -> None:
    desk.sim.play(Rule(id="always", fault=replace(RATE, retry_after=90.0)))
    failed = await desk.failure()
    assert (failed.kind, failed.retry_after, failed.circuit_open) == ("rate_limited", 90.0, False)
    again = await desk.failure()
    assert (again.kind, len(desk.sim.attempts())) == ("rate_limited", 1)
    assert 80 < again.retry_after <= 90


@pytest.mark.parametrize(("code", "most"), [(429, 3_600), (503, 30)])
async def test_no_server_can_hold_a_provider_or_an_item_back_for_ever(
    desk: Desk, vendor: str, code: int, most: int
) -> None:
    desk.sim.play(Rule(id="always", fault=replace(RATE, code=code, retry_after=1e12)))
    desk.keys["openai"] = desk.keys["anthropic"]
    assert (await desk.failure()).retry_after == 3_600
    assert most - 10 < desk.broker.held_back(vendor) <= most


@pytest.mark.parametrize("code", [429, 503, 529])
async def test_who_is_asked_for_too_much_is_waited_for_by_everybody(desk: Desk, vendor: str, code: int) -> None:
    desk.sim.play(Rule(id="first", when=When(max=1), fault=replace(RATE, code=code)))
    calls = [asyncio.ensure_future(desk.complete()(ask()))]
    await turns(lambda: desk.broker.held_back(vendor) > 0)
    calls.append(asyncio.ensure_future(desk.complete(Owner(ItemId("other"), 1), "another")(ask())))
    assert [each.stop for each in await asyncio.gather(*calls)] == ["end", "end"]
    refused, *rest = desk.sim.attempts()
    assert min(each.t_arrive for each in rest) - refused.t_first_byte >= RATE.retry_after


@pytest.mark.parametrize(("code", "least", "most"), [(429, 80, 90), (529, 20, 30), (500, 0, 0)])
async def test_an_overload_is_waited_out_for_as_long_as_calls_wait_and_no_other_failure_is(
    desk: Desk, code: int, least: int, most: int
) -> None:
    desk.sim.play(Rule(id="always", fault=replace(RATE, code=code, retry_after=90.0)))
    assert (await desk.failure()).retry_after == 90.0
    assert least <= desk.broker.held_back("anthropic") <= most


async def test_a_wait_that_would_miss_the_deadline_is_not_begun(desk: Desk) -> None:
    desk.change(timeouts=changed(desk.specs["anthropic"].timeouts, total=Seconds(5)))
    desk.sim.play(Rule(id="always", fault=replace(RATE, retry_after=20.0)))
    failed = await desk.failure()
    assert (failed.kind, failed.retry_after, len(desk.sim.attempts())) == ("rate_limited", 20.0, 1)


async def test_the_clients_themselves_retry_nothing(desk: Desk, vendor: str) -> None:
    desk.sim.play(Rule(id="always", fault=Fault(name="http_status", code=500)))
    await desk.failure()
    assert {each.headers.get("x-stainless-retry-count", "0") for each in desk.sim.attempts()} == {"0"}
    assert len(desk.sim.attempts()) == 3


async def test_an_open_circuit_fails_at_once_and_says_when_it_will_be_tried_again(desk: Desk) -> None:
    desk.sim.play(Rule(id="always", fault=Fault(name="http_status", code=500)))
    first_failed = await desk.failure()
    assert (first_failed.kind, first_failed.circuit_open) == ("server_error", True)
    refused = await desk.failure()
    assert (refused.kind, refused.circuit_open, len(desk.sim.attempts())) == ("local_saturation", True, 3)
    assert 0 < refused.retry_after <= 6
    assert desk.broker.open_until("anthropic") > desk.clock.monotonic()
    assert desk.broker.open_until("ollama") is None
    ((target, shown),) = desk.broker.circuits().items()
    assert (target, shown.state) == (("anthropic", "claude-sonnet-5-5"), "open")


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "while others are answered"])
async def test_a_failure_says_whether_its_target_answered_others_meanwhile(desk: Desk, others: int) -> None:
    desk.change(concurrency=2)
    cut = Fault(name="clean_eof", after=3)
    desk.sim.play(
        Rule(id="held", when=When(prompt_re="held"), script=(Reply(text="word " * 60),), fault=cut, gate="held")
    )
    await desk.complete()(ask())  # before it was sent: that says nothing of it
    failing = asyncio.ensure_future(desk.failure("held"))
    await seen(desk.sim, lambda attempts: len(attempts) == 2)
    for _ in range(others):
        await desk.complete()(ask())
    desk.sim.release("held")
    assert (await failing).target_answered is bool(others)


async def test_a_wrong_key_opens_the_circuit_until_it_is_reset(desk: Desk) -> None:
    desk.sim.play(first(Fault(name="http_status", code=401)))
    assert (await desk.failure()).kind == "auth"
    assert (await desk.failure()).kind == "auth"
    assert len(desk.sim.attempts()) == 1
    desk.broker.renew("anthropic")
    assert (await desk.complete()(ask())).stop == "end"


async def test_a_call_that_is_refused_with_the_key_before_says_nothing_of_the_one_that_is_there_now(desk: Desk) -> None:
    desk.sim.play(replace(first(Fault(name="http_status", code=401)), gate="door"))
    on_its_way = asyncio.ensure_future(desk.failure())
    await seen(desk.sim, lambda attempts: len(attempts) == 1)
    desk.keys["anthropic"] = Credential("sk-another")
    desk.broker.renew("anthropic")
    desk.sim.release("door")
    assert (await on_its_way).kind == "local_saturation", "its item comes back, and is not parked"
    assert (await desk.complete()(ask())).stop == "end"


async def test_who_waited_for_a_place_goes_with_the_key_as_it_is_then(desk: Desk) -> None:
    desk.change(concurrency=1)
    desk.sim.play(Rule(id="held", when=When(nth=(1,)), script=(Reply(text="fine"),), gate="door"))
    calls = [asyncio.ensure_future(desk.complete()(ask())) for _ in range(2)]
    await seen(desk.sim, lambda attempts: len(attempts) == 1)
    await turns(lambda: sum(map(len, desk.broker._half.slots["anthropic"]._waiting.values())) == 1)
    desk.keys["anthropic"] = Credential("sk-another")
    desk.broker.renew("anthropic")
    desk.sim.release("door")
    await asyncio.gather(*calls)
    sent = [client._client.api_key for client in desk.broker._half.clients.values()]
    assert sent == [KEY, "sk-another"]


async def test_never_more_calls_are_open_than_the_provider_has_slots(desk: Desk) -> None:
    desk.change(concurrency=2)
    desk.sim.play(Rule(id="slow", script=(Reply(text="fine"),), latency=0.05))
    await asyncio.gather(*(desk.complete()(ask()) for _ in range(8)))
    attempts = await seen(desk.sim, lambda attempts: all(each.t_end is not None for each in attempts))
    spans = [(each.t_arrive, each.t_end) for each in attempts]
    assert max(sum(a <= at < b for a, b in spans) for at, _ in spans) == 2


async def test_a_wait_for_a_slot_has_an_end(desk: Desk) -> None:
    desk.change(concurrency=1, timeouts=changed(desk.specs["anthropic"].timeouts, queue=Seconds(0.05)))
    desk.sim.play(Rule(id="held", script=(Reply(text="fine"),), gate="door"))
    held = asyncio.ensure_future(desk.complete()(ask()))
    await seen(desk.sim, lambda attempts: len(attempts) == 1)
    assert (await desk.failure()).kind == "local_saturation"
    desk.sim.release("door")
    assert (await held).text == "fine"


async def test_agents_that_wait_take_turns(desk: Desk) -> None:
    desk.change(concurrency=1)
    desk.sim.play(Rule(id="held", when=When(prompt_re="busy 0"), script=(Reply(text="fine"),), gate="door"))
    calls = [asyncio.ensure_future(desk.complete(agent="busy")(ask(f"busy {n}"))) for n in range(3)]
    await seen(desk.sim, lambda attempts: len(attempts) == 1)
    calls.append(asyncio.ensure_future(desk.complete(agent="quiet")(ask("quiet"))))
    await turns(lambda: sum(map(len, desk.broker._half.slots["anthropic"]._waiting.values())) == 3)
    desk.sim.release("door")
    await asyncio.gather(*calls)
    order = [each.body["messages"][0]["content"][0]["text"] for each in desk.sim.attempts()]
    assert order == ["busy 0", "busy 1", "quiet", "busy 2"]


def test_retries_are_a_fifth_of_the_calls_and_always_ten() -> None:
    budget = RetryBudget()
    assert [budget.take(1.0) for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(100):
        budget.called(2.0)
    assert [budget.take(2.0) for _ in range(11)] == [True] * 10 + [False]
    assert budget.take(200.0)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, 7.3, 29.9, 61.5]), st.integers(0, 70), st.integers(0, 14))))
def test_no_minute_that_ends_with_a_retry_has_more_of_them_than_a_fifth_of_its_calls_or_ten(
    walk: list[tuple[float, int, int]],
) -> None:
    budget, now = RetryBudget(), 0.0
    calls, retries = list[float](), list[float]()
    for gap, called, wanted in walk:
        now += gap
        for _ in range(called):
            budget.called(now)
        calls += [now] * called
        taken = [now for _ in range(wanted) if budget.take(now)]
        retries += taken
        within = [sum(now - PERIOD <= at for at in each) for each in (calls, retries)]
        assert not taken or within[1] <= max(ALWAYS, SHARE * within[0])


def test_a_retry_is_forgotten_a_minute_later_and_not_before() -> None:
    budget = RetryBudget()
    assert [budget.take(29.5) for _ in range(11)] == [True] * 10 + [False]
    assert [budget.take(at) for at in (59.0, 60.0, 89.5)] == [False] * 3
    assert [budget.take(90.5) for _ in range(11)] == [True] * 10 + [False]


async def test_an_owner_s_calls_in_a_row_are_each_reserved_and_settled_once(desk: Desk) -> None:
    desk.sim.play(first(Fault(name="http_status", code=500)))
    await desk.complete(Owner(ItemId("a"), 3))(ask())
    assert [(owner.item, agent, provider) for owner, agent, provider, _ in desk.books.reserved.values()] == [
        ("a", "executor", "anthropic")
    ] * 2
    assert [len(each) for each in desk.books.settled.values()] == [1, 1]
    assert [usage.calls for usage in desk.books.used] == [1, 1]
    assert all(
        estimate.nano_usd >= used.nano_usd
        for (*_, estimate), used in zip(desk.books.reserved.values(), desk.books.used, strict=True)
    )
