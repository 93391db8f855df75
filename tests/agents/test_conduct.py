import asyncio
from pathlib import Path
from typing import Any

import pytest

from darumad.agents import Template, ToolFailed
from darumad.agents.roles.conduct import LONGEST, failed
from darumad.agents.roles.executor import ExecutorAgent
from darumad.agents.step_loop import BadArguments
from darumad.errors import Problem
from darumad.names import Stage
from darumad.work.causes import ENDS
from darumad.work.effects import NothingDone
from darumad.work.item import WorkItem
from darumad.work.kinds import KINDS
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, Usage, WorkResult
from tests.agents.fakes import Scripted, context, item


def template(execute: object, **more: object) -> Template:
    given = {"name": "t", "version": "1", "says": "for a test", "execute": execute, "required_gates": frozenset()}
    return Template(**{**given, **more})


def raises(error: BaseException) -> Template:
    async def execute(work: WorkItem, seen: Context) -> WorkResult:
        raise error

    return template(execute)


def test_what_a_tool_says_at_length_is_cut_before_anybody_looks_at_it() -> None:
    error = failed(ToolFailed("\udcff" + "x" * 10_000_000)).error
    assert error is not None
    assert error.message == "?" + "x" * (LONGEST - 1)


async def ask_once(work: WorkItem, seen: Context) -> WorkResult:
    await seen.complete(ModelRequest(messages=(Message(role="user", text="hello"),)))
    return WorkResult(stop_reason=StopReason.COMPLETED, text="done")


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_half_an_answer_is_none_to_a_template_that_looks_at_its_text_alone(stop: Any, tmp_path: Path) -> None:
    half = ModelReply(text="half an ans", stop=stop, model="scripted:model", usage=Usage(calls=1))
    result = await ExecutorAgent(template(ask_once)).execute_work(item(), context(tmp_path, Scripted(half)))
    assert result.error is not None
    assert (result.success, result.error.kind) == (False, stop)


async def test_a_result_names_the_model_that_answered(tmp_path: Path) -> None:
    other = Scripted(ModelReply(text="fine", model="b:other"), model="a:first")
    result = await ExecutorAgent(template(ask_once)).execute_work(item(), context(tmp_path, other))
    assert (result.success, result.model) == (True, "b:other")


async def test_an_invalid_item_ends_with_every_problem_and_no_model_is_called(tmp_path: Path) -> None:
    agent = ExecutorAgent(template(ask_once))
    result = await agent.execute_work(item(" ", priority=99), context(tmp_path, Scripted()))
    assert result.stop_reason is StopReason.INVALID_ITEM
    assert result.error is not None
    assert "/description" in result.error.message
    assert "/priority" in result.error.message


async def test_what_the_template_finds_wrong_ends_the_item_before_any_work(tmp_path: Path) -> None:
    agent = ExecutorAgent(template(ask_once, problems=lambda _: (Problem("/input", "must be a number"),)))
    result = await agent.execute_work(item(), context(tmp_path, Scripted()))
    assert (result.stop_reason, result.error and result.error.message) == (
        StopReason.INVALID_ITEM,
        "/input must be a number",
    )


async def test_a_schema_that_is_none_ends_the_item_before_any_work(tmp_path: Path) -> None:
    agent = ExecutorAgent(template(ask_once))
    result = await agent.execute_work(item(output_schema={"type": "nonsense"}), context(tmp_path, Scripted()))
    assert result.stop_reason is StopReason.INVALID_ITEM
    assert result.error is not None
    assert "/output_schema" in result.error.message


