"""One classifier: what a client raised, or what came in an answer's place, becomes a kind and a sentence of ours.

The deepest `__cause__` speaks first, for clients wrap what happened. Classes are known by their names, so that
nothing of a vendor is imported here. What is not known stays as it is: a defect of ours is no provider's failure.
"""

import email.utils
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from types import TracebackType
from typing import Any

from darumad.names import Millis
from darumad.values import Value
from darumad.work.result import Usage

LONGEST_ASKED = 3_600.0
"""Seconds. Who asks to be left alone for longer is asked again: a wrong header must end no provider, nor any item."""


class Diagnosis(Value):
    """What a failure is. `message` is ours: nothing an upstream wrote is in it. `retry_after` in seconds, if said."""

    kind: str
    message: str
    retry_after: float | None = None


class AttemptFailed(Exception):  # noqa: N818 - it reads as what happened
    """One attempt ended without an answer. `usage` is what was billed, where that is known."""

    def __init__(
        self, kind: str, message: str, *, retry_after: float | None = None, usage: Usage | None = None
    ) -> None:
        super().__init__(message)
        self.diagnosis = Diagnosis(kind, message, retry_after)
        self.usage = usage


_BY_STATUS: Mapping[int, str] = {
    401: "auth",
    402: "quota_exhausted",
    403: "auth",
    404: "model_not_found",
    408: "timeout",
    409: "server_error",
    413: "request_too_large",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_BY_ERROR_TYPE: Mapping[str, str] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "auth",
    "billing_error": "quota_exhausted",
    "permission_error": "auth",
    "not_found_error": "model_not_found",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "api_error": "server_error",
    "overloaded_error": "overloaded",
    "conflict_error": "server_error",
    "server_error": "server_error",
    "insufficient_quota": "quota_exhausted",
    "rate_limit_exceeded": "rate_limited",
}
"""The vendors' `error.type`: what counts inside a stream, where the status was 200 long ago."""

_NO_MONEY = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached", "insufficient_quota"})
_TOO_LONG = re.compile(
    r"prompt is too long|longer than the context length|context window exceeded|maximum context length"
    r"|available context size|context size has been exceeded|token count .{1,30} exceeds the maximum",
    re.IGNORECASE,
)
_BUSY = re.compile(r"server busy|maximum pending requests", re.IGNORECASE)

_BY_CLASS: Mapping[str, tuple[str, str]] = {
    "aiohttp.ConnectionTimeoutError": ("connect", "the connection was not made in time"),
    "aiohttp.ClientConnectorError": ("connect", "no connection could be made"),
    "aiohttp.ServerDisconnectedError": ("disconnect", "the server closed the connection"),
    "aiohttp.ServerTimeoutError": ("timeout", "the server fell silent"),
    "aiohttp.ClientPayloadError": ("disconnect", "the answer broke off"),
    "aiohttp.ClientResponseError": ("disconnect", "the answer was no HTTP"),
    "aiohttp.ClientOSError": ("disconnect", "the connection broke"),
    "aiohttp.ClientConnectionError": ("disconnect", "the connection broke"),
    "httpx.PoolTimeout": ("local_saturation", "no connection was free"),
    "httpx.ConnectTimeout": ("connect", "the connection was not made in time"),
    "httpx.ConnectError": ("connect", "no connection could be made"),
    "httpx.TimeoutException": ("timeout", "the server fell silent"),
    "httpx.DecodingError": ("malformed_response", "the answer could not be decoded"),
    "httpx.TooManyRedirects": ("malformed_response", "the answer was a redirect"),
    "httpx.TransportError": ("disconnect", "the connection broke"),
    "httpx.StreamError": ("disconnect", "the answer broke off"),
    "builtins.ConnectionResetError": ("disconnect", "the connection was reset"),
    "builtins.ConnectionRefusedError": ("connect", "no connection could be made"),
    "builtins.ConnectionError": ("connect", "no connection could be made"),
    "builtins.UnicodeDecodeError": ("malformed_response", "the answer is no UTF-8"),
    "json.JSONDecodeError": ("malformed_response", "the answer is no JSON"),
    "orjson.JSONDecodeError": ("malformed_response", "the answer is no JSON"),
    "pydantic_core.ValidationError": ("malformed_response", "the answer has the wrong shape"),
    "anthropic.APIResponseValidationError": ("malformed_response", "the answer has the wrong shape"),
    "anthropic.APITimeoutError": ("timeout", "the server fell silent"),
    "anthropic.APIConnectionError": ("disconnect", "the connection broke"),
    "openai.APIResponseValidationError": ("malformed_response", "the answer has the wrong shape"),
    "openai.APITimeoutError": ("timeout", "the server fell silent"),
    "openai.APIConnectionError": ("disconnect", "the connection broke"),
}
"""What an exception's class says. `httpx2` counts as `httpx`: it has the same names."""

_STUMBLES = (AssertionError, AttributeError, KeyError, RecursionError, TypeError, ValueError)
_CLIENTS = ("anthropic", "openai", "ollama", "httpx", "httpx2", "aiohttp")
_OURS = __name__.partition(".")[0]


