import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from darumad.agents import ToolFailed
from darumad.agents.roles.brief import Earlier, build_brief
from darumad.agents.step_loop import Answer, BadArguments, LoopLimits, Tool, run_loop
from darumad.agents.tools.files import READ_AT_MOST
from darumad.names import Role
from darumad.values import changed
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest, ToolSpec
from darumad.work.ports import Context
from darumad.work.result import StopReason
from tests.agents.fakes import Scripted, Steps, agent, calls, context, item
from tests.kit.deep import dug

ASK = ModelRequest(messages=(Message(role="user", text="add one and one"),))
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}


class Adder:
    """A tool that counts how often it is really run."""

    def __init__(self) -> None:
        self.runs = 0

    def tool(self) -> Tool:
        return Tool(ToolSpec(name="add", says="Add two numbers.", schema=NUMBERS), self._run)

    async def _run(self, arguments: Mapping[str, Any]) -> str:
        self.runs += 1
        if arguments["a"] < 0:
            raise BadArguments("no negative numbers")
        if arguments["a"] > 99:
            raise ToolFailed("the adder broke")
        return str(arguments["a"] + arguments["b"])


async def loop(seen: Context, adder: Adder | None = None, **limits: Any) -> Answer:
    return await run_loop(ASK, ((adder or Adder()).tool(),), seen, limits=LoopLimits(**limits))


def add(a: Any, b: Any = 1) -> tuple[str, Mapping[str, Any]]:
    return "add", {"a": a, "b": b}


async def test_it_thinks_calls_observes_and_answers(tmp_path: Path) -> None:
    model, steps = Scripted(calls(add(1), add(2)), "two and three"), Steps()
    answer = await loop(context(tmp_path, model, steps=steps))
    assert (answer.text, [call.arguments["a"] for call in answer.calls]) == ("two and three", [1, 2])
    assert steps.live == ["think", "tool", "tool", "think"]
    assert [(each.role, each.text, each.call_id) for each in model.asked[1].messages[2:]] == [
        ("tool", "2", "call-0"),
        ("tool", "3", "call-1"),
    ]


async def test_a_replay_calls_nobody_runs_nothing_and_ends_alike(tmp_path: Path) -> None:
    steps, adder = Steps(), Adder()
    first = await loop(context(tmp_path, Scripted(calls(add(1)), "two"), steps=steps), adder)
    again = Steps(steps.done)
    second = await loop(context(tmp_path, Scripted(), steps=again), adder)
    assert second == first
    assert (again.live, adder.runs) == ([], 1)


async def test_a_restart_goes_on_behind_the_last_step_that_was_paid_for(tmp_path: Path) -> None:
    steps, adder = Steps(), Adder()
    with pytest.raises(ModelFailed, match="the daemon was killed"):
        await loop(
            context(
                tmp_path, Scripted(calls(add(1)), ModelFailed("interrupted", "the daemon was killed")), steps=steps
            ),
            adder,
        )
    resumed = Steps(steps.done)
    answer = await loop(context(tmp_path, Scripted("two"), steps=resumed), adder)
    assert (answer.text, resumed.live, adder.runs) == ("two", ["think"], 1)


async def test_thinking_blocks_are_handed_back_unchanged(tmp_path: Path) -> None:
    thought = {"type": "thinking", "signature": "abc"}
    model = Scripted(changed(calls(add(1)), opaque=(thought,)), "two")
    await loop(context(tmp_path, model))
    assert model.asked[1].messages[1].opaque == (thought,)


async def test_a_tools_bad_arguments_are_told_to_the_model(tmp_path: Path) -> None:
    model = Scripted(calls(add(-1)), "then not")
    await loop(context(tmp_path, model))
    assert model.asked[1].messages[-1].text == "error: no negative numbers"


@pytest.mark.parametrize("wish", [("add", {"a": "one"}), ("subtract", {}), ("add", {})])
async def test_a_call_out_of_form_is_repaired_and_never_run(
    wish: tuple[str, Mapping[str, Any]], tmp_path: Path
) -> None:
    adder, model = Adder(), Scripted(calls(wish), "sorry")
    await loop(context(tmp_path, model), adder)
    assert model.asked[1].messages[-1].text.startswith("error: ")
    assert adder.runs == 0


async def ends(seen: Context, **limits: Any) -> str:
    with pytest.raises(ModelFailed) as failed:
        await loop(seen, **limits)
    return failed.value.kind


async def test_calls_that_stay_out_of_form_end_it(tmp_path: Path) -> None:
    model = Scripted(*[calls(("add", {"a": "one"}))] * 3)
    assert await ends(context(tmp_path, model)) == "bad_tool_args"


