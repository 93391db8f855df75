"""Chains of providers, vectors of texts, and the half of the broker that may be replaced under a thousand calls."""

import asyncio
import time
from pathlib import Path

import pytest

from darumad.agents.providers import half
from darumad.agents.providers.breaker import FIRST_OPEN, IN_A_ROW, JITTER
from darumad.agents.providers.config import ProviderSpec
from darumad.agents.providers.policy import falls_back, told_as
from darumad.agents.providers.prices import Price
from darumad.agents.step_loop import run_loop
from darumad.names import ItemId, Seconds
from darumad.sim import Attempt, Fault, Reply, Rule, Simulation, ToolUse, When
from darumad.values import changed
from darumad.work import KINDS
from darumad.work.kinds import Fallback
from darumad.work.model import Message, ModelFailed, ModelRequest, ToolSpec
from darumad.work.ports import Owner
from tests.agents.fakes import context
from tests.agents.providers.desk import MODELS, OWNER, SLOW, Desk, ask, seen
from tests.kit import FakeClock
from tests.kit.witness import Witness


def chained(desk: Desk, *names: str, **fields: object) -> Desk:
    desk.use = names[0]
    desk.keys["openai"] = desk.keys["anthropic"]
    for name, following in zip(names, [*names[1:], None], strict=True):
        desk.specs[name] = changed(desk.specs[name], fallback=following, **fields)
    return desk


def out(*listeners: str, code: int = 500, **fields: object) -> list[Rule]:
    fault = Fault(name="http_status", code=code, **fields)
    return [Rule(id=f"out-{each}", when=When(listener=each), fault=fault) for each in listeners]


async def test_the_next_of_the_chain_is_asked_when_the_first_is_down(desk: Desk) -> None:
    chained(desk, "anthropic", "openai", "ollama")
    desk.sim.play(*out("anthropic", "openai"))
    reply = await desk.complete()(ask())
    assert (reply.model, reply.text) == ("ollama:llama3.2", "ack ollama#1")
    assert [each.listener for each in desk.sim.attempts()] == ["anthropic"] * 3 + ["openai"] * 3 + ["ollama"]
    assert desk.tally.counts()["llm_fallbacks_total", ("anthropic", "openai")] == 1
    assert (await desk.complete()(ask())).model == "ollama:llama3.2"
    assert len(desk.sim.attempts()) == 8, "whose circuits are open are not asked"


async def test_what_is_the_request_s_own_fault_goes_no_further(desk: Desk) -> None:
    chained(desk, "anthropic", "openai")
    desk.sim.play(*out("anthropic", code=400))
    assert (await desk.failure()).kind == "invalid_request"
    assert len(desk.sim.attempts()) == 1


async def test_a_short_wait_is_waited_for_and_a_long_one_is_not(desk: Desk) -> None:
    chained(desk, "anthropic", "openai")
    desk.sim.play(*out("anthropic", code=429, retry_after=90))
    assert (await desk.complete()(ask())).model == "openai:gpt-sim"


async def test_when_all_are_down_the_last_one_s_failure_is_told_and_claims_stop(desk: Desk) -> None:
    chained(desk, "anthropic", "ollama")
    desk.sim.play(*out("anthropic", "ollama"))
    assert not desk.broker.shut("executor")
    failed = await desk.failure()
    assert (failed.kind, failed.circuit_open) == ("server_error", True)
    assert desk.broker.shut("executor")
    desk.broker.renew("ollama")
    assert not desk.broker.shut("executor")


async def test_an_outage_holds_up_whoever_has_called_and_no_agent_that_computes_without_a_model(desk: Desk) -> None:
    desk.sim.play(*out("anthropic"))
    await desk.failure()
    assert desk.broker.shut("executor")
    assert not desk.broker.shut("echo")
    with pytest.raises(ModelFailed):
        await desk.broker.complete_for(OWNER, "echo")(ask())
    assert desk.broker.shut("echo"), "it has called by now"


