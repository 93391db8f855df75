"""OpenAI's protocol, as many other servers speak it too: chat completions, whole or streamed, embeddings, models.

The shapes are those of the vendor's own client (`openai.types.chat`) and of its API reference on errors and limits.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from darumad.sim.embedding import vector
from darumad.sim.ending import stops_in
from darumad.sim.scenario import ASKING, LOOK_UP, Asked, Fault, Quota, Reply, ToolUse, alias_free
from darumad.sim.schema import said_in
from darumad.sim.wire import Answer, Request, json_answer, read_json

BUSY = "The server is overloaded"
NOT_TAKEN = "Incorrect API key provided."
MODELS: Sequence[str] = ("gpt-sim", "embedding-sim")
ENDPOINTS: Mapping[str, Sequence[str]] = {"chat": [ASKING], "embed": [ASKING], LOOK_UP: ["GET"]}
_CREATED = 1_795_219_200
_BYTES_A_TOKEN = 3.2
_PIECE = 24
_WINDOW = 128_000
_MINUTE = 60
_KINDS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_STOPS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
"""What the shared words for an end are called here."""
_SYSTEM = frozenset({"system", "developer"})
_ASKING = frozenset({"/v1/chat/completions", "/v1/embeddings"})


def error(status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as the API words it."""
    kind, usual = _KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))  # noqa: PLR2004
    what = {"message": message, "type": kind, "param": None, "code": code or usual}
    return json_answer(status, {"error": what}, {"x-request-id": "req_sim", **(headers or {})})


def without_model(request: Request, models: Sequence[str]) -> Answer | None:
    """What is answered without asking a model: refusals, and the models there are; None for a request in order.

    Who comes without a key is answered, as by most servers that speak this protocol and are not OpenAI's.
    """
    match request.method, request.path.split("/")[1:]:
        case "POST", _ if request.path in _ASKING:
            return _refusal(request, models)
        case "GET", ["v1", "models"]:
            return json_answer(200, {"object": "list", "data": [_model(each) for each in models]})
        case "GET", ["v1", "models", name]:
            known = unquote(name) in models
            return json_answer(200, _model(unquote(name))) if known else _unknown(unquote(name))
        case _:
            return error(404, "Invalid URL", code="unknown_url")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "sim"}


def _refusal(request: Request, models: Sequence[str]) -> Answer | None:
    try:
        body = read_json(request.body)
    except ValueError:
        return error(400, "We could not parse the JSON body of your request.")
    wrong = next(_wrong(body, request.path), None) if isinstance(body, dict) else "not an object"
    if wrong is not None:
        return error(400, wrong)
    return None if alias_free(body["model"]) in models else _unknown(body["model"])


def _unknown(model: str) -> Answer:
    return error(404, f"The model `{model}` does not exist or you do not have access to it.")


