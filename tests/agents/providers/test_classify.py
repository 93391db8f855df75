"""One classifier: the deepest cause first, statuses and sentences, and the waits that servers ask for."""

import email.utils
from collections.abc import Callable

import pytest

from darumad.agents.providers import granted
from darumad.agents.providers.classify import (
    LONGEST_ASKED,
    AttemptFailed,
    classify,
    of_error_event,
    of_status,
    retry_after,
)
from darumad.names import Millis
from darumad.work import KINDS

NOW = Millis(1_800_000_000_000)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    error.__cause__ = cause
    return error


def aiohttp_error(name: str, *args: object) -> BaseException:
    import aiohttp  # noqa: PLC0415

    return getattr(aiohttp, name)(*args)


def test_the_deepest_cause_speaks_first() -> None:
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    request = httpx2.Request("POST", "http://x")
    pool = raised(httpx2.ReadError("lost"), httpx2.PoolTimeout("full"))
    assert classify(raised(anthropic.APITimeoutError(request), pool), NOW).kind == "local_saturation"
    lost = raised(anthropic.APIConnectionError(request=request), aiohttp_error("ServerDisconnectedError"))
    assert classify(lost, NOW).kind == "disconnect"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ServerDisconnectedError", "disconnect"),
        ("ClientPayloadError", "disconnect"),
        ("ClientOSError", "disconnect"),
        ("ConnectionTimeoutError", "connect"),
        ("SocketTimeoutError", "timeout"),
        ("ClientConnectionError", "disconnect"),
    ],
)
def test_what_the_transport_raises_has_its_kind(name: str, kind: str) -> None:
    assert classify(aiohttp_error(name), NOW).kind == kind


@pytest.mark.parametrize(
    "error", [RuntimeError("loop"), ValueError("ours"), AssertionError(), KeyError("x"), OSError()]
)
def test_a_defect_of_ours_has_no_kind(error: Exception) -> None:
    def ours() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        ours()
    assert classify(caught.value, NOW) is None


def test_a_defect_of_ours_that_a_client_runs_into_has_no_kind_either() -> None:
    import httpx  # noqa: PLC0415

    with pytest.raises(TypeError) as caught:
        httpx.Headers(granted._of_openai(None))
    assert classify(caught.value, NOW) is None


def test_a_client_that_stumbles_over_an_answer_is_told_by_where_it_fell() -> None:
    from ollama._client import _parse_host  # noqa: PLC0415

    with pytest.raises(AttributeError) as caught:
        _parse_host(7)
    assert classify(caught.value, NOW).kind == "malformed_response"


@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_has_a_kind_that_the_tables_know(status: int) -> None:
    assert of_status(status) in KINDS


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "prompt is too long: 207310 tokens > 200000 maximum", "context_too_long"),
        (400, "the prompt is longer than the context length currently available to the model", "context_too_long"),
        (
            400,
            "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "context_too_long",
        ),
        (500, "Context size has been exceeded.", "context_too_long"),
        (
            400,
            "The input token count (218152) exceeds the maximum number of tokens allowed (65536).",
            "context_too_long",
        ),
        (503, "server busy, please try again.  maximum pending requests exceeded", "overloaded"),
        (500, "server busy, please try again", "overloaded"),
        (-1, "an error was encountered while running the model", "server_error"),
        (200, "", "server_error"),
    ],
)
def test_a_sentence_may_say_more_than_its_status(status: int, text: str, kind: str) -> None:
    assert of_status(status, text=text) == kind


@pytest.mark.parametrize("wrapped", [list, lambda errors: errors[0]])
def test_what_a_server_says_of_its_error_is_found_in_a_list_too(wrapped: Callable[[list[object]], object]) -> None:
    import httpx2  # noqa: PLC0415
    import openai  # noqa: PLC0415

    answer = httpx2.Response(400, request=httpx2.Request("POST", "http://x"))
    error = {"error": {"code": 400, "message": "The input token count (9) exceeds the maximum", "status": "INVALID"}}
    assert (
        classify(openai.BadRequestError("no", response=answer, body=wrapped([error])), NOW).kind == "context_too_long"
    )


@pytest.mark.parametrize("event", [None, [], "x", {}, {"error": "x"}, {"error": {"type": ["x"]}}])
def test_an_error_event_of_any_shape_is_an_error(event: object) -> None:
    assert of_error_event(event).diagnosis.kind == "server_error"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5", "retry-after-ms": "120"}, 0.12),
        ({"retry-after": email.utils.formatdate(NOW / 1000 + 9, usegmt=True)}, 9.0),
        ({"retry-after": email.utils.formatdate(NOW / 1000 - 9, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e10"}, LONGEST_ASKED),
        ({"retry-after-ms": "1e300"}, LONGEST_ASKED),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_ASKED),
        ({"retry-after": "Fri, 31 Dec 99999999999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_however_it_is_written(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_what_we_found_ourselves_keeps_its_kind() -> None:
    assert classify(AttemptFailed("refusal", "no"), NOW).kind == "refusal"
