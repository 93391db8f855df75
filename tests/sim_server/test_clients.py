"""The vendors' own clients, unmodified and as strict as they can be, read every shape that the simulator answers in.

What each reply comes to stands in a table, whole and streamed, plain and compressed: a client of another version that
reads one of them otherwise fails here, by name.
"""

import json
from collections.abc import Iterator
from typing import Any, get_args

import anthropic
import httpx2
import ollama
import openai
import pytest
from anthropic.types import RefusalStopDetails

from darumad.sim import Reply, Rule, Server, Simulation, ToolUse, scenario_of

SCHEMA = {
    "type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"], "additionalProperties": False,
}  # fmt: skip
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
ASKED = [{"role": "user", "content": "hi"}]
LONG = "word " * 400
CALL = Reply(text="Look.", tool_calls=(ToolUse(name="weather", args={"city": "Paris"}),))
REPLIES: dict[str, tuple[Reply, dict[str, Any]]] = {
    "text": (Reply(text="fine"), {}),
    "thinking": (Reply(text="fine", thinking="hm " * 30), {}),
    "tool": (CALL, {"tools": True}),
    "schema": (Reply(), {"schema": True}),
    "max_tokens": (Reply(text=LONG), {"max_tokens": 5}),
    "stop": (Reply(text="one STOP two"), {"stop": "STOP"}),
    "refusal": (Reply(stop="refusal", mute=True), {}),
}
"""A reply, and what must be asked of the model for it."""
SAID = {
    "text": "fine", "thinking": "fine", "tool": 'Look.weather{"city":"Paris"}', "schema": '{"said":"text"}',
    "max_tokens": LONG[:16], "stop": "one ", "refusal": "",
}  # fmt: skip
ENDS = {
    "anthropic": {"max_tokens": "max_tokens", "tool": "tool_use", "stop": "stop_sequence", "refusal": "refusal"},
    "openai": {"max_tokens": "length", "tool": "tool_calls", "refusal": "content_filter"},
    "ollama": {"max_tokens": "length"},
}
NATURAL = {"anthropic": "end_turn", "openai": "stop", "ollama": "stop"}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulation]:
    with Simulation() as running:
        yield running


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def gzip(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=list(REPLIES))
def reply(request: pytest.FixtureRequest, sim: Simulation, gzip: bool) -> str:
    sim.play(Rule(id="said", script=(REPLIES[request.param][0],)), servers={"*": Server(gzip=gzip)})
    return str(request.param)


@pytest.fixture(scope="module")
def claude(sim: Simulation) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="sk-sim", base_url=sim.url("anthropic"), max_retries=0, _strict_response_validation=True,
        http_client=httpx2.Client(trust_env=False),
    ) as client:  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def gpt(sim: Simulation) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-sim", base_url=sim.url("openai") + "/v1", max_retries=0, _strict_response_validation=True,
        http_client=httpx2.Client(trust_env=False),
    ) as client:  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def llama(sim: Simulation) -> Iterator[ollama.Client]:
    client = ollama.Client(host=sim.url("ollama"), trust_env=False)
    with client._client:
        yield client


def flat(text: str) -> str:
    """Text, and JSON in it, without what only looks different."""
    return json.dumps(json.loads(text), separators=(",", ":")) if text.startswith("{") else text


