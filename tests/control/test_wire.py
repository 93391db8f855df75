"""What is wrong with a request's form is told in words of JSON, whoever checks it."""

from typing import Any

import pytest
from pydantic import ValidationError

from darumad.control.wire import SubmitRequest, problems_of

WRONG = {
    "id": "",
    "phase": ["planning"],
    "priority": "high",
    "role": "janitor",
    "stages": "execute",
    "lane": "x" * 256,
    "requirements": [2],
    "inputs": ["a.txt"],
    "output_schema": [],
    "timeout": -1,
    "idle_timeout": "soon",
    "backoff": float("inf"),
    "max_attempts": 0,
    "max_reviews": 1001,
    "run_at": "tomorrow",
    "expires_at": -1,
    "budget": {"usd": "much", "tokens": 1.5, "calls": 1 << 53},
    "challenge": "perhaps",
}
TOLD = {
    "/id": "must not be empty",
    "/description": "is required",
    "/phase": "must be a text",
    "/priority": "must be a whole number",
    "/role": "must be one of 'orchestrator', 'optimizer', 'executor' or 'reviewer'",
    "/stages": "must be a list",
    "/lane": "must be at most 255 characters long",
    "/requirements/0": "must be a text",
    "/inputs/0": "must be an object",
    "/output_schema": "must be an object",
    "/timeout": "must be more than 0",
    "/idle_timeout": "must be a duration with its unit, such as 250ms, 90s, 5m or 1h30m",
    "/backoff": "must be a finite number",
    "/max_attempts": "must be at least 1",
    "/max_reviews": "must be at most 1000",
    "/run_at": "must be a time with its zone, such as 2026-11-21T08:00:00Z, or milliseconds since 1970",
    "/expires_at": "must be at least 0",
    "/budget/usd": "must be an amount with its currency, such as 2.50 USD",
    "/budget/tokens": "must be a whole number",
    "/budget/calls": "must be less than 9007199254740992",
    "/challenge": "must be true or false",
}


def told(sent: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        SubmitRequest.model_validate(sent)
    return {each.pointer: each.detail for each in problems_of(refused.value, SubmitRequest)}


def test_every_wrong_form_is_told_at_once_and_in_words_of_json() -> None:
    assert told(WRONG) == TOLD