@pytest.mark.parametrize(
    ("data", "stages", "broken"),
    [
        ({"n": 1}, (Stage.EXECUTING,), False),
        ({"n": "one"}, (Stage.EXECUTING,), True),
        (None, (Stage.OPTIMIZING, Stage.EXECUTING), True),
        ({"n": "one"}, (Stage.EXECUTING, Stage.REVIEWING), False),
    ],
    ids=["it holds", "it breaks", "it is not there", "a reviewer will say so"],
)
async def test_a_result_that_nobody_reviews_is_held_to_the_schema_of_its_item(
    data: object, stages: tuple[Stage, ...], broken: bool, tmp_path: Path
) -> None:
    async def says(work: WorkItem, seen: Context) -> WorkResult:
        return WorkResult(stop_reason=StopReason.COMPLETED, data=data)

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    asked = item(output_schema=schema, stages=stages)
    result = await ExecutorAgent(template(says)).execute_work(asked, context(tmp_path))
    assert (result.success, result.template) == (not broken, "t@1")
    assert (result.error.kind if result.error else None) == ("schema_violation" if broken else None)
    assert not broken or "output_schema" in str(result.error)


@pytest.mark.parametrize("kind", sorted(set(KINDS) & set(ENDS)))
async def test_a_model_that_fails_ends_the_stage_as_its_kind_says(kind: str, tmp_path: Path) -> None:
    known = {"retry_after": 7.0, "circuit_open": True, "target_answered": True, "budget": "all"}
    error = ModelFailed(kind, "no answer", **known)  # type: ignore[arg-type]  # each by its name
    result = await ExecutorAgent(raises(error)).execute_work(item(), context(tmp_path))
    assert result.stop_reason is ENDS[kind].stop_reason
    assert not result.success
    assert result.error is not None
    assert (result.error.kind, result.error.message, result.error.error_type) == (kind, "no answer", "ModelFailed")
    assert {name: getattr(result.error, name) for name in known} == known


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ToolFailed("the disk is full"), "the disk is full"),
        (ToolFailed(OSError("no such host")), "no such host"),  # type: ignore[arg-type] # authors write it
        (NothingDone("the server is away"), "the server is away"),
        (NothingDone(), "nothing was done outside"),
        (BadArguments("no such address"), "no such address"),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_a_tool_that_fails_is_a_tool_error(error: Exception, said: str, tmp_path: Path) -> None:
    result = await ExecutorAgent(raises(error)).execute_work(item(), context(tmp_path))
    assert (result.stop_reason, result.error and result.error.message) == (StopReason.TOOL_ERROR, said)


async def test_what_fails_in_a_task_group_is_the_first_of_its_failures(tmp_path: Path) -> None:
    several = ExceptionGroup("tasks", [ExceptionGroup("in it", [ModelFailed("refusal", "no")]), ToolFailed("away")])
    result = await ExecutorAgent(raises(several)).execute_work(item(), context(tmp_path))
    assert (result.stop_reason, result.error and result.error.message) == (StopReason.REFUSED, "no")


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("wrong"),
        KeyError("x"),
        SystemExit(3),
        ExceptionGroup("tasks", [ToolFailed("away"), KeyError("x")]),
    ],
)
async def test_what_nobody_knows_is_a_crash_and_leaves_the_agent_as_it_is(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        await ExecutorAgent(raises(error)).execute_work(item(), context(tmp_path))


async def test_an_agent_takes_work_again_after_a_crash(tmp_path: Path) -> None:
    agent = ExecutorAgent(raises(KeyError("x")))
    for _ in range(2):
        with pytest.raises(KeyError):
            await agent.execute_work(item(), context(tmp_path))


async def test_an_agent_refuses_a_second_item_while_it_works(tmp_path: Path) -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def execute(work: WorkItem, seen: Context) -> WorkResult:
        begun.set()
        await free.wait()
        return WorkResult(stop_reason=StopReason.COMPLETED)

    agent = ExecutorAgent(template(execute))
    first = asyncio.create_task(agent.execute_work(item(), context(tmp_path)))
    await begun.wait()
    with pytest.raises(AssertionError, match="while it works"):
        await agent.execute_work(item(), context(tmp_path))
    free.set()
    assert (await first).success


async def test_a_result_says_which_template_made_it_and_with_which_model(tmp_path: Path) -> None:
    result = await ExecutorAgent(template(ask_once)).execute_work(item(), context(tmp_path, Scripted("hi")))
    assert (result.template, result.model) == ("t@1", "scripted:model")
