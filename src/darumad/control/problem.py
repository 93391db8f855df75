"""Problems: how an error is told over HTTP, as application/problem+json (RFC 9457)."""

import math
import uuid
from collections.abc import Iterable

import orjson
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from darumad.control.border import Request
from darumad.errors import DarumaError, Unavailable

_MEDIA_TYPE = "application/problem+json"
_BUSY = {429, 503}


def answer(error: DarumaError, request: Request) -> Response:
    """`error` as a response to `request`. 429 and 503 say when to come back, in whole seconds."""
    return _response(error, request.path, request.trace_id)


def at_the_door(error: DarumaError, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """`error` as the last words to a connection on which no request could be read; with these headers."""
    told = _response(error, "", uuid.uuid4().hex)
    every = (*headers, *told.raw_headers, (b"connection", b"close"))
    lines = [STATUS_LINE[told.status_code], *(b"%b: %b\r\n" % each for each in every)]
    return b"".join((*lines, b"\r\n", told.body))


def _response(error: DarumaError, instance: str, trace_id: str) -> Response:
    entry = error.entry
    body = {
        "type": f"urn:daruma:error:{error.code}",
        "title": entry.next_step,
        "status": entry.status,
        "detail": error.message,
        "instance": instance,
        "code": error.code,
        "trace_id": trace_id,
        "errors": [{"pointer": each.pointer, "detail": each.detail} for each in error.problems],
    }
    headers = {"Retry-After": str(_retry_after(error))} if entry.status in _BUSY else {}
    return Response(orjson.dumps(body), entry.status, headers, _MEDIA_TYPE)


def _retry_after(error: DarumaError) -> int:
    wait = error.retry_after if isinstance(error, Unavailable) else None
    return max(1, math.ceil(wait or 1))
