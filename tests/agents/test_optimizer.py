from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.agents import first_request
from darumad.agents.roles.brief import BYTES_PER_TOKEN, Earlier, build_brief, over_budget, tokens_of
from darumad.agents.roles.consolidation import consolidate
from darumad.agents.roles.optimizer import OptimizerAgent
from darumad.names import Role, Stage
from darumad.values import changed
from darumad.work.conversation import Exchange, turns_of
from darumad.work.item import Input
from darumad.work.model import Message, ModelFailed
from darumad.work.result import StopReason
from tests.agents.fakes import Scripted, Steps, context, item


def review(*issues: str, tests: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"issues": list(issues), "suggested_tests": list(tests)}


def failure(kind: str, message: str = "it broke") -> dict[str, Any]:
    return {"kind": kind, "message": message}


# --- the brief ------------------------------------------------------------------------------------------------------


def test_a_brief_says_what_is_wanted_how_it_is_known_to_be_done_and_what_binds() -> None:
    brief = build_brief(
        item(
            "build the thing",
            requirements=("it runs",),
            success_criteria="the tests pass",
            constraints=("no network",),
            tech_stack=("python",),
            tests=("test_a",),
            input={"n": 1},
        ),
        Earlier(answers=("blue",)),
    )
    assert brief["intent"] == "build the thing"
    assert brief["criteria"] == ["it runs", "the tests pass"]
    assert brief["constraints"] == ["no network", "use python"]
    assert (brief["tests"], brief["answers"], brief["input"]) == (["test_a"], ["blue"], {"n": 1})
    assert (brief["feedback"], brief["degraded"], brief["skills"]) == (None, False, [])


def test_a_dialogue_is_never_cut_and_takes_its_room_before_the_inputs() -> None:
    talk = (Message(role="user", text="x" * 9_000),)
    inputs = (Input(name="a", text="y" * 9_000),)
    brief, without = (
        build_brief(item(inputs=inputs, messages=given), Earlier(), context_tokens=5_000) for given in (talk, ())
    )
    assert brief["messages"] == [{"role": "user", "text": "x" * 9_000}]
    assert len(brief["inputs"][0]["text"]) < 2_200
    assert without["inputs"][0]["text"] == "y" * 9_000
    assert brief["tokens"] > without["tokens"] > 0


def test_of_a_conversation_the_newest_turns_are_kept_and_the_inputs_have_their_half() -> None:
    turns = turns_of([Exchange(f"ask {n}", "x" * 3_000) for n in range(4)])
    work = item(inputs=(Input(name="a", text="y" * 20_000),), messages=(Message(role="user", text="now"),))
    alone, beside = (
        build_brief(each, Earlier(turns=turns), context_tokens=5_000) for each in (item(messages=work.messages), work)
    )
    assert [each["text"] for each in alone["messages"]][::2] == ["ask 1", "ask 2", "ask 3", "now"]
    assert [each["text"] for each in beside["messages"]][::2] == ["ask 3", "now"]
    assert len(beside["inputs"][0]["text"]) > 5_000


def test_the_same_item_gives_the_same_brief() -> None:
    work = item(inputs=(Input(name="a", text="x" * 999), Input(name="b", text="y")))
    earlier = Earlier(feedback=(review("one"),), failures=(failure("tool_error"),))
    assert build_brief(work, earlier) == build_brief(work, earlier)


def test_a_brief_that_fits_has_its_inputs_whole() -> None:
    brief = build_brief(item(inputs=(Input(name="a", text="all of it"),)), Earlier())
    assert brief["inputs"] == [{"name": "a", "media_type": "text/plain", "text": "all of it", "bytes": 9}]
    assert over_budget(item(inputs=(Input(name="a", text="all of it"),)), brief) == ()


def test_small_inputs_stay_whole_and_the_large_one_is_cut_and_says_so() -> None:
    work = item(inputs=(Input(name="large", text="x" * 100_000), Input(name="small", text="y" * 50)))
    large, small = build_brief(work, Earlier(), context_tokens=2_000)["inputs"]
    assert "cut" not in small
    assert large["cut"] is True
    assert large["bytes"] == 100_000
    assert 1_000 < len(large["text"]) < 2_000 * BYTES_PER_TOKEN


def test_structured_input_beyond_the_budget_is_cut_and_says_so() -> None:
    brief = build_brief(item(input={"rows": ["x" * 100] * 1_000}), Earlier(), context_tokens=2_000)
    assert brief["input"]["cut"] is True
    assert brief["tokens"] < 2_000


def test_an_upload_is_named_and_not_read() -> None:
    package = Input(name="package", media_type="application/x-tar", upload="ab" * 32)
    brief = build_brief(item(inputs=(package,)), Earlier())
    assert brief["inputs"] == [{"name": "package", "media_type": "application/x-tar", "upload": "ab" * 32}]


@given(
    texts=st.lists(st.text(max_size=4_000), max_size=6),
    budget=st.integers(min_value=600, max_value=4_000),
)
def test_whatever_is_handed_in_the_brief_stays_within_its_budget(texts: list[str], budget: int) -> None:
    inputs = tuple(Input(name=f"n{index}", text=text) for index, text in enumerate(texts))
    brief = build_brief(item(inputs=inputs), Earlier(), context_tokens=budget)
    shown = sum(len(each["text"].encode()) for each in brief["inputs"])
    assert shown <= budget * BYTES_PER_TOKEN * 0.7
    assert orjson.loads(orjson.dumps(brief)) == brief


