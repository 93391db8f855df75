"""What comes back from the real clients when nothing goes wrong, and what they send."""

import pytest

from darumad.agents.providers import openai_wire
from darumad.agents.providers.anthropic_wire import Assembly
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.prices import Price
from darumad.redaction import redact
from darumad.sim import Reply, Rule, Server, ToolUse, When
from darumad.work.model import Message, ModelReply, ModelRequest, ToolCall, ToolSpec
from tests.agents.providers.desk import KEY, Desk, ask

NESTED = {
    "type": "object",
    "properties": {
        "where": {
            "type": "object",
            "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}},
            "required": ["city"],
            "additionalProperties": False,
        }
    },
    "required": ["where"],
}
WEATHER = ToolSpec(name="weather", says="The weather somewhere.", schema=NESTED)


def says(*script: Reply, **when: object) -> Rule:
    return Rule(id="said", when=When(**when), script=script)


async def test_an_answer_comes_with_its_text_its_model_and_what_it_used(desk: Desk, vendor: str) -> None:
    desk.sim.play(says(Reply(text="Bonjour, " * 9, input_tokens=40, output_tokens=7)))
    reply = await desk.complete()(ask())
    assert (reply.text, reply.stop) == ("Bonjour, " * 9, "end")
    assert reply.model == f"{vendor}:{desk.specs[vendor].model}" == desk.complete().model
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.calls) == (40, 7, 1)
    assert reply.usage.nano_usd == {"anthropic": 40 * 2_000 + 7 * 10_000, "ollama": 0, "openai": None}[vendor]


async def test_a_tool_call_comes_with_its_arguments_and_an_id(desk: Desk, vendor: str) -> None:
    desk.sim.play(
        says(Reply(text="Let me look.", tool_calls=(ToolUse(name="weather", args={"where": {"city": "Paris"}}),)))
    )
    reply = await desk.complete()(ask(tools=(WEATHER,)))
    assert reply.stop == "tools"
    assert [(call.name, call.arguments) for call in reply.calls] == [("weather", {"where": {"city": "Paris"}})]
    assert reply.calls[0].id


async def test_a_tool_without_arguments_is_called_with_none(desk: Desk, vendor: str) -> None:
    desk.sim.play(says(Reply(tool_calls=(ToolUse(name="weather"),))))
    reply = await desk.complete()(ask(tools=(WEATHER,)))
    assert reply.calls[0].arguments == {}


async def test_a_tool_s_schema_arrives_whole(desk: Desk, vendor: str) -> None:
    await desk.complete()(ask(tools=(WEATHER,)))
    tool = desk.sim.attempts()[0].body["tools"][0]
    assert (tool["input_schema"] if vendor == "anthropic" else tool["function"]["parameters"]) == NESTED


def dialogue(reply: ModelReply) -> ModelRequest:
    """The next turn after a reply with two tool calls."""
    answers = tuple(Message(role="tool", text=f"result {at}", call_id=call.id) for at, call in enumerate(reply.calls))
    said = Message(role="assistant", text=reply.text, calls=reply.calls, opaque=reply.opaque)
    return ModelRequest(messages=(Message(role="user", text="go"), said, *answers), system="be brief", tools=(WEATHER,))


async def test_a_round_of_tools_goes_back_as_the_vendor_wants_it(desk: Desk, vendor: str) -> None:
    two = (
        ToolUse(name="weather", args={"where": {"city": "A"}}),
        ToolUse(name="weather", args={"where": {"city": "B"}}),
    )
    desk.sim.play(says(Reply(text="Both.", thinking="hm", tool_calls=two), Reply(text="done")))
    first = await desk.complete()(ask("go", tools=(WEATHER,)))
    second = await desk.complete()(dialogue(first))
    assert second.text == "done"
    assert len({call.id for call in first.calls}) == 2


