"""What a server says that a call used: believed when it can be, and otherwise booked at the estimate, never at 0."""

from typing import Any

import ollama
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from darumad.agents.providers import anthropic_wire, ollama_wire, openai_wire
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.counted import UNCOUNTED
from darumad.agents.providers.prices import Price
from darumad.agents.providers.reply import vectors_of, without_keys
from darumad.sim import Reply, Rule
from darumad.work.model import ModelFailed, ModelReply
from darumad.work.result import Usage
from tests.agents.providers.desk import MODELS, Desk, ask
from tests.agents.providers.spoken import COUNTS, saying, streamed, whole

STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
PRICE = Price(input=1_000_000, output=2_000_000, cache_read=1, cache_write=1)
NO_COUNTS: dict[str, Any] = {
    "nothing": None, "minus": -(10**9), "fraction": 5.5, "text": "5000", "truth": True, "list": [1], "huge": 10**30,
}  # fmt: skip


def estimate_of(desk: Desk) -> Usage:
    (_, _, _, estimate), *_ = desk.books.reserved.values()
    return estimate


@STREAMED
@pytest.mark.parametrize("said", [(0, 0), (-(10**9), -(10**9)), (2**62, 2**62), (40, 2**53), (10**8, 1)], ids=str)
async def test_what_cannot_be_is_booked_at_the_estimate_and_told(
    desk: Desk, vendor: str, stream: bool, said: tuple[int, int]
) -> None:
    desk.change(stream=stream)
    desk.sim.play(Rule(id="said", script=(Reply(text="fine", input_tokens=said[0], output_tokens=said[1]),)))
    reply = await desk.complete()(ask())
    assert (reply.text, reply.usage) == ("fine", estimate_of(desk))
    assert desk.books.used == [reply.usage]
    assert [(each.name, each.subject, each.data()) for each in desk.facts] == [
        ("provider.usage_unknown", f"{vendor}:{MODELS[vendor]}", {"times": 1})
    ]
    assert desk.tally.counts()["llm_calls_without_usage_total", (vendor, MODELS[vendor])] == 1


@STREAMED
async def test_more_than_a_call_was_allowed_is_booked_as_it_is_said_and_told(
    desk: Desk, vendor: str, stream: bool
) -> None:
    desk.change(stream=stream)
    desk.sim.play(Rule(id="said", script=(Reply(text="fine " * 60, output_tokens=500_000),)))
    reply = await desk.complete()(ask())
    assert desk.books.used == [reply.usage]
    assert reply.usage.output_tokens == 500_000
    assert [(each.name, each.subject, each.data()) for each in desk.facts] == [
        ("provider.usage_exceeded", f"{vendor}:{MODELS[vendor]}", {"said": 500_000, "allowed": 1_000, "times": 1})
    ]
    assert desk.tally.counts()["llm_calls_over_max_tokens_total", (vendor, MODELS[vendor])] == 1


@STREAMED
async def test_all_that_a_call_was_allowed_is_no_contradiction(desk: Desk, vendor: str, stream: bool) -> None:
    desk.change(stream=stream)
    desk.sim.play(Rule(id="said", script=(Reply(text="fine", output_tokens=1_000),)))
    assert (await desk.complete()(ask())).usage.output_tokens == 1_000
    assert not desk.facts


async def called(desk: Desk, vendor: str, frames: list[dict[str, Any]], *, stream: bool) -> ModelReply:
    """What comes of a call that is answered so."""
    with saying(vendor, frames, stream=stream) as url:
        desk.change(stream=stream, base_url=url)
        try:
            return await desk.complete()(ask())
        finally:
            await desk.broker.close()


@STREAMED
async def test_a_whole_answer_of_which_nothing_was_counted_is_an_answer(desk: Desk, vendor: str, stream: bool) -> None:
    frames = streamed(vendor, {}) if stream else [whole(vendor, {})]
    reply = await called(desk, vendor, frames, stream=stream)
    assert (reply.text[-2:], reply.stop) == ("so", "tools")
    assert desk.books.used == [reply.usage] == [estimate_of(desk)]


@STREAMED
async def test_what_was_counted_is_booked_as_it_was(desk: Desk, vendor: str, stream: bool) -> None:
    frames = streamed(vendor, COUNTS[vendor]) if stream else [whole(vendor, COUNTS[vendor])]
    reply = await called(desk, vendor, frames, stream=stream)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (40, 7)
    assert desk.books.used == [reply.usage]
    assert not desk.facts


ODD: dict[str, tuple[str, Any]] = {
    "usage is a list": ("usage", [1]),
    "usage is a text": ("usage", "lots"),
    "the end is an object": ("stop_reason", {"a": 1}),
    "a block's type is a list": ("type", ["text"]),
    "the end of a choice is an object": ("finish_reason", {"a": 1}),
    "an index is a text": ("index", "1"),
    "details are a list": ("prompt_tokens_details", [1]),
    "arguments are a number": ("arguments", 5),
}


def spoiled(given: Any, field: str, value: Any) -> Any:
    """`given` with `value` in every place of this name but an event's own `type`."""
    if isinstance(given, list):
        return [spoiled(each, field, value) for each in given]
    if not isinstance(given, dict):
        return given
    own = field == "type" and "content_block" in given
    return {name: value if name == field and not own else spoiled(of, field, value) for name, of in given.items()}


