"""Prompts near a model's context window: counted by the server where it counts, and refused before they are sent."""

from math import inf

import pytest

from darumad.agents.providers import ProviderSpec
from darumad.agents.providers.calling import NEAR
from darumad.agents.providers.prices import likely_tokens
from darumad.sim import Fault, Reply, Rule, When
from darumad.work.model import ToolSpec
from tests.agents.providers.desk import OWNER, Desk, ask

WINDOW = 1_000
COUNTING = When(endpoint="count_tokens")


def prompt(share: float) -> str:
    """A prompt that is guessed at so much of the window."""
    return "x" * int(WINDOW * share * 3.2)


@pytest.fixture
def near(desk: Desk) -> Desk:
    desk.change(context_window=WINDOW)
    return desk


def paths(desk: Desk) -> list[str]:
    return [each.path for each in desk.sim.attempts()]


async def test_what_is_far_from_its_window_is_counted_by_nobody(near: Desk) -> None:
    short = prompt(NEAR - 0.05)
    assert likely_tokens(ask(short)) < NEAR * WINDOW
    assert (await near.complete()(ask(short))).stop == "end"
    assert paths(near) == ["/v1/messages"]


async def test_what_fits_by_its_server_s_count_is_sent_whatever_was_guessed(near: Desk) -> None:
    near.sim.play(Rule(id="counts", when=COUNTING, script=(Reply(input_tokens=WINDOW),)))
    assert (await near.complete()(ask(prompt(1.5)))).stop == "end"
    assert paths(near) == ["/v1/messages/count_tokens", "/v1/messages"]
    assert sum(usage.calls for usage in near.books.used) == 1, "a count is no call, and costs nothing"


async def test_what_does_not_fit_by_its_server_s_count_is_refused_before_it_is_sent(near: Desk) -> None:
    near.sim.play(Rule(id="counts", when=COUNTING, script=(Reply(input_tokens=WINDOW + 1),)))
    failed = await near.failure(prompt(0.9))
    assert (failed.kind, str(WINDOW + 1) in str(failed)) == ("context_too_long", True)
    assert paths(near) == ["/v1/messages/count_tokens"]
    assert not near.books.reserved
    assert not failed.circuit_open


async def test_a_count_is_of_all_that_the_call_would_send(near: Desk) -> None:
    tool = ToolSpec(name="look", says="Look.", schema={"type": "object", "properties": {}})
    schema = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}
    await near.complete()(ask(prompt(0.9), system="Be brief.", tools=(tool,), output_schema=schema))
    counted, sent = (dict(each.body) for each in near.sim.attempts())
    assert sent.pop("max_tokens") == 1_000
    assert sent.pop("stream") is True
    assert counted == sent


@pytest.mark.parametrize(
    "fault",
    [Fault(name="http_status", code=404), Fault(name="http_status", code=529), Fault(name="rst", phase="headers")],
    ids=str,
)
async def test_who_cannot_count_is_asked_all_the_same(near: Desk, fault: Fault) -> None:
    near.sim.play(Rule(id="no-count", when=COUNTING, fault=fault))
    assert (await near.complete()(ask(prompt(1.5)))).stop == "end"
    assert near.broker.lets("executor")[0].name == "ALL"


@pytest.mark.parametrize("name", ["ollama", "openai"])
async def test_whose_vendor_counts_nothing_is_not_asked_to(near: Desk, name: str) -> None:
    near.use = name
    near.keys["openai"] = near.keys["anthropic"]
    assert (await near.complete()(ask(prompt(1.5)))).stop == "end"
    assert len(paths(near)) == 1


async def test_nothing_is_counted_for_who_was_revoked(near: Desk) -> None:
    near.broker.revoke(OWNER)
    assert (await near.failure(prompt(0.9))).kind == "cancelled"
    assert paths(near) == []


async def test_a_prompt_that_outgrew_a_small_window_goes_to_a_model_with_a_larger_one(near: Desk) -> None:
    near.keys["openai"] = near.keys["anthropic"]
    small, large = near.specs["anthropic"], near.specs["openai"]
    near.change(fallback=None, context_window=None)
    near.specs["anthropic"] = ProviderSpec(kind=small.kind, base_url=small.base_url, model="claude-haiku-4-5",
                                           timeouts=small.timeouts, fallback="openai")  # fmt: skip
    near.specs["openai"] = ProviderSpec(kind=large.kind, base_url=large.base_url, model=large.model,
                                        timeouts=large.timeouts, context_window=1_000_000)  # fmt: skip
    assert (await near.complete()(ask("x" * 800_000))).model == "openai:gpt-sim"
    assert [each.listener for each in near.sim.attempts()] == ["anthropic", "openai"]


def test_a_window_is_what_is_said_or_what_is_known_or_has_no_end() -> None:
    assert ProviderSpec(kind="anthropic", model="claude-haiku-4-5").window == 200_000
    assert ProviderSpec(kind="anthropic", model="claude-haiku-4-5", context_window=5).window == 5
    assert ProviderSpec(kind="anthropic", model="claude-of-tomorrow").window == inf
    assert ProviderSpec(kind="ollama", model="llama3.2", num_ctx=4_096, context_window=5).window == 4_096