async def test_thinking_is_echoed_unchanged_and_in_its_place(desk: Desk) -> None:
    call = ToolUse(name="weather", args={"where": {"city": "A"}})
    desk.sim.play(says(Reply(text="Look.", thinking="a long thought " * 5, tool_calls=(call,)), Reply(text="done")))
    first = await desk.complete()(ask("go", tools=(WEATHER,)))
    await desk.complete()(dialogue(first))
    echoed = desk.sim.attempts()[1].body["messages"][1]["content"]
    assert [block["type"] for block in echoed] == ["thinking", "text", "tool_use"]
    signature = f"sig{desk.sim.attempts()[0].number}"
    assert echoed[0] == {"type": "thinking", "thinking": "a long thought " * 5, "signature": signature}


async def test_an_output_schema_makes_an_answer_of_that_form(desk: Desk, vendor: str) -> None:
    schema = {"type": "object", "properties": {"fine": {"type": "boolean"}}, "required": ["fine"]}
    reply = await desk.complete()(ask(output_schema=schema))
    assert reply.text == '{"fine": true}'


@pytest.mark.parametrize(("vendors", "theirs"), [("anthropic", "max_tokens"), ("ollama", "length")])
async def test_a_reply_cut_by_the_token_limit_says_so(desk: Desk, vendors: str, theirs: str) -> None:
    desk.use = vendors
    desk.sim.play(says(Reply(text="half an ans", stop=theirs)))
    assert (await desk.complete()(ask())).stop == "max_tokens"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_compressed_answer_is_read_as_a_plain_one(desk: Desk, vendor: str, stream: bool) -> None:
    desk.change(stream=stream)
    desk.sim.play(Rule(id="said", script=(Reply(text="word " * 200),)), servers={"*": Server(gzip=True)})
    reply = await desk.complete()(ask())
    assert (reply.text, reply.stop) == ("word " * 200, "end")
    assert "gzip" in desk.sim.attempts()[0].headers["accept-encoding"]


async def test_a_refusal_is_a_reply_that_says_so(desk: Desk) -> None:
    desk.sim.play(says(Reply(text="", stop="refusal")))
    assert (await desk.complete()(ask())).stop == "refusal"


async def test_the_context_window_is_always_named_to_ollama(desk: Desk) -> None:
    desk.use = "ollama"
    await desk.complete()(ask())
    assert desk.sim.attempts()[0].body["options"] == {"num_ctx": 100_000, "num_predict": 1_000}


async def test_a_proxy_in_the_environment_does_not_matter(
    desk: Desk, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await desk.complete()(ask())).text == f"ack {vendor}#1"


async def test_each_agent_uses_the_provider_that_its_definition_names(desk: Desk) -> None:
    desk.by_agent = {"local": "ollama", "lost": "nowhere"}
    assert desk.complete(agent="local").model == "ollama:llama3.2"
    assert desk.complete(agent="executor").model == "anthropic:claude-sonnet-5-5"
    assert desk.complete(agent="lost").model is None


async def test_a_key_that_the_model_says_is_in_no_part_of_its_answer(desk: Desk, vendor: str) -> None:
    redact.conceal(KEY)
    tool = ToolUse(name=KEY, args={"deep": [{KEY: f"x{KEY}"}], "other": 1})
    desk.sim.play(Rule(id="said", script=(Reply(text=f"it is {KEY}!", tool_calls=(tool,), thinking=KEY, model=KEY),)))
    reply = await desk.complete()(ask(tools=(WEATHER,)))
    assert KEY not in repr(reply)
    assert (reply.text, reply.model) == ("it is [redacted]!", f"{vendor}:[redacted]")
    assert reply.calls[0].arguments == {"deep": [{"[redacted]": "x[redacted]"}], "other": 1}