@STREAMED
@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("anthropic", "usage is a list"), ("anthropic", "usage is a text"), ("anthropic", "the end is an object"),
        ("openai", "usage is a list"), ("openai", "usage is a text"), ("openai", "details are a list"),
        ("openai", "the end of a choice is an object"), ("openai", "arguments are a number"),
        ("ollama", "arguments are a number"),
    ],
)  # fmt: skip
async def test_an_odd_shape_is_the_provider_s_failure_and_no_agent_s(
    desk: Desk, kind: str, odd: str, stream: bool
) -> None:
    desk.use, desk.keys["openai"] = kind, desk.keys["anthropic"]
    frames = streamed(kind, COUNTS[kind]) if stream else [whole(kind, COUNTS[kind])]
    with pytest.raises(ModelFailed) as failed:
        await called(desk, kind, spoiled(frames, *ODD[odd]), stream=stream)
    assert failed.value.kind == "malformed_response"
    assert set(desk.books.used) == {estimate_of(desk)}, "it may have been billed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([-1, 2**53, 2**62, 2**64, -(10**30)])
    | st.floats() | st.text(max_size=3) | st.sampled_from(["tool_use", "thinking", "1", "\ud800"]),
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.text(max_size=3), each, max_size=2),
    max_leaves=3,
)  # fmt: skip


def places(given: Any) -> list[tuple[Any, Any]]:
    """Every place in `given` that holds a value: what holds it, and under which key."""
    keys = list(given) if isinstance(given, dict) else range(len(given)) if isinstance(given, list) else ()
    return [place for key in keys for place in ((given, key), *places(given[key]))]


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[Any], bool]:
    """A good answer in which a few values are any JSON at all, or gone."""
    vendor, stream = draw(st.sampled_from(sorted(MODELS))), draw(st.booleans())
    good = streamed(vendor, COUNTS[vendor]) if stream else [whole(vendor, COUNTS[vendor])]
    frames = orjson.loads(orjson.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from([place for frame in frames for place in places(frame)] or [([0], 0)]))
        if draw(st.booleans()):
            holder[key] = draw(JSON)
        else:
            del holder[key]
    return vendor, frames, stream


def read(vendor: str, frames: list[Any], *, stream: bool) -> ModelReply:
    """As the vendor's client of ours reads it."""
    if vendor == "ollama":
        chat = ollama_wire.Assembly(ask(), PRICE, "m")
        for frame in frames:
            chat.add(ollama.ChatResponse.model_validate(frame))
        return without_keys(chat.reply(), vendor)
    assembly = openai_wire.Assembly(PRICE) if vendor == "openai" else anthropic_wire.Assembly(PRICE, "m")
    for frame in frames:
        (assembly.add if stream else assembly.whole)(frame)
    return without_keys(assembly.reply(), vendor)


def told_by(vendor: str, frames: list[Any], *, stream: bool) -> Usage | None:
    """What an answer says that it used, whether it is read or refused; nothing else may come of it."""
    try:
        return read(vendor, frames, stream=stream).usage
    except AttemptFailed as refused:
        return refused.usage
    except ValidationError:  # Ollama's client reads before we do; the matrix says what becomes of it
        return None


@given(answers())
@settings(max_examples=300)
def test_whatever_stands_in_an_answer_it_is_read_or_refused(answer: tuple[str, list[Any], bool]) -> None:
    vendor, frames, stream = answer
    used = told_by(vendor, frames, stream=stream)
    assert used in {None, UNCOUNTED} or (
        min(used.input_tokens, used.output_tokens, used.cached_tokens, used.nano_usd or 0) >= 0
        and max(used.input_tokens, used.output_tokens) <= 3 * 2**53
        and all(type(count) is int for count in (used.input_tokens, used.output_tokens, used.cached_tokens))
    )


@pytest.mark.parametrize("no_count", NO_COUNTS)
@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
def test_one_count_that_is_none_leaves_the_call_uncounted(vendor: str, no_count: str) -> None:
    """It is not believed in part: who gets one count wrong may have got the other wrong too."""
    for name in list(COUNTS[vendor])[:2]:
        usage = {**COUNTS[vendor], name: NO_COUNTS[no_count]}
        assert read(vendor, streamed(vendor, usage), stream=True).usage == UNCOUNTED


@pytest.mark.parametrize(
    "said",
    [None, 5, [[1.0]], [[1.0], [1.0, 2.0]], [[], []], [["x"], [1.0]], [[float("inf")], [1.0]], [[1.0], [float("nan")]]],
    ids=str,
)
def test_what_is_no_vector_for_each_text_is_malformed(said: object) -> None:
    with pytest.raises(AttemptFailed) as failed:
        vectors_of(said, ("a", "b"))
    assert failed.value.diagnosis.kind == "malformed_response"


def test_a_prompt_that_ollama_still_had_is_booked_at_a_guess() -> None:
    frames = streamed("ollama", {"eval_count": 7})
    used = read("ollama", frames, stream=True).usage
    assert (used.input_tokens > 0, used.output_tokens) == (True, 7)