async def test_an_outage_is_told_as_one_though_who_stands_in_has_no_money_left(desk: Desk) -> None:
    chained(desk, "anthropic", "openai")
    desk.sim.play(*out("anthropic"))
    desk.books.without_money.add("openai")
    failed = await desk.failure()
    assert (failed.kind, failed.circuit_open, failed.budget) == ("server_error", True, "")
    assert failed.message.endswith("; nor was there an answer from openai (budget_exhausted)")
    assert failed.retry_after is not None


def _failed(kind: str, retry_after: float | None = None) -> ModelFailed:
    return ModelFailed(kind, f"{kind} it was", retry_after=retry_after)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((("server_error", None), ("budget_exhausted", None)), "server_error"),
        ((("timeout", None), ("auth", None)), "timeout"),
        ((("auth", None), ("connect", None)), "connect"),
        ((("auth", None), ("quota_exhausted", None)), "quota_exhausted"),
        ((("overloaded", None), ("context_too_long", None)), "overloaded"),
        ((("server_error", 5.0), ("rate_limited", 3600.0)), "server_error"),
        ((("rate_limited", 3600.0), ("server_error", 5.0)), "server_error"),
        ((("server_error", 5.0), ("timeout", 5.0)), "timeout"),
        ((("rate_limited", 90.0), ("connect", None), ("model_not_found", None)), "connect"),
        ((("server_error", 5.0), ("cancelled", None)), "cancelled"),
    ],
)
def test_a_chain_is_told_by_what_mends_itself_soonest(kinds: tuple[tuple[str, float | None], ...], told: str) -> None:
    assert told_as([("far", _failed(*each)) for each in kinds]).kind == told


def test_of_a_chain_that_gave_no_answer_each_is_named_with_its_kind_as_far_as_a_line_goes() -> None:
    asked = [("near", _failed("auth")), ("far", _failed("connect")), *((f"p{n}", _failed("auth")) for n in range(9))]
    assert told_as(asked[:2]).message == "connect it was; nor was there an answer from near (auth)"
    assert told_as(asked).message.endswith("near (auth), p0 (auth), p1 (auth), p2 (auth), p3 (auth) and 5 more")


async def test_a_chain_lets_one_through_once_a_circuit_of_it_half_opens_and_everybody_once_one_is_closed(
    sim: Simulation,
) -> None:
    clock = FakeClock()
    desk = chained(Desk(sim, clock), "anthropic", "ollama")
    standing = desk.broker._standing
    first, second = (("anthropic", "claude-sonnet-5-5"), ("ollama", "llama3.2"))

    def lets() -> str:
        return desk.broker.lets("executor")[0].name.lower()

    await desk.complete()(ask())
    assert lets() == "all"
    standing.ended(first, standing.admit(first), "auth")
    assert lets() == "all", "the next of its chain answers"
    for _ in range(IN_A_ROW):
        standing.ended(second, standing.admit(second), "server_error")
    assert lets() == "none"
    clock.advance(FIRST_OPEN * (1 + JITTER))
    assert lets() == "one"
    assert desk.broker.lets("executor")[1] == "ollama:llama3.2"
    probe = standing.admit(second)
    assert lets() == "none", "it is on its way"
    standing.ended(second, probe, None)
    assert lets() == "all"
    await desk.broker.close()


BRIEF = changed(SLOW, first_token=Seconds(0.3), total=Seconds(0.4))
"""A retry after the first token's limit has too little left, and the total ends it."""


@pytest.mark.parametrize("streamed", [True, False])
async def test_one_that_hangs_takes_none_of_the_time_of_the_next(desk: Desk, streamed: bool) -> None:
    chained(desk, "anthropic", "openai", stream=streamed)
    desk.specs["anthropic"] = changed(desk.specs["anthropic"], timeouts=BRIEF)
    desk.sim.play(Rule(id="hang", when=When(listener="anthropic"), fault=Fault(name="hang_headers")))
    assert (await desk.complete()(ask())).model == "openai:gpt-sim"