async def test_however_many_calls_of_a_reply_are_out_of_form_it_is_one_repair(tmp_path: Path) -> None:
    wrong, adder = ("add", {"a": "one"}), Adder()
    model = Scripted(calls(wrong, wrong, wrong), calls(wrong, add(1), wrong), "sorry")
    assert (await loop(context(tmp_path, model), adder)).text == "sorry"
    assert [each.text.startswith("error: ") for each in model.asked[2].messages[-3:]] == [True, False, True]
    assert adder.runs == 1


async def test_a_reply_that_no_repair_mends_runs_none_of_its_calls(tmp_path: Path) -> None:
    wrong, adder = ("add", {"a": "one"}), Adder()
    with pytest.raises(ModelFailed, match="after 2 repairs"):
        await loop(context(tmp_path, Scripted(calls(wrong), calls(wrong), calls(add(1), wrong))), adder)
    assert adder.runs == 0


async def test_the_same_call_with_the_same_result_again_and_again_is_a_loop(tmp_path: Path) -> None:
    assert await ends(context(tmp_path, Scripted(*[calls(add(1))] * 3))) == "loop_detected"


async def test_the_same_tool_with_other_arguments_is_none(tmp_path: Path) -> None:
    model = Scripted(*[calls(add(number)) for number in range(9)], "done")
    assert (await loop(context(tmp_path, model))).text == "done"


async def test_too_many_steps_are_no_result(tmp_path: Path) -> None:
    model = Scripted(*[calls(add(number)) for number in range(4)])
    assert await ends(context(tmp_path, model), max_steps=4) == "max_steps"


async def test_a_reply_cut_by_the_token_limit_is_no_result(tmp_path: Path) -> None:
    cut = ModelReply(text="a long answer that was", stop="max_tokens")
    assert await ends(context(tmp_path, Scripted(cut))) == "max_tokens"


async def test_tool_calls_of_a_cut_reply_are_never_run(tmp_path: Path) -> None:
    adder = Adder()
    cut = changed(calls(add(1)), stop="max_tokens")
    with pytest.raises(ModelFailed):
        await loop(context(tmp_path, Scripted(cut)), adder)
    assert adder.runs == 0


async def test_a_refusal_is_no_result(tmp_path: Path) -> None:
    assert await ends(context(tmp_path, Scripted(ModelReply(text="I will not", stop="refusal")))) == "refusal"


async def test_an_empty_answer_is_asked_for_again_and_is_never_a_result(tmp_path: Path) -> None:
    model = Scripted("", " \n", "\u200b")
    assert await ends(context(tmp_path, model)) == "empty_output"
    assert len(model.asked) == 3


@pytest.mark.parametrize(
    ("useless", "wanted"), [("", "two"), ('{"total": 2}', '{"sum": 2}'), (calls(("add", {"a": "one"})), "two")]
)
async def test_what_repairs_do_not_mend_is_asked_elsewhere_with_all_that_was_said(
    tmp_path: Path, useless: Any, wanted: str
) -> None:
    form = {"type": "object", "required": ["sum"]} if wanted != "two" else None
    other = Scripted(useless, useless, wanted)
    model, steps, adder = Scripted(calls(add(1)), *[useless] * 3, other=other), Steps(), Adder()
    seen = context(tmp_path, model, steps=steps)
    answer = await run_loop(changed(ASK, output_schema=form), (adder.tool(),), seen)
    assert answer.text == wanted
    assert (len(model.asked), len(other.asked)) == (4, 3), "whoever is asked elsewhere may be shown its faults as often"
    assert other.asked[0].messages[: len(model.asked[-1].messages)] == model.asked[-1].messages
    silent = Scripted(other=Scripted())
    replayed = context(tmp_path, silent, steps=Steps(steps.done))
    assert (await run_loop(changed(ASK, output_schema=form), (adder.tool(),), replayed)).text == wanted
    assert adder.runs == 1