def _wrong(body: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(body.get("model"), str):
        yield "you must provide a model parameter"
    if path == "/v1/embeddings":
        if not body.get("input"):
            yield "'input' is a required property"
        return
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "[] is too short - 'messages'"
        return
    for number, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") != "function" or not (tool.get("function") or {}).get("name"):
            yield f"Missing required parameter: 'tools[{number}].function.name'."
    yield from _wrong_messages(messages)


def _wrong_messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in {"system", "developer", "user", "assistant", "tool"}:
            yield f"Invalid value: '{role}'. - 'messages.[{number}].role'"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield (
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
                    " 'tool_calls'."
                )
            open_calls.discard(str(message.get("tool_call_id")))
        elif open_calls:
            yield _unanswered(open_calls)
        open_calls |= {str(each["id"]) for each in message.get("tool_calls") or ()}
    if open_calls:
        yield _unanswered(open_calls)


def _unanswered(calls: Iterable[str]) -> str:
    return (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        f" The following tool_call_ids did not have response messages: {', '.join(sorted(calls))}"
    )


def asked(listener: str, key: str, path: str, body: Mapping[str, Any]) -> Asked:
    """The request in shared words."""
    if path == "/v1/embeddings":
        given = body["input"]
        texts = (given,) if isinstance(given, str) else tuple(str(each) for each in given)
        return Asked(
            listener=listener, endpoint="embed", key=key, model=body["model"], prompt="\n".join(texts), texts=texts
        )
    messages = body["messages"]
    form = (body.get("response_format") or {}).get("json_schema") or {}
    return Asked(
        listener=listener,
        endpoint="chat",
        key=key,
        model=body["model"],
        system=_text(each for each in messages if each["role"] in _SYSTEM),
        prompt=_text(each for each in messages if each["role"] not in _SYSTEM),
        tools=tuple(str(each["function"]["name"]) for each in body.get("tools") or ()),
        last_role=str(messages[-1]["role"]),
        stream=bool(body.get("stream")),
        schema=form.get("schema"),
        max_tokens=int(body.get("max_completion_tokens") or body.get("max_tokens") or 0),
        stops=stops_in(body.get("stop")),
        usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _text(messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(str(each.get("content") or "") for each in messages)


def tokens_of(asked: Asked) -> int:
    """The prompt's tokens, as this simulator counts them."""
    return max(1, round((len(asked.prompt) + len(asked.system)) / _BYTES_A_TOKEN))


def answer(asked: Asked, reply: Reply, number: int) -> Answer:
    """The reply as the API sends it."""
    headers = {"x-request-id": f"req_sim{number}", "openai-processing-ms": "1"}
    if asked.endpoint == "embed":
        return json_answer(200, _embedded(asked), headers)
    text = said_in(reply, asked)
    calls = [_call(call.id or f"call_sim{number}_{at}", call) for at, call in enumerate(reply.tool_calls)]
    if not asked.stream:
        return json_answer(200, _whole(asked, reply, text, calls, number), headers)
    lines = [*_chunks(asked, reply, text, calls, number)]
    frames = (*(f"data: {json.dumps(each)}\n\n".encode() for each in lines), b"data: [DONE]\n\n")
    return Answer(200, frames, "text/event-stream", headers, chunked=True, ping=b": keepalive\n\n", failing=_failing)


def _failing(error_type: str) -> bytes:
    what = {"message": "The server had an error", "type": error_type, "param": None, "code": None}
    return f"data: {json.dumps({'error': what})}\n\n".encode()


def _call(name: str, call: ToolUse) -> dict[str, Any]:
    arguments = json.dumps(dict(call.args)) if call.raw is None else call.raw
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def tokens_said(asked: Asked, reply: Reply) -> int:
    """The reply's tokens."""
    if reply.output_tokens is not None:
        return reply.output_tokens
    said = len(said_in(reply, asked)) + sum(len(call.raw or json.dumps(dict(call.args))) for call in reply.tool_calls)
    return 0 if asked.endpoint == "embed" else max(1, round(said / _BYTES_A_TOKEN))


def _usage(asked: Asked, reply: Reply) -> dict[str, int]:
    read = tokens_of(asked) if reply.input_tokens is None else reply.input_tokens
    written = tokens_said(asked, reply)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _stop(reply: Reply) -> str | None:
    return None if reply.unended else _STOPS[reply.stop or ("tool_use" if reply.tool_calls else "end_turn")]


def _whole(asked: Asked, reply: Reply, text: str, calls: Sequence[Mapping[str, Any]], number: int) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": text or None,
        "refusal": None,
        **({"tool_calls": calls} if calls else {}),
    }
    choice = {"index": 0, "message": message, "finish_reason": _stop(reply), "logprobs": None}
    return {
        "id": f"chatcmpl-sim{number}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": asked.model,
        "choices": [choice],
        "usage": _usage(asked, reply),
    }


def _chunks(
    asked: Asked, reply: Reply, text: str, calls: Sequence[Mapping[str, Any]], number: int
) -> Iterator[dict[str, Any]]:
    def chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-sim{number}", "object": "chat.completion.chunk", "created": _CREATED,
            "model": asked.model, "choices": choices, **({"usage": usage} if asked.usage else {}),
        }  # fmt: skip

    for delta in ({"role": "assistant", "content": ""}, *_deltas(text, calls)):
        yield chunk([{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}])
    if not reply.unended:
        yield chunk([{"index": 0, "delta": {}, "finish_reason": _stop(reply), "logprobs": None}])
    if asked.usage:
        yield chunk([], _usage(asked, reply))


def _deltas(text: str, calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for at in range(0, len(text), _PIECE):
        yield {"content": text[at : at + _PIECE]}
    for index, call in enumerate(calls):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]}
        for at in range(0, len(function["arguments"]), _PIECE):
            piece = function["arguments"][at : at + _PIECE]
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _embedded(asked: Asked) -> dict[str, Any]:
    rows = [{"object": "embedding", "index": at, "embedding": vector(text)} for at, text in enumerate(asked.texts)]
    read = tokens_of(asked)
    return {
        "object": "list", "data": rows, "model": asked.model, "usage": {"prompt_tokens": read, "total_tokens": read},
    }  # fmt: skip


def failure(fault: Fault, asked: Asked, echo: str) -> Answer:
    """An error of a scenario in the API's words; `echo` is the caller's key."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after}"}
    if fault.name == "context_overflow":
        said = (
            f"This model's maximum context length is {_WINDOW} tokens. However, your messages resulted in"
            f" {_WINDOW + tokens_of(asked)} tokens."
        )
        return error(400, said, code="context_length_exceeded")
    if fault.name == "body_200_error":
        return replace(error(500, "The server had an error"), status=200)
    said = fault.text or f"simulated {fault.code}"
    return error(
        fault.code,
        f"{said}: {echo}" if fault.body == "echo" else said,
        code=fault.error_code,
        headers={**headers, **fault.headers},
    )


def quota_headers(quota: Quota, left: Quota, resets_at: str, resets_in: float) -> dict[str, str]:  # noqa: ARG001 - in one of two ways
    """What is left of a minute's quota, as the API tells it; it knows tokens of one kind."""
    minutes, seconds = divmod(resets_in, _MINUTE)
    told = {"requests": (quota.requests, left.requests), "tokens": (quota.input_tokens, left.input_tokens)}
    headers = {}
    for name, (limit, remaining) in told.items():
        if limit is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(limit)
            headers[f"x-ratelimit-remaining-{name}"] = str(max(0, remaining or 0))
            headers[f"x-ratelimit-reset-{name}"] = f"{minutes:.0f}m{seconds:.3f}s"
    return headers
