"""What a model is asked first, as a template says before its item is handed in: one that cannot is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest

from darumad.agents import SHIPPED, Sight, first_request
from darumad.errors import Refused
from darumad.names import Role
from darumad.values import changed
from darumad.work.item import WorkItem
from tests.agents.fakes import item

(ECHO,) = (each for each in SHIPPED if each.name == "echo")


def raises(_: WorkItem, __: Sight) -> Any:
    raise KeyError("page")


def leaves(_: WorkItem, __: Sight) -> Any:
    raise SystemExit(3)


def returns_a_text(_: WorkItem, __: Sight) -> Any:
    return "Say it."


@pytest.mark.parametrize(
    ("opening", "what"),
    [
        (raises, "raised KeyError: 'page' (test_opening.py:19)"),
        (leaves, "raised SystemExit: 3 (test_opening.py:23)"),
        (returns_a_text, "returned str, and must return a ModelRequest"),
    ],
)
def test_a_template_that_cannot_say_what_it_asks_first_is_refused_with_why(
    opening: Callable[..., Any], what: str
) -> None:
    with pytest.raises(Refused) as refused:
        first_request(item(), (), changed(ECHO, opening=opening))
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.detail) == ("/agent", f"its template's `opening` {what}")


@pytest.mark.parametrize(("goal", "asks"), [("Write the parser.", True), ("- [ ] Write the parser.", False)])
def test_a_goal_that_is_a_plan_already_asks_no_model(goal: str, asks: bool) -> None:
    request = first_request(item(role=Role.ORCHESTRATOR, description=goal), (), None)
    assert (request is not None) is asks
