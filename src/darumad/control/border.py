"""The border: where a request's bytes become a checked request, or a refusal that names what is wrong with them.

And where an answer becomes bytes. HTTP itself is uvicorn's; here is what ASGI hands over, and no more of it than is
asked for.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from darumad.control.exact import exact
from darumad.control.unkept import DEEPEST, may_round, unkept
from darumad.control.wording import problems_of
from darumad.errors import Problem, Refused
from darumad.ids import traced
from darumad.values import Value, asdict

_DISCARDED = 64 << 20
"""Bytes beyond the limit that are read and thrown away, so that the refusal reaches a caller who is still sending."""
_TOLD = 100
"""So many of the numbers that would be rounded are told at once."""
_WRITTEN_DEEP = 254
"""How deep orjson writes."""
Chunk = tuple[bytes, bool]
"""A piece of a body, and whether there is more to come."""


class Request:
    """A request as it came. `places` is what stood in its path where the route has a name for it."""

    __slots__ = ("_headers", "_receive", "_trace_id", "client", "method", "path", "places", "query")

    def __init__(self, scope: Scope, receive: Receive, places: Mapping[str, str]) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.client: tuple[str, int] | None = scope["client"]
        self.places = places
        self.query: bytes = scope["query_string"]
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of two of a name, the first
        self._receive = receive
        self._trace_id = ""

    @property
    def trace_id(self) -> str:
        """What the caller and the log name this request by: the caller's own (`traceparent`), or one that is made."""
        if not self._trace_id:
            self._trace_id = self.correlation_id or uuid.uuid4().hex
        return self._trace_id

    @property
    def correlation_id(self) -> str | None:
        """The caller's own trace id, under which other systems know what this request belongs to; None without one."""
        return traced(self.header(b"traceparent"))

    def header(self, name: bytes) -> str | None:
        """The header of this name, which is given in small letters; None when it did not come."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def parameters(self) -> Mapping[str, str]:
        """What stands in the address behind the question mark."""
        return dict(parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)) if self.query else {}

    async def chunk(self) -> Chunk:
        """The next piece of the body.

        Raises:
            Refused: `malformed`: the caller hung up in the middle.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refused("the caller hung up before the body was whole", code="malformed")
        return message.get("body", b""), message.get("more_body", False)

    async def gone(self) -> None:
        """Returns when the caller has hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Json:
    """An answer in JSON, on its way out; an ASGI app."""

    __slots__ = ("_body", "_status")

    def __init__(self, view: Value | Mapping[str, Any], status: int = 200) -> None:
        self._body, self._status = orjson.dumps(view, default=asdict), status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI calls it
        """Sends it."""
        headers = [(b"content-length", b"%d" % len(self._body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


async def body_of(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body; empty when there is no body.

    Raises:
        Refused: `too_large`, declared or not; `malformed`: it is no JSON object, or says a key twice; `invalid`: what
            would not be kept as it was sent.
    """
    _check_declared(request, limit)
    held, more = first = await request.chunk()
    if more or len(held) > limit:
        held = b"".join([each async for each in chunks_of(request, limit, first)])
    if not held:
        return {}
    try:
        found = orjson.loads(held)
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is no JSON: {error}", code="malformed") from None
    if not isinstance(found, dict):
        raise Refused("the body is no JSON object", code="malformed")
    return _as_sent(held, found)


def _as_sent(held: bytes, found: dict[str, Any]) -> dict[str, Any]:
    """`found` with each number as it was written; refuses what would not be kept so, first a key that stands twice.

    Of two equal keys orjson keeps the last, silently. Each key has a colon, so a body with more of them than `found` as
    it is written back has a key twice. A colon in a text that came as an escape would make up for one. So where the
    counts differ, where there may be such an escape, and where a number may be rounded, the slow parser looks again.
    """
    if b"\\u003" not in held and held.count(b":") == _colons(found) and not may_round(held):
        return found
    try:
        found = exact(held)
    except ValueError as error:
        raise Refused(f"the body is not clear: {error}", code="malformed") from None
    except RecursionError:  # then it is refused for its depth, by what the parser made of it
        pass
    if problems := tuple(islice(unkept(found), _TOLD)):
        raise Refused("the request is not valid", problems=problems)
    return found


def _colons(found: Any) -> int:
    """How many colons `found` has when it is written; -1 where it is nested deeper than `DEEPEST`.

    orjson writes no deeper than `_WRITTEN_DEEP` and says so at no cost: within so many lists that is `DEEPEST` for it.
    """
    for _ in range(_WRITTEN_DEEP - DEEPEST):
        found = [found]
    try:
        return orjson.dumps(found).count(b":")
    except TypeError:
        return -1


async def chunks_of(request: Request, limit: int, first: Chunk | None = None) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes of it; `first` is what was read of it already.

    Raises:
        Refused: `too_large`: more is declared, or more came; `malformed`: the caller hung up in the middle.
    """
    _check_declared(request, limit)
    size, more = 0, True
    while more and size <= limit + _DISCARDED:
        chunk, more = first or await request.chunk()
        first = None
        size += len(chunk)
        if size <= limit:
            yield chunk
    if size > limit:
        raise _too_large(limit)


def checked(model: type[BaseModel], body: Mapping[str, Any], path: Mapping[str, Any], query: Mapping[str, str]) -> Any:
    """A request of `model` from the three places it may stand in.

    Raises:
        Refused: everything that is wrong, each with its JSON pointer.
    """
    doubled = [Problem(f"/{name}", "stands in the address already") for name in body if name in path] if path else ()
    if doubled:
        raise Refused("the request is not valid", problems=doubled)
    sent = {**query, **body, **path}
    try:
        return model.model_validate(sent)
    except ValidationError as error:
        raise Refused("the request is not valid", problems=problems_of(error, model, sent)) from None


def _check_declared(request: Request, limit: int) -> None:
    declared = request.header(b"content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> Refused:
    return Refused(f"the body is larger than the {limit} bytes that are read here", code="too_large")
