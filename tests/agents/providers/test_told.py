"""What is told of a provider that refuses calls, or whose calls another has to answer: facts, and few of them."""

import pytest

from darumad.agents.providers.sparing import PERIOD
from darumad.agents.providers.standing import Standing
from darumad.events import Fact
from darumad.sim import Fault, Rule, When
from darumad.values import changed
from tests.agents.providers.desk import Desk, Draws, ask
from tests.kit import FakeClock


def test_a_storm_of_refusals_is_one_fact_a_minute_that_counts_them() -> None:
    clock, told = FakeClock(), list[Fact]()
    standing = Standing(clock, Draws(), told.append)
    for _ in range(50):
        standing.rate_limited("anthropic", 2.5)
    assert [(each.name, each.subject, each.data()) for each in told] == [
        ("provider.rate_limited", "anthropic", {"wait_ms": 2_500, "times": 1})
    ]
    clock.advance(PERIOD)
    standing.rate_limited("anthropic", None)
    assert told[1].data() == {"wait_ms": None, "times": 50}
    standing.rate_limited("openai", 1.0)
    assert told[2].subject == "openai", "another provider's are its own"


def test_who_refuses_calls_and_does_not_say_for_how_long_is_left_alone_for_longer_each_time() -> None:
    clock, target = FakeClock(), ("anthropic", "model")
    standing = Standing(clock, Draws(), lambda _: None)
    waits = []
    for _ in range(7):
        for _ in range(8):  # as many as were under way say so at once
            standing.rate_limited("anthropic", None)
        waits.append(standing.held_back("anthropic"))
        clock.advance(waits[-1])
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert standing.held_back("openai") == 0.0
    standing.ended(target, standing.admit(target), None)
    standing.rate_limited("anthropic", None)
    assert standing.held_back("anthropic") == 1.0, "an answer ends it"


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (0.05, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]),
        (10.0, [10.0, 20.0, 30.0, 30.0]),
        (90.0, [90.0, 90.0]),
    ],
)
def test_who_says_for_how_long_and_refuses_again_then_is_left_alone_for_longer_each_time(
    asked: float, waits: list[float]
) -> None:
    clock, target = FakeClock(), ("anthropic", "model")
    standing = Standing(clock, Draws(), lambda _: None)
    for wait in waits:
        for _ in range(8):  # as many as were under way say so at once
            standing.rate_limited("anthropic", asked)
        assert standing.held_back("anthropic") == pytest.approx(wait)
        clock.advance(wait)
    standing.ended(target, standing.admit(target), None)
    standing.rate_limited("anthropic", asked)
    assert standing.held_back("anthropic") == pytest.approx(asked), "an answer ends it"


def test_a_storm_of_fallbacks_is_one_fact_a_minute_for_each_way() -> None:
    clock, told = FakeClock(), list[Fact]()
    standing = Standing(clock, Draws(), told.append)
    for to in ("openai", "ollama") * 30:
        standing.fell_back("anthropic", to, "overloaded")
    assert [(each.name, each.subject, each.data()["to"]) for each in told] == [
        ("provider.fallback", "anthropic", "openai"),
        ("provider.fallback", "anthropic", "ollama"),
    ]
    clock.advance(PERIOD)
    standing.fell_back("anthropic", "ollama", "timeout")
    assert told[2].data() == {"to": "ollama", "kind": "timeout", "times": 30}


async def test_a_call_that_is_refused_for_its_rate_tells_so_whether_or_not_it_is_answered_later(desk: Desk) -> None:
    refusal = Fault(name="http_status", code=429, retry_after=0.01)
    desk.sim.play(Rule(id="full", when=When(nth=(1, 2)), fault=refusal))
    assert (await desk.complete()(ask())).stop == "end"
    assert [(each.name, each.data()) for each in desk.facts] == [("provider.rate_limited", {"wait_ms": 10, "times": 1})]


async def test_a_call_that_another_provider_answers_tells_who_and_why(desk: Desk) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    desk.change(context_window=200_000)
    desk.specs["anthropic"] = changed(desk.specs["anthropic"], fallback="openai")
    desk.sim.play(Rule(id="large", when=When(listener="anthropic"), fault=Fault(name="http_status", code=413)))
    assert (await desk.failure()).kind == "request_too_large"
    assert not desk.facts, "a request that is too large is too large for one of the same size"
    desk.sim.play(Rule(id="busy", when=When(listener="anthropic"), fault=Fault(name="http_status", code=402)))
    assert (await desk.complete()(ask())).model == "openai:gpt-sim"
    assert [(each.name, each.subject) for each in desk.facts] == [
        ("provider.circuit_opened", "anthropic:claude-sonnet-5-5"),
        ("provider.fallback", "anthropic"),
    ]
    assert desk.facts[1].data() == {"to": "openai", "kind": "quota_exhausted", "times": 1}
