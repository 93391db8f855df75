"""Which tries belong to one call: each says so in a header, for whoever stands between Daruma and its models."""

import pytest

from darumad.agents.providers import Credential
from darumad.sim import Fault, Reply, Rule, When, calls
from darumad.values import changed
from tests.agents.providers.desk import KEY, OWNER, Desk, ask

DOWN = Fault(name="http_status", code=500)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_tries_of_a_call_share_an_id_that_no_other_call_has(desk: Desk, vendor: str, stream: bool) -> None:
    desk.change(stream=stream)
    desk.sim.play(Rule(id="down", when=When(nth=(1, 2)), fault=DOWN))
    for _ in range(2):
        await desk.complete()(ask())
    one, again, third, other = (each.call for each in desk.sim.attempts())
    assert one == again == third != other
    assert calls(desk.sim.attempts()) == 2


async def test_who_is_asked_in_another_s_place_is_asked_under_the_same_id(desk: Desk) -> None:
    desk.specs["anthropic"] = changed(desk.specs["anthropic"], fallback="ollama")
    desk.sim.play(Rule(id="down", when=When(listener="anthropic"), fault=Fault(name="http_status", code=402)))
    await desk.complete()(ask())
    (refused, answered) = desk.sim.attempts()
    assert (refused.listener, answered.listener) == ("anthropic", "ollama")
    assert refused.call == answered.call != ""


@pytest.mark.parametrize("provider", ["ollama", "openai"])
async def test_a_call_for_vectors_has_an_id_too(desk: Desk, provider: str) -> None:
    desk.keys["openai"] = Credential(KEY)
    desk.change(embedding_model={"ollama": "llama3.2", "openai": "embedding-sim"}[provider])
    desk.sim.play(Rule(id="down", when=When(nth=(1,)), fault=DOWN))
    await desk.broker.embed_for(OWNER, provider)(["a cat"])
    (one, again) = desk.sim.attempts()
    assert one.call == again.call != ""


async def test_a_prompt_is_counted_under_the_id_of_its_call(desk: Desk) -> None:
    desk.change(context_window=100)
    desk.sim.play(Rule(id="fits", when=When(endpoint="count_tokens"), script=(Reply(input_tokens=90),)))
    await desk.complete()(ask("word " * 80))
    counted, sent = desk.sim.attempts()
    assert counted.path.endswith("count_tokens")
    assert counted.call == sent.call != ""


async def test_only_calls_that_are_sent_allow_for_retries(desk: Desk) -> None:
    desk.keys = {"openai": Credential(KEY)}
    for _ in range(60):
        await desk.failure()
    desk.keys["anthropic"] = Credential(KEY)
    refusal = Fault(name="http_status", code=429, retry_after=0.001)
    desk.sim.play(Rule(id="refused", when=When(nth=(1,)), fault=refusal))
    for number in range(10):
        await desk.complete()(ask(f"[[sim:{number}]]"))
    assert (await desk.failure("[[sim:one-more]]")).kind == "rate_limited"
    assert (len(desk.sim.attempts()), calls(desk.sim.attempts())) == (21, 11)


async def test_a_call_that_an_open_circuit_refused_is_counted_as_one_that_was_not_sent(desk: Desk) -> None:
    desk.sim.play(Rule(id="gone", fault=Fault(name="http_status", code=401)))
    kinds = [(await desk.failure()).kind for _ in range(3)]
    assert kinds == ["auth"] * 3
    assert len(desk.sim.attempts()) == 1
    target = ("anthropic", desk.specs["anthropic"].model or "")
    counted = desk.tally.counts()
    assert counted["llm_calls_total", (*target, "auth")] == 1
    assert counted["llm_calls_not_sent_total", (*target, "auth")] == 2