def test_ids_of_calls_that_a_vendor_left_out_are_the_same_in_every_replay() -> None:
    from darumad.agents.providers.ollama_wire import Assembly  # noqa: PLC0415

    earlier = Message(role="assistant", calls=(ToolCall(id="call_1", name="weather", arguments={}),))
    assert Assembly(ModelRequest(messages=(earlier,)), None, "llama3.2")._ids == 1


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_calls_of_a_server_that_counts_none_up_are_told_apart_by_their_ids(index: dict[str, int]) -> None:
    """As Ollama's and Gemini's addresses for this protocol do, each in chunks of its own."""
    pieces = [
        {"id": "a", "function": {"name": "weather", "arguments": '{"at"'}},
        {"id": "a", "function": {"arguments": ":"}},
        {"function": {"arguments": "1}"}},
        {"id": "b", "function": {"name": "weather", "arguments": '{"at":'}},
        {"id": "c", "function": {"arguments": "2}"}},  # made anew for each piece, as some do
    ]
    assembly = openai_wire.Assembly(None)
    for each in pieces:
        assembly.add({"model": "m", "choices": [{"delta": {"tool_calls": [{**index, **each}]}}]})
    assembly.add({"model": "m", "choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    said = [(each.name, each.arguments) for each in assembly.reply().calls]
    assert said == [("weather", {"at": 1}), ("weather", {"at": 2})]


def ended(reason: object, *, stream: bool, call: bool = False) -> ModelReply:
    """What is made of an answer of OpenAI's protocol that ended for this reason."""
    assembly = openai_wire.Assembly(None)
    calls = [{"id": "a", "function": {"name": "weather", "arguments": "{}"}}]
    said = {"content": "fine", **({"tool_calls": calls} if call else {})}
    take = assembly.add if stream else assembly.whole
    take({"model": "m", "choices": [{"delta": said, "message": said, "finish_reason": reason}]})
    return assembly.reply()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("end", ["stop", "STOP", "eos", "eos_token", "stop_sequence", "end", "end_turn"]),
        ("max_tokens", ["length", "max_tokens", "MAX_TOKENS", "model_length"]),
        ("refusal", ["content_filter", "content_filter: RECITATION", "SAFETY", "PROHIBITED_CONTENT", "refusal"]),
    ],
)
def test_an_end_is_known_in_the_words_of_all_who_speak_the_protocol(stop: str, words: list[str], stream: bool) -> None:
    assert {ended(each, stream=stream).stop for each in words} == {stop}


def test_an_end_that_waits_for_tools_is_known_in_others_words_too() -> None:
    for word in "tool_calls", "function_call", "tool_use", "end_turn", "eos":
        assert ended(word, stream=True, call=True).stop == "tools"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("insufficient_system_resource", "overloaded"),
        ("error", "server_error"),
        ("abort", "server_error"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "bad_tool_args"),
        ("repetition", "malformed_response"),
        ("stopped", "malformed_response"),
        (5, "malformed_response"),
        (None, "truncated_stream"),
        ("", "truncated_stream"),
    ],
)
def test_an_end_that_is_none_is_no_answer_though_something_was_said(reason: object, kind: str) -> None:
    with pytest.raises(AttemptFailed) as failed:
        ended(reason, stream=False)
    assert failed.value.diagnosis.kind == kind


def test_what_a_cache_gave_is_counted_as_such_and_costs_its_own_price() -> None:
    """All that a prompt has is its input; the part that was kept is told beside it."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 1_500, "cache_creation_input_tokens": 90}
    assembly = Assembly(Price(input=1_000_000, output=0, cache_read=1_000, cache_write=2_000_000), "claude-haiku-4-5")
    assembly.whole({
        "type": "message", "model": "claude-haiku-4-5", "content": [{"type": "text", "text": "fine"}],
        "stop_reason": "end_turn", "usage": {**usage, "output_tokens": 5},
    })  # fmt: skip
    used = assembly.reply().usage
    assert (used.input_tokens, used.cached_tokens, used.nano_usd) == (1_600, 1_500, 10 + 2 + 180)
