import shutil
from pathlib import Path
from typing import Any

import pytest

from darumad import __version__
from darumad.agents import AgentDefinition, SpawnRefused, Templates, make_agent
from darumad.agents.first_call import first_request
from darumad.agents.templates import echo
from darumad.names import AgentName, Role, Stage
from darumad.work.item import WorkItem
from darumad.work.model import Message
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult
from tests.agents.fakes import Scripted, Steps, agent, context, item

GOAL = "Publish the yearly report on the website"
TALK = (
    Message(role="user", text="The report is done."),
    Message(role="assistant", text="Good. Remember the appendix."),
)
LISTED = f"{GOAL}\n- [ ] write it\n- [ ] publish it"


def goal(description: str = GOAL, **more: Any) -> WorkItem:
    return item(description, role=Role.ORCHESTRATOR, agent=AgentName("orchestrator"), stages=(Stage.PLANNING,), **more)


def piece(key: str, *after: str, **more: Any) -> dict[str, Any]:
    given = {"description": f"Do part {key} of it", "phase": "documentation", "priority": 6, "depends_on": list(after)}
    return {"key": key, **given, "requirements": ["it is done"], "success_criteria": "", **more}


def plan(*pieces: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(pieces)}


async def planned(given: WorkItem, shown: Context) -> WorkResult:
    return await agent(Role.ORCHESTRATOR, "general").execute_work(given, shown)


async def test_a_goal_that_is_a_check_list_is_planned_without_a_model(tmp_path: Path) -> None:
    for model in (None, Scripted()):
        result = await planned(goal(LISTED), context(tmp_path, model))
        assert (result.stop_reason, result.model, result.text) == (
            StopReason.COMPLETED, "offline", "1. write it\n2. publish it",
        )  # fmt: skip
        assert [each["description"] for each in result.data["items"]] == ["write it", "publish it"]
        assert (result.template, result.resources_version) == ("orchestrator", f"darumad {__version__}")


async def test_a_model_turns_a_goal_into_items_with_what_each_depends_on(tmp_path: Path) -> None:
    model = Scripted(plan(piece("write"), piece("publish", "write")))
    result = await planned(goal(constraints=("in English",)), context(tmp_path, model))
    assert (result.success, result.model, len(model.asked)) == (True, "scripted:model", 1)
    assert result.text == "write. Do part write of it\npublish. Do part publish of it (after write)"
    first, second = result.data["items"]
    assert (first["requirements"], first["success_criteria"], second["depends_on"]) == (["it is done"], None, ["write"])
    assert result.data["stages"] == ["optimizing", "executing", "reviewing"]
    (asked,) = model.asked
    assert GOAL in asked.messages[-1].text
    assert "in English" in asked.messages[-1].text


async def test_a_plan_is_told_a_line_an_item_however_a_model_breaks_its_lines(tmp_path: Path) -> None:
    model = Scripted(plan(piece("a", description="Write it:\n\n- the sums\n- the words")))
    assert (await planned(goal(), context(tmp_path, model))).text == "a. Write it: - the sums - the words"


async def test_what_goes_on_from_a_dialogue_is_planned_with_it(tmp_path: Path) -> None:
    model = Scripted(plan(piece("a")))
    await planned(goal(), context(tmp_path, model, turns=TALK))
    assert model.asked[0].messages[:-1] == TALK


async def test_a_plan_that_is_none_is_repaired_at_most_twice(tmp_path: Path) -> None:
    circle = plan(piece("a", "b"), piece("b", "a"))
    model = Scripted(circle, plan(), plan(piece("a")))
    assert (await planned(goal(), context(tmp_path, model))).success
    assert "in a circle" in model.asked[1].messages[-1].text
    assert "must be 1 to 100 items" in model.asked[2].messages[-1].text

    result = await planned(goal(), context(tmp_path, Scripted(circle, circle, circle)))
    assert result.stop_reason is StopReason.SCHEMA_VIOLATION
    assert result.error is not None
    assert "in a circle" in result.error.message


async def test_a_plan_that_was_paid_for_is_not_asked_for_again(tmp_path: Path) -> None:
    steps = Steps()
    first = await planned(goal(), context(tmp_path, Scripted(plan(piece("a"))), steps=steps))
    nobody = Scripted()
    again = await planned(goal(), context(tmp_path, nobody, steps=Steps(steps.done)))
    assert (again.data, nobody.asked) == (first.data, [])


async def test_without_a_model_a_goal_in_prose_says_what_would_help(tmp_path: Path) -> None:
    result = await planned(goal(), context(tmp_path))
    assert result.error is not None
    assert result.error.kind == "model_not_found"
    assert "check list" in result.error.message


async def test_what_nobody_could_do_is_not_planned_and_nothing_is_paid_for_it(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    templates = Templates([AgentDefinition(name=AgentName("executor"), role=Role.EXECUTOR, template=str(file))])
    own = AgentDefinition(name=AgentName("orchestrator"), role=Role.ORCHESTRATOR)
    templates.load()
    with pytest.raises(SpawnRefused, match="there is no such file"):
        make_agent(Role.ORCHESTRATOR, own, templates)

    shutil.copy(echo.__file__, file)
    templates.load()
    planner, model = make_agent(Role.ORCHESTRATOR, own, templates), Scripted()
    file.unlink()
    with pytest.raises(SpawnRefused):
        await templates.reload("executor")
    for given in (goal(LISTED), goal()):
        with pytest.raises(SpawnRefused, match="there is no such file"):
            await planner.execute_work(given, context(tmp_path, model))
    assert model.asked == []


async def test_a_check_list_that_is_too_long_is_the_goals_fault(tmp_path: Path) -> None:
    listed = "\n".join(["All of these many things", *(f"- [ ] number {n}" for n in range(101))])
    result = await planned(goal(listed), context(tmp_path))
    assert result.stop_reason is StopReason.INVALID_ITEM
    assert result.error is not None
    assert result.error.message.startswith("/description is a check list with 101 open lines, and 100 are the most")


@pytest.mark.parametrize("said", [(), TALK])
async def test_an_estimate_counts_what_will_be_asked(tmp_path: Path, said: tuple[Message, ...]) -> None:
    model = Scripted(plan(piece("a")))
    await planned(goal(), context(tmp_path, model, turns=said))
    assert first_request(goal(), said, None) == model.asked[0]
