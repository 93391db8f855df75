"""What is wrong with a request's form is told in words of JSON, and with what was sent, whoever checks it."""

from typing import Any

import pytest
from pydantic import ValidationError

from darumad.control.wire import SubmitRequest
from darumad.control.wording import problems_of

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
    "/priority": "must be a whole number, not 'high'",
    "/role": "must be one of 'orchestrator', 'optimizer', 'executor' or 'reviewer', not 'janitor'",
    "/stages": "must be a list, not 'execute'",
    "/lane": "must be at most 255 characters long",
    "/requirements/0": "must be a text, not 2",
    "/inputs/0": "must be an object, not 'a.txt'",
    "/output_schema": "must be an object",
    "/timeout": "must be more than 0, not -1",
    "/idle_timeout": "must be a duration with its unit, such as 250ms, 90s, 5m or 1h30m, not 'soon'",
    "/backoff": "must be at most 864000000, not Infinity",
    "/max_attempts": "must be at least 1, not 0",
    "/max_reviews": "must be at most 1000, not 1001",
    "/run_at": "must be a time with its zone, such as 2026-11-21T08:00:00Z, or a number of milliseconds since 1970, not 'tomorrow'",  # noqa: E501 - as it is told
    "/expires_at": "must be at least 0, not -1",
    "/budget/usd": "must be an amount with its currency, such as 2.50 USD, not 'much'",
    "/budget/tokens": "must be a whole number, not 1.5",
    "/budget/calls": "must be less than 9007199254740992, not 9007199254740992",
    "/challenge": "must be true or false, not 'perhaps'",
}


def told(sent: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        SubmitRequest.model_validate(sent)
    return {each.pointer: each.detail for each in problems_of(refused.value, SubmitRequest, sent)}


def test_every_wrong_form_is_told_at_once_and_in_words_of_json() -> None:
    assert told(WRONG) == TOLD