def classify(error: BaseException, wall: Millis) -> Diagnosis | None:
    """What `error`, raised by a client, is; None for what no provider can have caused.

    `wall` is now, for a `retry-after` that is a date.
    """
    if isinstance(error, AttemptFailed):
        return error.diagnosis
    for each in reversed(tuple(_causes(error))):
        found = _by_status(each, wall) or _by_class(each) or _by_stumble(each, wall)
        if found is not None:
            return found
    return None


def of_status(status: int, *, error_type: str = "", error_code: str = "", text: str = "") -> str:
    """The kind of an answer with this HTTP status; 200 and below 0 stand for an error inside a stream.

    `text` is what the server wrote. It is looked at for the few sentences that say more than the status does.
    """
    if error_code in _NO_MONEY:
        return "quota_exhausted"
    if error_code == "context_length_exceeded" or _TOO_LONG.search(text):
        return "context_too_long"
    if _BUSY.search(text):
        return "overloaded"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return _by_range(status) or _BY_ERROR_TYPE.get(error_type, "server_error")


def _by_range(status: int) -> str | None:
    match status // 100:
        case 3:
            return "malformed_response"
        case 4:
            return "invalid_request"
        case 5:
            return "server_error"
        case _:
            return None


def of_error_event(event: Any) -> AttemptFailed:
    """The failure that an `error` event inside a stream tells of."""
    error = event.get("error") if isinstance(event, dict) else None
    error = error if isinstance(error, dict) else {}
    error_type = str(error.get("type", ""))
    kind = of_status(200, error_type=error_type, text=str(error.get("message", "")))
    return AttemptFailed(kind, f"the stream ended in an error{_named(error_type)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _by_status(error: BaseException, wall: Millis) -> Diagnosis | None:
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not hasattr(error, "error" if _root(type(error)) == "ollama" else "response"):
        return None
    body = _error_of(error)
    error_type, text = str(body.get("type", "")), str(body.get("message", ""))
    details = body.get("details")
    error_code = str(details.get("error_code", "") if isinstance(details, dict) else body.get("code") or "")
    kind = of_status(status, error_type=error_type, error_code=error_code, text=text)
    said = f"the server answered {status}" if status > 0 else "the stream ended in an error"
    return Diagnosis(kind, said + _named(error_type), retry_after(headers_of(error), wall))


def _error_of(error: BaseException) -> Mapping[str, Any]:
    """The error inside an answer's body, whichever client holds it."""
    body = getattr(error, "body", None)
    if isinstance(body, list) and body:
        body = body[0]  # as Gemini wraps its own
    if isinstance(body, dict):
        inner = body.get("error")
        return inner if isinstance(inner, dict) else body
    return {"message": getattr(error, "error", "") or (body if isinstance(body, str) else "")}


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer that an error is about."""
    headers: Mapping[str, str] = getattr(_response_of(error), "headers", {})
    return headers


def _response_of(error: BaseException) -> Any:
    """The answer that an error is about, if any.

    Ollama's client leaves it behind, on the error that it raised its own in place of.
    """
    own = getattr(error, "response", None)
    return getattr(error.__context__, "response", None) if own is None else own


def _named(error_type: str) -> str:
    return f" ({error_type})" if error_type in _BY_ERROR_TYPE else ""


def retry_after(headers: Mapping[str, str], wall: Millis) -> float | None:
    """The seconds that `retry-after-ms` or `retry-after` (seconds, or a date against `wall`) ask for, if any.

    An hour at most, which is `LONGEST_ASKED`.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return _bounded(seconds) if isfinite(seconds) else None
    try:
        at = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    return _bounded(at - wall / 1000)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_ASKED)


def _by_class(error: BaseException) -> Diagnosis | None:
    for each in type(error).__mro__:
        found = _BY_CLASS.get(f"{_root(each)}.{each.__name__}")
        if found is not None:
            return Diagnosis(*found)
    return None


def _by_stumble(error: BaseException, wall: Millis) -> Diagnosis | None:
    """A client that stumbled over an answer raises what any code raises; where it was raised tells it from ours.

    Over what a refusal says Ollama's stumbles too. The status that it was about to tell says what it is all the same.
    """
    if not isinstance(error, _STUMBLES) or _raised_in(error.__traceback__) not in _CLIENTS:
        return None
    status = getattr(_response_of(error), "status_code", None)
    if status is None:
        return Diagnosis("malformed_response", "the answer has the wrong shape")
    return Diagnosis(of_status(status), f"the server answered {status}", retry_after(headers_of(error), wall))


def _raised_in(trace: TracebackType | None) -> str:
    """The client that an error was raised in, by it or by what it called, such as Python's own reader of JSON.

    Our own package, where a client had called that.
    """
    last = ""
    while trace is not None:
        root = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        last = root if root in {_OURS, *_CLIENTS} else last
        trace = trace.tb_next
    return last


def _root(of: type) -> str:
    root = of.__module__.partition(".")[0]
    return "httpx" if root in {"httpx2", "httpcore", "httpcore2"} else root
