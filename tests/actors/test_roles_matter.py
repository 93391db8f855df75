"""Each role decides something: with its decision replaced by the identity, exactly the check on it fails."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from darumad.actors import orchestrator
from darumad.agents import AgentDefinition, Templates, make_agent
from darumad.agents.roles.executor import ExecutorAgent
from darumad.agents.roles.optimizer import OptimizerAgent
from darumad.agents.roles.reviewer import ReviewerAgent
from darumad.names import AgentName, Role, Stage
from darumad.values import changed
from darumad.work.codec import review_from_json
from darumad.work.gates import Verdict
from darumad.work.states import WorkState
from tests.actors.company import Company, completed, review
from tests.kit import eventually

LOUD = AgentDefinition(
    name=AgentName("executor"), role=Role.EXECUTOR, template=str(Path(__file__).parent / "templates" / "loud.py")
)
SETTLED = {WorkState.SUCCEEDED, WorkState.DEAD}
PLAIN, CARELESS = "say it so that all can hear", "say it once more with feeling"


# --- what is looked at ------------------------------------------------------------------------------------------------


def the_executor_is_told_what_was_asked(seen: Company) -> bool:
    """The optimizer's: the brief holds the item's intent."""
    return PLAIN in str(outputs(seen, "plain", Stage.OPTIMIZING))


def the_work_is_done(seen: Company) -> bool:
    """The executor's: what comes out is not what went in."""
    result = seen.desk.reader.result("plain")  # type: ignore[arg-type]
    return result is not None and result["text"] == PLAIN.upper()


def careless_work_is_found_out(seen: Company) -> bool:
    """The reviewer's: its first review of careless work names the fault."""
    (first, *_) = outputs(seen, "careless", Stage.REVIEWING)
    return review_from_json(first).issues == ("correctness: it is not loud",)


def what_was_found_faulty_is_not_delivered(seen: Company) -> bool:
    """The orchestrator's: an item whose last review found faults has not succeeded with that work."""
    (*_, last) = outputs(seen, "careless", Stage.REVIEWING)
    return not (review_from_json(last).issues and seen.desk.state("careless") is WorkState.SUCCEEDED)


CHECKS = (
    the_executor_is_told_what_was_asked,
    the_work_is_done,
    careless_work_is_found_out,
    what_was_found_faulty_is_not_delivered,
)


# --- what is replaced -------------------------------------------------------------------------------------------------


async def _nothing(self: Any, item: Any, context: Any) -> Any:
    return completed()


async def _what_came_in(self: Any, item: Any, context: Any) -> Any:
    return completed(text=item.description)


async def _pass(self: Any, item: Any, context: Any) -> Any:
    return review(Verdict.PASS)


def _never_back(decide: Callable[..., Any]) -> Callable[..., Any]:
    """Decides on a review as if it had passed, whatever it found."""

    def decided(record: Any, stage: Stage, result: Any, **given: Any) -> Any:
        if stage is Stage.REVIEWING and result.success:
            result = changed(result, data=review(Verdict.PASS).data)
        return decide(record, stage, result, **given)

    return decided


REPLACED: Mapping[str, tuple[object, str, Any, Callable[[Company], bool]]] = {
    "optimizer": (OptimizerAgent, "execute_work", _nothing, the_executor_is_told_what_was_asked),
    "executor": (ExecutorAgent, "execute_work", _what_came_in, the_work_is_done),
    "reviewer": (ReviewerAgent, "execute_work", _pass, careless_work_is_found_out),
    "orchestrator": (
        orchestrator, "what_follows", _never_back(orchestrator.what_follows), what_was_found_faulty_is_not_delivered,
    ),
}  # fmt: skip


@pytest.fixture
def worked(company: Callable[..., Company]) -> Callable[[], Company]:
    """The four roles with their real agents, after a plain and a careless item have come to their end."""

    def work() -> Company:
        seen, templates = company(), Templates([LOUD])
        templates.load()
        seen.make = functools.partial(make_agent, template_of=templates)
        seen.start()
        seen.submit("plain", description=PLAIN)
        seen.submit("careless", description=CARELESS, input="careless")
        eventually(lambda: {seen.desk.state(each) for each in ("plain", "careless")} <= SETTLED, 20.0)
        return seen

    return work


def test_with_every_role_in_its_place_all_is_as_it_should_be(worked: Callable[[], Company]) -> None:
    seen = worked()
    assert [check.__name__ for check in CHECKS if not check(seen)] == []
    assert seen.desk.reader.result("careless")["text"] == CARELESS.upper()  # type: ignore[index,arg-type]
    assert seen.desk.record("careless").reviews == 1, "it was sent back once, and then it was right"


@pytest.mark.parametrize("role", REPLACED)
def test_a_role_that_decides_nothing_is_missed_where_it_decides_and_nowhere_else(
    worked: Callable[[], Company], monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    where, name, identity, its_own = REPLACED[role]
    monkeypatch.setattr(where, name, identity)
    seen = worked()
    assert [check.__name__ for check in CHECKS if not check(seen)] == [its_own.__name__]


def outputs(seen: Company, item: str, stage: Stage) -> list[Any]:
    """What this stage of the item made, oldest first."""
    return [each["output"] for each in seen.desk.reader.outputs(item) if each["stage"] == stage]  # type: ignore[arg-type]
