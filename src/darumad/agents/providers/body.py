"""Reading an answer's body as it comes: server-sent events, or one JSON document."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import orjson

from darumad.agents.providers.bounded import MAX_DOCUMENT_BYTES, too_long
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.watch import AttemptWatch

_DATA = b"data:"
DONE = b"[DONE]"
"""What OpenAI's streams end with."""


class Response(Protocol):
    """What is read of a client's response."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they come."""
        ...


async def events(response: Response, watch: AttemptWatch) -> AsyncIterator[Mapping[str, Any]]:
    """The JSON of each event until the stream ends or says `[DONE]`; pings and comments are none.

    Only what is left tells the watch that something came.
    """
    if "text/event-stream" not in response.headers.get("content-type", ""):
        raise AttemptFailed("malformed_response", "the answer is no event stream")
    async for data in _lines(response):
        if data == DONE:
            return
        event = _object(data)
        if event.get("type") != "ping":
            watch.event()
            yield event


async def document(response: Response, watch: AttemptWatch, *, most: int = MAX_DOCUMENT_BYTES) -> Mapping[str, Any]:
    """The one JSON object of a whole answer of `most` bytes; each piece of it tells the watch that something came."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        watch.event()
        body += piece
        if len(body) > most:  # whatever it says that it is
            raise too_long(most)
    return _object(bytes(body))


async def _lines(response: Response) -> AsyncIterator[bytes]:
    """What stands behind `data:`, line by line. No vendor spreads an event's data over several lines."""
    rest = bytearray()
    async for piece in response.aiter_bytes():
        rest += piece
        if b"\n" not in piece:
            continue
        *lines, tail = bytes(rest).split(b"\n")
        rest = bytearray(tail)
        for line in lines:
            if line.startswith(_DATA):
                yield line[len(_DATA) :].strip()


def _object(data: bytes) -> Mapping[str, Any]:
    value = orjson.loads(data)
    if not isinstance(value, dict):
        raise AttemptFailed("malformed_response", "the answer is no JSON object")
    return value
