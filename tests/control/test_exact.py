"""What would not be kept as it was sent is refused: a key that stands twice, a number too long, nesting without end."""

import asyncio
from typing import Any

import orjson
import pytest

from darumad.control.border import Request, body_of
from darumad.control.unkept import DEEPEST, FREE
from darumad.control.wire import EditRequest, SubmitRequest
from darumad.errors import Refused

TWICE = [
    b'{"description": "a", "description": "b"}',
    b'{"description": "a: b", "input": {"a": 1, "b": [{"a": 1, "a": 1}]}}',
    b'{"description": "\\u003a", "a": 1, "a": 2}',
    b'{"\\u0061": 1, "a": 2}',
]
ONCE = [
    b'{"description": "at 12:30: go", "input": {"a": {"a": [{"a": 1}, {"a": 2}]}}}',
    b'{"description": "\\u003a\\u003A", "a" : 1}',
    b'{"a": ' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}",
    b'{"a": [18446744073709551615, -9223372036854775808, "123456789012345678901234567890", 0.1234567890123456789012]}',
]


def read(body: bytes) -> dict[str, Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"method": "POST", "path": "/", "client": None, "query_string": b"", "headers": []}
    return asyncio.run(body_of(Request(scope, receive, {}), 1 << 20))


@pytest.mark.parametrize("body", TWICE)
def test_a_key_that_stands_twice_is_named(body: bytes) -> None:
    with pytest.raises(Refused, match=r"the key '(a|description)' stands twice; keep one") as refused:
        read(body)
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("body", ONCE)
def test_keys_that_stand_once_in_each_object_are_taken_whatever_is_in_their_texts(body: bytes) -> None:
    assert read(body) == orjson.loads(body)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 300, 1000])
def test_what_is_nested_too_deep_is_pointed_at_and_the_depth_is_said(depth: int) -> None:
    with pytest.raises(Refused) as refused:
        read(b'{"a": 1, "b":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}")
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.detail) == ("/b/0/0", "holds what lies more than 200 levels deep in the request")


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"])
def test_a_whole_number_that_would_be_rounded_is_pointed_at(number: str) -> None:
    with pytest.raises(Refused) as refused:
        read(b'{"input": {"ids": [1, %s]}, "output_schema": {"maximum": %s}}' % (number.encode(), number.encode()))
    assert [each.pointer for each in refused.value.problems] == ["/input/ids/1", "/output_schema/maximum"]
    assert "send it as a text" in refused.value.problems[0].detail


def test_every_field_that_takes_any_json_is_asked_for_numbers_that_would_be_rounded() -> None:
    models = (SubmitRequest, EditRequest)
    free = {name for each in models for name, field in each.model_fields.items() if "Any" in str(field.annotation)}
    assert free == FREE


def test_of_very_many_numbers_that_would_be_rounded_the_first_hundred_are_pointed_at() -> None:
    with pytest.raises(Refused) as refused:
        read(b'{"input": [%s]}' % b", ".join([b"1" * 30] * 1000))
    assert [each.pointer for each in refused.value.problems] == [f"/input/{number}" for number in range(100)]