def test_anthropic_s_client_reads_every_reply(claude: anthropic.Anthropic, reply: str, stream: bool) -> None:
    asks = REPLIES[reply][1]
    more: dict[str, Any] = {}
    if "tools" in asks:
        more["tools"] = [{"name": "weather", "input_schema": TOOL}]
    if "schema" in asks:
        more["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if "stop" in asks:
        more["stop_sequences"] = [asks["stop"]]
    body = {"model": "claude-haiku-4-5", "max_tokens": asks.get("max_tokens", 1_000), "messages": ASKED, **more}
    if stream:
        with claude.messages.stream(**body) as events:
            message = events.get_final_message()
    else:
        message = claude.messages.create(**body)
    blocks = {each.type: each for each in message.content}
    said = blocks["text"].text if "text" in blocks else ""
    call = blocks.get("tool_use")
    said = flat(said) + (f"{call.name}{flat(json.dumps(call.input))}" if call else "")
    assert (said, message.stop_reason) == (SAID[reply], ENDS["anthropic"].get(reply, NATURAL["anthropic"]))
    assert ("thinking" in blocks) is (reply == "thinking")
    assert message.stop_sequence == asks.get("stop")
    assert 0 < message.usage.output_tokens <= body["max_tokens"] or reply == "refusal"


@pytest.mark.parametrize("category", [*get_args(get_args(RefusalStopDetails.__annotations__["category"])[0]), None])
def test_every_category_that_anthropic_declines_for_can_be_played(
    sim: Simulation, claude: anthropic.Anthropic, category: str | None, stream: bool
) -> None:
    sim.play(*scenario_of({"rules": [{"then": {"fault": "refusal", "category": category}}]}).rules)
    body: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": ASKED}
    if stream:
        with claude.messages.stream(**body) as events:
            details = events.get_final_message().stop_details
    else:
        details = claude.messages.create(**body).stop_details
    assert details is not None
    assert details.category == category


def test_openai_s_client_reads_every_reply(gpt: openai.OpenAI, reply: str, stream: bool) -> None:
    asks = REPLIES[reply][1]
    more: dict[str, Any] = {}
    if "tools" in asks:
        more["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    if "schema" in asks:
        form = {"name": "said", "schema": SCHEMA, "strict": True}
        more["response_format"] = {"type": "json_schema", "json_schema": form}
    if "stop" in asks:
        more["stop"] = asks["stop"]
    body = {"model": "gpt-sim", "messages": ASKED, "max_completion_tokens": asks.get("max_tokens", 1_000), **more}
    if stream:
        chunks = list(gpt.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))
        parts = [each.choices[0] for each in chunks if each.choices]
        said = "".join(each.delta.content or "" for each in parts)
        calls = [call.function for each in parts for call in each.delta.tool_calls or ()]
        called = "".join(each.name or "" for each in calls) + "".join(each.arguments or "" for each in calls)
        end, usage = parts[-1].finish_reason, chunks[-1].usage
    else:
        whole = gpt.chat.completions.create(**body)
        (choice,) = whole.choices
        said, end, usage = choice.message.content or "", choice.finish_reason, whole.usage
        called = "".join(each.function.name + each.function.arguments for each in choice.message.tool_calls or ())
    said = flat(said) + called.replace(" ", "")
    assert (said, end) == (SAID[reply], ENDS["openai"].get(reply, NATURAL["openai"]))
    assert usage is not None
    assert usage.completion_tokens <= body["max_completion_tokens"]


def test_ollama_s_client_reads_every_reply(llama: ollama.Client, reply: str, stream: bool) -> None:
    asks = REPLIES[reply][1]
    more: dict[str, Any] = {"options": {"num_predict": asks.get("max_tokens", 1_000), "stop": [asks.get("stop", "")]}}
    if "tools" in asks:
        more["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    if "schema" in asks:
        more["format"] = SCHEMA
    found = llama.chat("llama3.2", ASKED, stream=stream, **more)
    chunks = list(found) if stream else [found]
    said = flat("".join(each.message.content or "" for each in chunks))
    calls = [call.function for each in chunks for call in each.message.tool_calls or ()]
    said += "".join(f"{each.name}{flat(json.dumps(dict(each.arguments)))}" for each in calls)
    assert (said, chunks[-1].done_reason) == (SAID[reply], ENDS["ollama"].get(reply, NATURAL["ollama"]))
    assert chunks[-1].done
    assert (chunks[-1].eval_count or 0) <= more["options"]["num_predict"]


def test_the_clients_read_the_lists_the_counts_and_the_vectors(
    sim: Simulation, claude: anthropic.Anthropic, gpt: openai.OpenAI, llama: ollama.Client, gzip: bool
) -> None:
    sim.play(servers={"*": Server(gzip=gzip)})
    assert "claude-haiku-4-5" in {each.id for each in claude.models.list()}
    assert claude.models.retrieve("claude-haiku-4-5").type == "model"
    assert claude.messages.count_tokens(model="claude-haiku-4-5", messages=ASKED).input_tokens > 0
    assert gpt.models.retrieve("gpt-sim").object == "model"
    assert {each.id for each in gpt.models.list()} >= {"gpt-sim"}
    vectors = gpt.embeddings.create(model="embedding-sim", input=["a", "b"], encoding_format="float")
    assert [each.index for each in vectors.data] == [0, 1]
    assert [each.model for each in llama.list().models] == ["llama3.2:latest"]
    assert len(llama.embed("llama3.2", ["a", "b"]).embeddings) == 2
    assert len(llama.embeddings("llama3.2", "a").embedding) == len(vectors.data[0].embedding)
    assert llama.pull("llama3.2").status == llama.delete("llama3.2").status == "success"
    assert [each.status for each in llama.pull("llama3.2", stream=True)][-1] == "success"
    assert llama.generate("llama3.2", "hi").done
    assert llama.show("llama3.2").capabilities == ["completion", "tools"]
    assert llama.ps().models == []


def test_the_clients_find_their_own_error_in_each_refusal(
    sim: Simulation, claude: anthropic.Anthropic, gpt: openai.OpenAI, llama: ollama.Client
) -> None:
    sim.play()
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="none", max_tokens=1, messages=ASKED)
    with pytest.raises(anthropic.NotFoundError, match="model: team/none"):
        claude.models.retrieve("team/none")
    with pytest.raises(openai.NotFoundError) as found:
        gpt.models.retrieve("team/none")
    assert found.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as found:
        gpt.chat.completions.create(model="none", messages=ASKED)
    assert found.value.code == "model_not_found"
    with pytest.raises(ollama.ResponseError, match="model 'none' not found"):
        llama.chat("none", ASKED)