async def test_a_limit_that_ran_out_is_told_as_that_of_the_one_that_hung(desk: Desk) -> None:
    chained(desk, "anthropic", "openai", stream=False)
    desk.specs["openai"] = changed(desk.specs["openai"], timeouts=BRIEF)
    desk.sim.play(Rule(id="hang", when=When(listener="openai"), fault=Fault(name="hang_headers")), *out("anthropic"))
    failed = await desk.failure()
    assert (failed.kind, failed.message.split("; ")[0]) == ("timeout", "openai:gpt-sim: no answer within 0.4 s in all")


async def test_no_limit_runs_while_the_client_s_library_is_loaded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[float | None] = []

    def slow(kind: str) -> None:
        assert desk.broker._half is not None
        running.extend(scope.when() for scope in desk.broker._half.open)

    monkeypatch.setattr(half, "load", slow)
    assert (await desk.complete()(ask())).stop == "end"
    assert running == [None]


@pytest.mark.parametrize("asked", [False, True])
async def test_what_one_declines_is_asked_of_the_next_only_where_the_settings_say_so(desk: Desk, asked: bool) -> None:
    chained(desk, "anthropic", "openai", fallback_when_useless=asked)
    desk.sim.play(Rule(id="no", when=When(listener="anthropic"), fault=Fault(name="refusal")))
    reply = await desk.complete()(ask())
    assert (reply.model, reply.stop) == (
        ("openai:gpt-sim", "end") if asked else ("anthropic:claude-sonnet-5-5", "refusal")
    )
    assert desk.tally.counts().get(("llm_fallbacks_total", ("anthropic", "openai")), 0) == int(asked)


async def test_what_all_decline_is_the_last_one_s_refusal(desk: Desk) -> None:
    chained(desk, "openai", "anthropic", fallback_when_useless=True)
    desk.sim.play(Rule(id="no", script=(Reply(text="", stop="refusal"),)))
    reply = await desk.complete()(ask())
    assert (reply.model, reply.stop) == ("anthropic:claude-sonnet-5-5", "refusal")


@pytest.mark.parametrize("asked", [False, True])
async def test_an_answer_of_no_use_is_asked_of_the_next_only_where_the_settings_say_so(desk: Desk, asked: bool) -> None:
    chained(desk, "anthropic", "openai", fallback_when_useless=asked)
    desk.sim.play(Rule(id="mute", when=When(listener="anthropic"), fault=Fault(name="empty_content")))
    if asked:
        assert (await desk.complete()(ask())).model == "openai:gpt-sim"
    else:
        assert (await desk.failure()).kind == "empty_output"


FORM = {"type": "object", "required": ["sum"]}


@pytest.mark.parametrize("asked", [False, True])
async def test_an_answer_that_no_repair_mends_is_asked_of_the_next_only_where_the_settings_say_so(
    desk: Desk, tmp_path: Path, asked: bool
) -> None:
    chained(desk, "anthropic", "openai", fallback_when_useless=asked)
    prose = Rule(id="prose", when=When(listener="anthropic"), script=(Reply(text="It is two."),))
    desk.sim.play(prose, Rule(id="kept", script=(Reply(text='{"sum": 2}'),)))
    seen = context(tmp_path, desk.complete())
    request = ModelRequest(messages=(Message(role="user", text="add one and one"),), output_schema=FORM)
    if asked:
        answer = await run_loop(request, (), seen)
        assert (answer.model, answer.data) == ("openai:gpt-sim", {"sum": 2})
    else:
        with pytest.raises(ModelFailed, match="after 2 repairs"):
            await run_loop(request, (), seen)
    assert [each.listener for each in desk.sim.attempts()] == ["anthropic"] * 3 + ["openai"] * asked
    assert desk.tally.counts().get(("llm_fallbacks_total", ("anthropic", "openai")), 0) == int(asked)


