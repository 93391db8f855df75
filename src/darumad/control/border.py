"""The border: where a request's bytes become a checked request, or a refusal that names what is wrong with them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from darumad.control.wire import problems_of
from darumad.errors import Problem, Refused

_DISCARDED = 64 << 20
"""Bytes beyond the limit that are read and thrown away, so that the refusal reaches a caller who is still sending."""


async def body_of(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body; empty when there is no body.

    Raises:
        Refused: `too_large`, declared or not; `malformed`: it is no JSON object.
    """
    held = bytearray()
    async for chunk in chunks_of(request, limit):
        held += chunk
    if not held:
        return {}
    try:
        found = orjson.loads(held)
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is no JSON: {error}", code="malformed") from None
    if not isinstance(found, dict):
        raise Refused("the body is no JSON object", code="malformed")
    return found


async def chunks_of(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes of it.

    Raises:
        Refused: `too_large`: more is declared, or more came; `malformed`: the caller hung up in the middle.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit + _DISCARDED:
                break
            if size <= limit:
                yield chunk
    except ClientDisconnect:
        raise Refused("the caller hung up before the body was whole", code="malformed") from None
    if size > limit:
        raise _too_large(limit)


def checked(model: type[BaseModel], body: Mapping[str, Any], path: Mapping[str, Any], query: Mapping[str, str]) -> Any:
    """A request of `model` from the three places it may stand in.

    Raises:
        Refused: everything that is wrong, each with its JSON pointer.
    """
    doubled = [Problem(f"/{name}", "stands in the address already") for name in body if name in path]
    if doubled:
        raise Refused("the request is not valid", problems=doubled)
    try:
        return model.model_validate({**query, **body, **path})
    except ValidationError as error:
        raise Refused("the request is not valid", problems=problems_of(error, model)) from None


def _too_large(limit: int) -> Refused:
    return Refused(f"the body is larger than the {limit} bytes that are read here", code="too_large")
