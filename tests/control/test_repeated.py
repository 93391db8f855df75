"""A key that an object says twice is refused: the parser would keep the last, and drop the other in silence."""

import asyncio
from typing import Any

import orjson
import pytest

from darumad.control.border import Request, body_of
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
    b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}",
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


def test_what_is_nested_too_deep_to_be_read_again_is_refused() -> None:
    with pytest.raises(Refused, match="nested too deep"):
        read(b'{"a":' * 1000 + b"1" + b"}" * 1000)
