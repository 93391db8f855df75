"""What was not taken is told in the house's own words, with what was sent: each operation, each field."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from darumad.control import wire
from darumad.control.border import checked
from darumad.control.operations import OPERATIONS
from darumad.errors import Problem, Refused

NONSENSE: tuple[Any, ...] = (
    None, True, 5, -1, 1.5, 2**64, 10**400, "", "x", "A b/\x00", "-1", "1.5", "y" * 60_000, [], ["x"], [5], [""], {},
    {"x": 1}, [{}], [{"name": ""}], {"usd": "x", "tokens": -1, "calls": 2**60}, ["x"] * 200,
)  # fmt: skip
MODELS = tuple(dict.fromkeys(each.request for each in OPERATIONS.values()))
FOREIGN = re.compile(r"should|Input|[Vv]alue.error|valid |parse|cannot be taken|\^")


def refused(model: type[BaseModel], **said: Any) -> tuple[Problem, ...]:
    try:
        checked(model, said, {}, {})
    except Refused as error:
        return error.problems
    return ()


def every(model: type[BaseModel]) -> Iterator[Problem]:
    for name in model.model_fields:
        for value in NONSENSE:
            for each in refused(model, **{name: value}):
                if each.pointer.startswith(f"/{name}"):
                    yield each


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_operation_answers_in_the_words_of_a_library(model: type[BaseModel]) -> None:
    problems = list(every(model))
    assert [each for each in problems if FOREIGN.search(each.detail)] == []
    assert [each for each in problems if len(each.detail) > 250] == [], "what was sent is told, but not at any length"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("daily", "5EUR", "must be an amount with its currency, such as 2.50 USD, not '5EUR'"),
        ("daily", -3, "must be at least 0, not -3"),
        ("daily", True, "must be an amount in US dollars, such as 2.5 or 2.50 USD, not true"),
        ("daily", 1e12, "must be an amount below 4611686018 US dollars, not 1000000000000.0"),
        ("total_tokens", "few", "must be a whole number, not 'few'"),
        ("total_calls", 2**60, f"must be less than {2**53}, not {2**60}"),
    ],
)
def test_a_limit_that_is_no_amount_is_told_as_it_was_written(field: str, value: object, said: str) -> None:
    assert refused(wire.BudgetSetRequest, scope="all", **{field: value}) == (Problem(f"/{field}", said),)


def test_what_stands_deep_in_a_request_is_told_as_it_was_written() -> None:
    item = {"description": "x", "role": "boss", "labels": {"a": 1}, "stages": ["plan", "do"]}
    assert {each.pointer: each.detail for each in refused(wire.BatchRequest, items=[item])} == {
        "/items/0/role": "must be one of 'orchestrator', 'optimizer', 'executor' or 'reviewer', not 'boss'",
        "/items/0/labels/a": "must be a text, not 1",
        "/items/0/stages/1": (
            "must be one of 'plan', 'optimize', 'execute', 'review', "
            "'planning', 'optimizing', 'executing' or 'reviewing', not 'do'"
        ),
    }


@pytest.mark.parametrize("value", [5, ["sk-marker-1"], None])
def test_a_secret_that_cannot_be_one_is_never_told(value: object) -> None:
    assert refused(wire.SecretSetRequest, name="far-api-key", value=value) == (Problem("/value", "must be a text"),)