def test_every_kind_falls_back_as_the_table_says() -> None:
    small, large = ProviderSpec(kind="ollama", num_ctx=4_096), ProviderSpec(kind="anthropic")
    for kind, known in KINDS.items():
        assert falls_back(kind, None, small, large, 60.0) is (known.fallback in {Fallback.YES, Fallback.BIGGER})
        assert falls_back(kind, None, large, small, 0.0) is (known.fallback is Fallback.YES)
    assert falls_back("rate_limited", 31.0, small, large, 60.0)
    assert not falls_back("rate_limited", 29.0, small, large, 60.0)
    assert falls_back("rate_limited", 29.0, small, large, 20.0)


async def test_thinking_goes_back_to_the_model_that_thought_it_and_to_no_other(desk: Desk) -> None:
    chained(desk, "anthropic", "openai")
    tool = ToolSpec(name="look", says="Look.", schema={"type": "object", "properties": {}})
    said = Reply(text="Look.", thinking="deep " * 9, tool_calls=(ToolUse(name="look"),))
    desk.sim.play(
        Rule(id="first", when=When(nth=(1,), listener="anthropic"), script=(said,)), *out("anthropic", code=529)
    )
    first = await desk.complete()(ask("go", tools=(tool,)))
    assert first.opaque
    echoed = Message(role="assistant", text=first.text, calls=first.calls, opaque=first.opaque)
    seen_it = Message(role="tool", text="seen", call_id=first.calls[0].id)
    request = ModelRequest(messages=(Message(role="user", text="go"), echoed, seen_it), tools=(tool,))
    assert (await desk.complete()(request)).model == "openai:gpt-sim"
    to_anthropic, to_openai = desk.sim.attempts()[1].body, desk.sim.attempts()[-1].body
    assert to_anthropic["messages"][1]["content"][0]["type"] == "thinking"
    assert "deep" not in str(to_openai)
    assert [each["role"] for each in to_openai["messages"]] == ["user", "assistant", "tool"]


async def test_ollama_s_thinking_is_carried_too(desk: Desk) -> None:
    desk.use = "ollama"
    desk.sim.play(Rule(id="thinks", script=(Reply(text="fine", thinking="hm, hm"),)))
    reply = await desk.complete()(ask())
    echoed = Message(role="assistant", text=reply.text, opaque=reply.opaque)
    await desk.complete()(ModelRequest(messages=(Message(role="user", text="go"), echoed), max_tokens=9))
    assert desk.sim.attempts()[1].body["messages"][1]["thinking"] == "hm, hm"


# --- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["ollama", "openai"])
async def test_vectors_come_one_for_each_text_through_the_same_door(desk: Desk, provider: str) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    model = {"ollama": "llama3.2", "openai": "embedding-sim"}[provider]
    desk.change(embedding_model=model)
    found = await desk.broker.embed_for(OWNER, provider)(["the cat sat", "the cat sat", "prices fell"])
    a, b, c = found.vectors
    assert (a == b, a == c, found.model, found.usage.calls) == (True, False, f"{provider}:{model}", 1)
    assert [len(each) for each in desk.books.settled.values()] == [1]


@pytest.mark.parametrize("provider", ["ollama", "openai"])
async def test_vectors_cost_what_the_model_does_that_makes_them(desk: Desk, provider: str) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    model = {"ollama": "llama3.2@vectors", "openai": "embedding-sim"}[provider]
    chats, embeds = (Price(input=a_token * 1_000_000, output=0, cache_read=0, cache_write=0) for a_token in (7, 3))
    desk.change(embedding_model=model, prices={MODELS[provider]: chats, model: embeds})
    used = (await desk.broker.embed_for(OWNER, provider)(["the cat sat"])).usage
    assert used.nano_usd == 3 * used.input_tokens > 0