@pytest.mark.parametrize(("size", "word"), [(1_000, "safe"), (30_000, "moderate")])
def test_pressure_is_told_in_words(size: int, word: str) -> None:
    brief = build_brief(item(inputs=(Input(name="a", text="x" * size),)), Earlier(), context_tokens=16_000)
    assert brief["pressure"] == word


def test_tokens_are_estimated_from_bytes_and_some_text_is_never_none() -> None:
    assert (tokens_of(""), tokens_of("x"), tokens_of("x" * 32), tokens_of("ä" * 16)) == (0, 1, 10, 10)


# --- what is told of earlier tries ----------------------------------------------------------------------------------


def test_after_the_first_try_everything_is_told() -> None:
    told = consolidate((review(*(f"issue {n}" for n in range(9)), tests=("a", "b", "c", "d")),), ())
    assert told is not None
    assert (told["level"], len(told["issues"]), len(told["tests"])) == ("detailed", 9, 4)
    assert len(told["summaries"]) == 1
    assert told["strategy"]


def test_a_summary_is_at_most_two_hundred_characters() -> None:
    told = consolidate((), (failure("tool_error", "x" * 999),))
    assert told is not None
    assert len(told["summaries"][0]) == 200


@pytest.mark.parametrize("tries", [2, 3])
def test_after_two_or_three_tries_the_latest_five_issues_and_three_tests_are_told(tries: int) -> None:
    rounds = tuple(
        review(*(f"{n}.{k}" for k in range(4)), tests=tuple(f"t{n}.{k}" for k in range(4))) for n in range(tries)
    )
    told = consolidate(rounds, ())
    assert told is not None
    assert (told["level"], len(told["issues"]), len(told["tests"])) == ("summary", 5, 3)
    assert told["issues"][0] == f"{tries - 1}.3"
    assert "summaries" not in told


def test_after_four_tries_only_what_keeps_coming_back_is_told() -> None:
    rounds = tuple(review("the same again", f"new in {n}") for n in range(3))
    told = consolidate(rounds, (failure("tool_error"),))
    assert told is not None
    assert (told["level"], told["issues"]) == ("compressed", ["the same again"])
    assert told["strategy"]


def test_without_earlier_tries_nothing_is_told() -> None:
    assert consolidate((), ()) is None


# --- the agent ------------------------------------------------------------------------------------------------------


def large() -> Mapping[str, Any]:
    return {"inputs": (Input(name="report", text="word " * 4_000),)}


async def test_without_a_model_the_brief_is_computed_and_not_degraded(tmp_path: Path) -> None:
    result = await OptimizerAgent(context_tokens=2_000).execute_work(item(**large()), context(tmp_path))
    assert (result.stop_reason, result.model, result.data["degraded"]) == (StopReason.COMPLETED, "offline", False)
    assert result.data["inputs"][0]["cut"] is True


async def test_a_model_condenses_what_does_not_fit_as_a_journalled_step(tmp_path: Path) -> None:
    model, steps = Scripted("the short of it"), Steps()
    result = await OptimizerAgent(context_tokens=2_000).execute_work(
        item(**large()), context(tmp_path, model, steps=steps)
    )
    assert result.data["inputs"][0]["text"] == "the short of it"
    assert result.data["inputs"][0]["condensed"] is True
    assert steps.live == ["condense"]
    assert len(model.asked) == 1


async def test_a_model_is_not_asked_when_everything_fits(tmp_path: Path) -> None:
    model = Scripted()
    assert (await OptimizerAgent().execute_work(item(**large()), context(tmp_path, model))).success
    assert model.asked == []


async def test_a_model_that_fails_costs_the_item_its_help_and_no_more(tmp_path: Path) -> None:
    model = Scripted(ModelFailed("server_error", "it failed"))
    result = await OptimizerAgent(context_tokens=2_000).execute_work(item(**large()), context(tmp_path, model))
    assert (result.success, result.data["degraded"], result.data["inputs"][0]["cut"]) == (True, True, True)


async def test_a_context_that_is_all_that_was_asked_for_is_not_made_without_its_model(tmp_path: Path) -> None:
    model = Scripted(ModelFailed("server_error", "it failed"))
    asked = item(**large(), role=Role.OPTIMIZER, stages=(Stage.OPTIMIZING,))
    result = await OptimizerAgent(context_tokens=2_000).execute_work(asked, context(tmp_path, model))
    assert (result.stop_reason, result.data) == (StopReason.PROVIDER_ERROR, None)


async def test_an_estimate_counts_what_will_be_asked_for_a_context_and_nothing_where_it_fits(tmp_path: Path) -> None:
    model = Scripted(*["shorter"] * 9)
    asked = item(
        inputs=(Input(name="report", text="word " * 400_000),), role=Role.OPTIMIZER, stages=(Stage.OPTIMIZING,)
    )
    assert (await OptimizerAgent().execute_work(asked, context(tmp_path, model))).success
    assert first_request(asked, (), None) == model.asked[0]
    assert first_request(changed(asked, inputs=()), (), None) is None


async def test_a_cancelled_call_ends_the_stage(tmp_path: Path) -> None:
    model = Scripted(ModelFailed("cancelled", "its owner was revoked"))
    result = await OptimizerAgent(context_tokens=2_000).execute_work(item(**large()), context(tmp_path, model))
    assert result.stop_reason is StopReason.CANCELLED