async def test_of_every_tool_that_is_run_it_is_told_how_it_ended_and_of_no_other(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    ran = lambda tool: lambda outcome: told.append((tool, outcome))  # noqa: E731 - as the bridge hands it in
    steps = Steps()
    model = Scripted(calls(add(1), add(-1), ("subtract", {}), add(100)))
    with pytest.raises(ToolFailed):
        await loop(context(tmp_path, model, steps=steps, tool_begins=ran))
    assert told == [("add", "ok"), ("add", "refused"), ("add", "failed")]
    again = context(tmp_path, Scripted(), steps=Steps(steps.done), tool_begins=ran)
    with pytest.raises(ToolFailed):
        await loop(again)
    assert told[3:] == [("add", "failed")], "what is replayed is not run"


async def test_a_tool_that_fails_ends_the_stage(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="the adder broke"):
        await loop(context(tmp_path, Scripted(calls(add(100)))))


async def test_an_answer_under_a_schema_is_read_and_repaired(tmp_path: Path) -> None:
    request = changed(ASK, output_schema={"type": "object", "required": ["sum"]})
    model = Scripted("two", "{}", '```json\n{"sum": 2}\n```')
    answer = await run_loop(request, (), context(tmp_path, model))
    assert answer.data == {"sum": 2}


async def test_a_long_observation_is_shown_by_its_beginning_and_its_end(tmp_path: Path) -> None:
    async def talk(arguments: Mapping[str, Any]) -> str:
        return "a" * 500 + "b" * 500

    tool = Tool(ToolSpec(name="talk", says="Talk.", schema={"type": "object"}), talk)
    model = Scripted(calls(("talk", {})), "done")
    await run_loop(ASK, (tool,), context(tmp_path, model), limits=LoopLimits(observation=100))
    told = model.asked[1].messages[-1].text
    assert told.startswith("a" * 50 + "\n... 900 characters left out ...")
    assert told.endswith("b" * 50)


# --- a dialogue that no longer fits ---------------------------------------------------------------------------------

TOO_LONG = ModelFailed("context_too_long", "the prompt does not fit")


async def say(arguments: Mapping[str, Any]) -> str:
    return str(arguments["word"]) * 1_000


SAY = Tool(ToolSpec(name="say", says="Say a word.", schema={"type": "object"}), say)


async def test_what_tools_said_before_the_last_round_is_left_out_once_it_does_not_fit(tmp_path: Path) -> None:
    rounds = (calls(("say", {"word": "one"})), calls(("say", {"word": "two"})))
    model = Scripted(*rounds, TOO_LONG, "done")
    told: list[tuple[int, int]] = []
    seen = context(tmp_path, model, compacted=lambda before, after: told.append((before, after)))
    answer = await run_loop(ASK, (SAY,), seen)
    assert (answer.text, len(answer.calls)) == ("done", 2)
    ((before, after),) = told
    assert before - after == 3_000 - len("(3000 characters left out to make room)")
    full, shorter = (each.messages for each in model.asked[2:])
    assert [each.text for each in shorter if each.role == "tool"] == [
        "(3000 characters left out to make room)", "two" * 1_000,
    ]  # fmt: skip
    assert [changed(each, text="") for each in shorter] == [changed(each, text="") for each in full]


async def test_the_only_round_s_observation_is_cut_and_a_second_failure_is_the_end(tmp_path: Path) -> None:
    model = Scripted(calls(("say", {"word": "one"})), TOO_LONG, TOO_LONG)
    with pytest.raises(ModelFailed) as failed:
        await run_loop(ASK, (SAY,), context(tmp_path, model))
    assert failed.value.kind == "context_too_long"
    assert "1000 characters left out" in model.asked[2].messages[-1].text


async def test_a_task_that_does_not_fit_by_itself_is_not_asked_again(tmp_path: Path) -> None:
    model = Scripted(TOO_LONG)
    with pytest.raises(ModelFailed, match="does not fit"):
        await loop(context(tmp_path, model))
    assert len(model.asked) == 1


# --- the built-in executor on top of it -----------------------------------------------------------------------------


async def test_without_a_model_it_refuses_and_says_what_to_configure(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path))
    assert (result.stop_reason, result.text) == (StopReason.PROVIDER_ERROR, "")
    assert result.error is not None
    assert result.error.kind == "model_not_found"
    assert "providers" in result.error.message


async def test_files_it_wrote_are_its_artifacts(tmp_path: Path) -> None:
    model = Scripted(calls(("write_file", {"path": "out/a.md", "text": "# A\n"})), "See out/a.md")
    result = await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path, model))
    assert (result.text, [(each.name, each.size) for each in result.artifacts]) == ("See out/a.md", [("out/a.md", 4)])
    assert (tmp_path / "out/a.md").read_text() == "# A\n"


async def test_files_of_a_replayed_step_are_its_artifacts_too(tmp_path: Path) -> None:
    steps = Steps()
    model = Scripted(calls(("write_file", {"path": "a.md", "text": "# A\n"})), "See a.md")
    executor = agent(Role.EXECUTOR, "general")
    first = await executor.execute_work(item(), context(tmp_path, model, steps=steps))
    second = await executor.execute_work(item(), context(tmp_path, Scripted(), steps=Steps(steps.done)))
    assert second.artifacts == first.artifacts