async def test_a_model_s_circuit_is_its_own_and_no_other_s_of_the_same_provider(desk: Desk) -> None:
    desk.use = "ollama"
    desk.change(embedding_model="llama3.2:embed", concurrency=8)
    desk.sim.play(Rule(id="down", when=When(endpoint="embed"), fault=Fault(name="http_status", code=500)))
    with pytest.raises(ModelFailed):
        await desk.broker.embed_for(OWNER, "ollama")(["a"])
    assert {model: each.shut for (_, model), each in desk.broker.circuits().items()} == {"llama3.2:embed": True}
    assert not desk.broker.shut("executor")
    assert (await desk.complete()(ask())).stop == "end"


async def test_who_makes_no_vectors_says_so(desk: Desk) -> None:
    desk.specs["anthropic"] = changed(desk.specs["anthropic"], embedding_model="any")
    for provider, told in (
        ("ollama", "no model for this"),
        ("anthropic", "no embeddings"),
        ("lost", "no such provider"),
    ):
        with pytest.raises(ModelFailed, match=told):
            await desk.broker.embed_for(OWNER, provider)(["x"])


# --- two halves -------------------------------------------------------------------------------------------------------


def test_the_loop_is_replaced_under_a_thousand_calls_and_nothing_known_is_lost(sim) -> None:
    desk = Desk(sim)
    desk.change(concurrency=64)  # the others wait for a place
    sim.play(Rule(id="hang", when=When(prompt_re="hang"), fault=Fault(name="hang_headers")))
    first = asyncio.new_event_loop()

    async def flood() -> None:
        owners = [Owner(ItemId(f"i{n}"), 1) for n in range(1_000)]
        held.extend(asyncio.ensure_future(desk.complete(each)(ask("hang"))) for each in owners)
        await seen(sim, lambda attempts: len(attempts) == 64)

    async def answered() -> str:
        desk.broker.revoke(Owner(ItemId("i0"), 1))
        with pytest.raises(ModelFailed, match="revoked"):
            await desk.complete(Owner(ItemId("i0"), 1))(ask())
        reply = await desk.complete(Owner(ItemId("new"), 1))(ask())
        await desk.broker.close()
        return reply.text

    held: list[asyncio.Future[object]] = []
    first.run_until_complete(flood())
    assert asyncio.run(answered()) == "ack anthropic#1"
    for each in held:
        each.cancel()
    first.run_until_complete(asyncio.gather(*held, return_exceptions=True))
    first.run_until_complete(desk.broker.close())  # each loop closes what is its own, when it comes to that
    first.close()
    assert not desk.books.open
    assert {shown.state for shown in desk.broker.circuits().values()} == {"closed"}


CLOSES_WITHIN = 0.1
"""Seconds from a revoke to the end of its socket, as the server sees it; what the machine took comes on top."""


def _gone(attempts: tuple[Attempt, ...]) -> list[float]:
    return [each.client_disconnected_at for each in attempts if each.client_disconnected_at is not None]


async def test_a_cancel_closes_its_socket_at_once_however_many_are_open(desk: Desk, vendor: str) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    desk.change(concurrency=64)
    desk.sim.play(Rule(id="hang", fault=Fault(name="hang_headers")))
    owners = [Owner(ItemId(f"i{n}"), 1) for n in range(50)]
    calls = [asyncio.ensure_future(desk.complete(each)(ask(str(each.item)))) for each in owners]
    await seen(desk.sim, lambda attempts: len(attempts) == 50)
    with Witness() as witness:
        for number in range(9):
            began = time.monotonic()
            desk.broker.revoke(owners[number])
            with pytest.raises(ModelFailed, match="revoked"):
                await calls[number]
            gone = max(_gone(await seen(desk.sim, lambda attempts, so_far=number: len(_gone(attempts)) > so_far)))
            assert gone - began < CLOSES_WITHIN + witness.taken(began, gone)
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
