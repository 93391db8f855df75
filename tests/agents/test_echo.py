from pathlib import Path

from darumad.names import Role
from darumad.values import changed
from darumad.work.result import StopReason, WorkResult
from tests.agents.fakes import Steps, agent, context, item


async def test_structured_input_comes_back_as_data(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, "echo").execute_work(item(input={"a": [1, None]}), context(tmp_path))
    assert result.success
    assert (result.data, result.text) == ({"a": [1, None]}, "")


async def test_a_description_alone_comes_back_as_text(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, "echo").execute_work(item("say this back to me"), context(tmp_path))
    assert (result.data, result.text) == (None, "say this back to me")


async def test_it_takes_exactly_one_step_which_rides_in_the_stages_commit(tmp_path: Path) -> None:
    steps = Steps()
    await agent(Role.EXECUTOR, "echo").execute_work(item(), context(tmp_path, steps=steps))
    assert (steps.live, steps.lasts) == (["echo"], 1)


async def test_its_result_says_that_no_model_made_it(tmp_path: Path) -> None:
    result = await agent(Role.EXECUTOR, "echo").execute_work(item(), context(tmp_path))
    assert (result.model, result.template) == ("offline", "echo@1.0.0")


async def test_the_same_back_passes_its_review(tmp_path: Path) -> None:
    work = WorkResult(stop_reason=StopReason.COMPLETED, data={"a": 1})
    review = await agent(Role.REVIEWER, "echo").execute_work(item(input={"a": 1}), context(tmp_path, work=work))
    assert review.data["passed"] is True


async def test_anything_else_back_fails_its_review(tmp_path: Path) -> None:
    work = WorkResult(stop_reason=StopReason.COMPLETED, data={"a": 1})
    other = changed(work, data={"a": 2})
    review = await agent(Role.REVIEWER, "echo").execute_work(item(input={"a": 1}), context(tmp_path, work=other))
    assert (review.data["passed"], review.data["issues"]) == (False, ["completeness: the result is not the input"])