async def test_a_replayed_file_that_is_gone_is_no_success(tmp_path: Path) -> None:
    steps = Steps()
    model = Scripted(calls(("write_file", {"path": "a.md", "text": "# A\n"})), "See a.md")
    executor = agent(Role.EXECUTOR, "general")
    await executor.execute_work(item(), context(tmp_path, model, steps=steps))
    (tmp_path / "a.md").unlink()
    result = await executor.execute_work(item(), context(tmp_path, Scripted(), steps=Steps(steps.done)))
    assert result.stop_reason is StopReason.TOOL_ERROR


async def test_it_reads_and_lists_what_is_in_its_workspace(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/a.txt").write_text("hello")
    model = Scripted(
        calls(("list_files", {"path": "."}), ("read_file", {"path": "inputs/a.txt"}), ("read_file", {"path": "b"})),
        "ok",
    )
    await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path, model))
    assert [each.text for each in model.asked[1].messages[2:]] == ["inputs/a.txt", "hello", "error: no such file"]


async def test_a_name_that_is_no_text_and_links_in_a_circle_are_told_and_no_crash(tmp_path: Path) -> None:
    tmp_path.joinpath(os.fsdecode(b"caf\xe9.txt")).write_text("latin")
    (tmp_path / "here").symlink_to("there")
    (tmp_path / "there").symlink_to("here")
    model = Scripted(calls(("list_files", {"path": "."}), ("read_file", {"path": "here/a"})), "ok")
    await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path, model))
    listed, read = (each.text for each in model.asked[1].messages[2:])
    assert listed == "caf\N{REPLACEMENT CHARACTER}.txt\nhere\nthere"
    assert read.startswith("error: ")


async def test_folders_that_lie_too_deep_to_be_listed_are_told_and_no_crash(tmp_path: Path) -> None:
    model = Scripted(calls(("list_files", {"path": "."})), "ok")
    with dug(tmp_path / "folder"):
        await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path, model))
    listed = model.asked[1].messages[2].text
    assert listed in {"(no files)", "error: its folders lie too deep in each other: name one further in"}


async def test_of_a_large_file_it_is_told_how_much_was_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("a" * READ_AT_MOST + "the end")
    model = Scripted(calls(("read_file", {"path": "large"})), "ok")
    await agent(Role.EXECUTOR, "general").execute_work(item(), context(tmp_path, model))
    assert model.asked[1].messages[2].text.endswith("a\n... 7 more bytes of this file are not read")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "out/../../secret", "link/secret", "", "a\0b"])
async def test_no_path_leads_out_of_its_workspace(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "link").symlink_to(tmp_path)
    model = Scripted(calls(("read_file", {"path": path}), ("write_file", {"path": path, "text": "x"})), "ok")
    result = await agent(Role.EXECUTOR, "general").execute_work(item(), context(workspace, model))
    assert all(each.text.startswith("error: ") for each in model.asked[1].messages[2:])
    assert (tmp_path / "secret").read_text() == "the secret"
    assert result.artifacts == ()


async def test_what_it_asks_is_the_same_in_every_attempt(tmp_path: Path) -> None:
    asked = []
    for attempt in (1, 2):
        model = Scripted("done")
        seen = context(
            tmp_path, model, attempt=attempt, brief={"intent": "do it", "criteria": ["well"], "tokens": attempt}
        )
        await agent(Role.EXECUTOR, "general").execute_work(item(), seen)
        asked.append(model.asked)
    assert asked[0] == asked[1]
    assert "do it" in asked[0][0].messages[0].text
    assert "well" in asked[0][0].messages[0].text


TALK = (
    Message(role="user", text="Hello."),
    Message(role="assistant", text="Hello to you."),
    Message(role="user", text="Name a colour."),
    Message(role="assistant", text="Blue."),
)


@pytest.mark.parametrize("brief", [None, build_brief(item("And another?", messages=TALK[2:]), Earlier(turns=TALK[:2]))])
async def test_a_dialogue_comes_before_the_description_with_a_brief_and_without(brief: Any, tmp_path: Path) -> None:
    model = Scripted("Green.")
    await agent(Role.EXECUTOR, "general").execute_work(
        item("And another?", messages=TALK[2:]), context(tmp_path, model, brief=brief, turns=TALK[:2])
    )
    (asked,) = model.asked
    assert asked.messages[:-1] == TALK
    assert (asked.messages[-1].role, asked.messages[-1].text.count("Name a colour.")) == ("user", 0)
    assert "And another?" in asked.messages[-1].text
