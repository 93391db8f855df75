"""Anthropic's protocol: what its API refuses, and how a message goes out, whole or as a stream of events.

The shapes are those of the vendor's own client (`anthropic.types`) and of its API reference on errors and streaming.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any
from urllib.parse import unquote

from darumad.sim.ending import stops_in
from darumad.sim.prefix import marked
from darumad.sim.scenario import ASKING, LOOK_UP, Asked, Fault, Quota, Reply, alias_free
from darumad.sim.schema import said_in
from darumad.sim.wire import Answer, Request, json_answer, read_json

BUSY = "Overloaded"
NOT_TAKEN = "API key is invalid."
MODELS: Sequence[str] = (
    "claude-fable-5-2", "claude-mythos-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5",
    "claude-fable-5-1", "claude-opus-5", "claude-sonnet-5", "claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5",
)  # fmt: skip
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NO_CHOICE = ("claude-opus-5-5", "claude-fable-5-1")
_LEADS_WITH_THINKING = re.compile(r"claude-(\w+-5-5|fable-5-1)")
_WINDOW = 1_000_000
_LONGEST = 128_000
"""Tokens that an answer may have."""
_WINDOWS: Mapping[str, int] = {"claude-haiku-4-5": 200_000}
COUNTING = "count_tokens"
ENDPOINTS: Mapping[str, Sequence[str]] = {"messages": [ASKING], COUNTING: [ASKING], LOOK_UP: ["GET"]}
_LARGEST = 32 * 1024 * 1024 - 1
_ERRORS: Mapping[int, str] = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
    500: "api_error", 503: "api_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_BYTES_A_TOKEN = 3.2
_DELTA = 24


def error(
    status: int, message: str, *, error_code: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """An error as the API words it."""
    what: dict[str, Any] = {"type": _ERRORS.get(status, "api_error"), "message": message}
    if error_code is not None:
        what["details"] = {"error_code": error_code}
    body = {"type": "error", "error": what, "request_id": "req_sim"}
    return json_answer(status, body, {"request-id": "req_sim", **(headers or {})})


def without_model(request: Request, models: Sequence[str]) -> Answer | None:
    """What is answered without asking a model: refusals, and the list of models; None for a message in order."""
    barred = _barred(request)
    if barred is not None:
        return barred
    match request.method, request.path.split("/")[1:]:
        case "POST", ["v1", "messages"]:
            return _refusal(request, models)
        case "POST", ["v1", "messages", "count_tokens"]:
            return _refusal(request, models, counting=True)
        case "GET", ["v1", "models"]:
            ends = {"first_id": models[0], "last_id": models[-1]} if models else {}
            return json_answer(200, {"data": [_model(each) for each in models], "has_more": False, **ends})
        case "GET", ["v1", "models", name]:
            known = unquote(name) in models
            return json_answer(200, _model(unquote(name))) if known else error(404, f"model: {unquote(name)}")
        case _:
            return error(404, "Not found")


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model", "id": name, "display_name": name, "created_at": "2026-10-21T00:00:00Z", "lifecycle": "active",
        "max_input_tokens": _WINDOWS.get(name, _WINDOW), "max_tokens": _LONGEST,
    }  # fmt: skip


def _barred(request: Request) -> Answer | None:
    if not (request.headers.get("authorization", "").startswith("Bearer ") or request.headers.get("x-api-key")):
        return error(401, NOT_TAKEN)
    if request.headers.get("anthropic-version") not in _VERSIONS:
        return error(400, "anthropic-version: header is required")
    return None


def _refusal(request: Request, models: Sequence[str], *, counting: bool = False) -> Answer | None:
    try:
        body = read_json(request.body)
    except ValueError:
        return error(400, "The request body is not valid JSON")
    if not isinstance(body, dict):
        return error(400, "The request body is not an object")
    if len(request.body) > _LARGEST:
        return error(413, "Request exceeds the maximum size")
    asked = {"max_tokens": 1, **body} if counting else body
    too_long = () if counting else _too_long(request, body)
    wrong = next(chain(_wrong(asked, request.headers["anthropic-version"]), too_long), None)
    return _unknown(body["model"], models) if wrong is None else error(400, wrong)


def _unknown(model: str, models: Sequence[str]) -> Answer | None:
    return None if alias_free(model) in models else error(404, f"model: {model}")


def _too_long(request: Request, body: Mapping[str, Any]) -> Iterator[str]:
    window = _WINDOWS.get(alias_free(body["model"]), _WINDOW)
    if len(request.body) < window:
        return  # a token is at least a byte
    read = tokens_of(asked("", "", request.path, body))
    if read > window:
        yield f"prompt is too long: {read} tokens > {window} maximum"


def _wrong(body: Mapping[str, Any], version: str) -> Iterator[str]:
    if not isinstance(body.get("model"), str):
        yield "model: Field required"
    if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    elif body["max_tokens"] > _LONGEST:
        yield (
            f"max_tokens: {body['max_tokens']} > {_LONGEST}, which is the maximum allowed number of output tokens for"
            f" {body.get('model')}"
        )
    if "thread" in body:
        yield "thread: Extra inputs are not permitted"
    if version != "2023-06-01":
        yield from (
            f"{each}: Extra inputs are not permitted" for each in ("temperature", "top_p", "top_k") if each in body
        )
    yield from _wrong_tools(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
    else:
        yield from _wrong_messages(messages)


def _wrong_tools(body: Mapping[str, Any]) -> Iterator[str]:
    for number, tool in enumerate(body.get("tools") or ()):
        if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
            yield f"tools.{number}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if tool.get("input_schema", {}).get("type") != "object":
            yield f"tools.{number}.input_schema.type: Input should be 'object'"
    forced = (body.get("tool_choice") or {}).get("type") in {"any", "tool"}
    always_thinks = str(body.get("model")).startswith(_NO_CHOICE)
    if forced and always_thinks:
        yield "tool_choice: forced tool use is not supported for this model"
    thinking = (body.get("thinking") or {}).get("type")
    if thinking in {"enabled", "disabled"} and always_thinks:
        yield (
            f'"thinking.type.{thinking}" is not supported for this model. Use "thinking.type.adaptive" and'
            ' "output_config.effort" to control thinking behavior.'
        )


def _wrong_messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        blocks = _blocks(message)
        if message.get("role") not in {"user", "assistant"}:
            yield f"messages.{number}.role: Input should be 'user' or 'assistant'"
        if any(block.get("type") == "text" and not block.get("text") for block in blocks):
            yield f"messages.{number}: text content blocks must be non-empty"
        answered = {block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"}
        if missing := open_calls - answered:
            yield _unanswered(number - 1, missing)
        if unknown := answered - open_calls:
            yield from (
                f"messages.{number}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in the"
                " previous message."
                for at, block in enumerate(blocks)
                if block.get("tool_use_id") in unknown
            )
        open_calls = {block["id"] for block in blocks if block.get("type") == "tool_use"}
    if open_calls:
        yield _unanswered(len(messages) - 1, open_calls)


def _unanswered(number: int, calls: Iterable[str]) -> str:
    return (
        f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after:"
        f" {', '.join(sorted(calls))}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
        " message."
    )


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def asked(listener: str, key: str, path: str, body: Mapping[str, Any]) -> Asked:
    """The request in shared words."""
    messages, counting = body["messages"], path.endswith(COUNTING)
    system = body.get("system") or ""
    form = (body.get("output_config") or {}).get("format") or {}
    last = _blocks(messages[-1])
    return Asked(
        listener=listener,
        endpoint=COUNTING if counting else "messages",
        key=key,
        model=body["model"],
        system=system if isinstance(system, str) else " ".join(str(each.get("text", "")) for each in system),
        prompt="\n".join(_text(block) for message in messages for block in _blocks(message)),
        tools=tuple(str(tool["name"]) for tool in body.get("tools") or ()),
        last_role="tool" if any(each.get("type") == "tool_result" for each in last) else messages[-1]["role"],
        stream=bool(body.get("stream")),
        schema=form.get("schema"),
        max_tokens=0 if counting else body["max_tokens"],
        prefixes=() if counting else marked(body, _tokens),
        metered=not counting,
        stops=stops_in(body.get("stop_sequences")),
    )


def _text(block: Mapping[str, Any]) -> str:
    content = block.get("content", "")
    return str(block.get("text") or (content if isinstance(content, str) else json.dumps(content)))


def answer(asked: Asked, reply: Reply, number: int) -> Answer:
    """The reply as the API sends it; to who has a prompt counted, its tokens."""
    if asked.endpoint == COUNTING:
        return json_answer(200, {"input_tokens": _read(asked, reply)}, {"request-id": f"req_sim{number}"})
    message = _message(asked, reply, number)
    headers = {"request-id": f"req_sim{number}", "anthropic-organization-id": "org_sim"}
    if not asked.stream:
        return json_answer(200, message, headers)
    frames = tuple(_frame(event) for event in _events(message, reply))
    return Answer(200, frames, "text/event-stream", headers, chunked=True, ping=PING, failing=_failing)


def _failing(error_type: str) -> bytes:
    return _frame({"type": "error", "error": {"type": error_type, "message": "Overloaded"}})


def tokens_said(asked: Asked, reply: Reply) -> int:
    """The reply's tokens."""
    if reply.output_tokens is not None or not asked.metered:
        return reply.output_tokens or 0
    return _tokens(sum(len(json.dumps(block)) for block in _content(asked, reply, 0)))


def _message(asked: Asked, reply: Reply, number: int) -> dict[str, Any]:
    content = _content(asked, reply, number)
    return {
        "id": f"msg_sim{number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": None if reply.unended else reply.stop or ("tool_use" if reply.tool_calls else "end_turn"),
        "stop_sequence": reply.stopped_by,
        "stop_details": _refused(reply.category) if reply.stop == "refusal" else None,
        "usage": {
            "input_tokens": max(0, _read(asked, reply) - asked.cached - asked.kept),
            "output_tokens": tokens_said(asked, reply),
            "cache_creation_input_tokens": asked.kept,
            "cache_read_input_tokens": asked.cached,
            "service_tier": "standard",
        },
    }


def _read(asked: Asked, reply: Reply) -> int:
    return tokens_of(asked) if reply.input_tokens is None else reply.input_tokens


def _refused(category: str | None) -> dict[str, Any]:
    return {"type": "refusal", "category": category, "explanation": "The model declined."}


def _content(asked: Asked, reply: Reply, number: int) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    leads = bool(_LEADS_WITH_THINKING.match(asked.model))
    if reply.thinking is not None or leads:
        content.append({"type": "thinking", "thinking": reply.thinking or "", "signature": f"sig{number}"})
    if text := said_in(reply, asked):
        content.append({"type": "text", "text": text})
    for at, call in enumerate(reply.tool_calls):
        name = call.id or f"toolu_sim{number}_{at}"
        given = dict(call.args) if call.raw is None else _as_json(call.raw)
        content.append({"type": "tool_use", "id": name, "name": call.name, "input": given})
    return content


def _as_json(raw: str) -> Any:
    """Broken arguments inside a whole message: a value that is no object."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def tokens_of(asked: Asked) -> int:
    """The prompt's tokens, as this simulator counts them."""
    return _tokens(len(asked.prompt) + len(asked.system))


def _tokens(characters: int) -> int:
    return max(1, round(characters / _BYTES_A_TOKEN))


def _events(message: Mapping[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    ended = {each: message[each] for each in ("stop_reason", "stop_sequence", "stop_details")}
    begun = {**message, "content": [], **dict.fromkeys(ended), "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    raws = [call.raw for call in reply.tool_calls]
    for index, block in enumerate(message["content"]):
        raw = raws.pop(0) if block["type"] == "tool_use" else None
        empty, deltas = _deltas(block, raw)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "ping"}
        yield from ({"type": "content_block_delta", "index": index, "delta": each} for each in deltas)
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": ended,
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    if not reply.unended:
        yield {"type": "message_stop"}


def _deltas(block: Mapping[str, Any], raw: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block without its content, and the content in pieces."""
    match block["type"]:
        case "thinking":
            said = [{"type": "thinking_delta", "thinking": each} for each in _cut(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*said, signed]
        case "tool_use":
            arguments = json.dumps(block["input"]) if raw is None else raw
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": each} for each in _cut(arguments)
            ]
        case _:
            return {**block, "text": ""}, [{"type": "text_delta", "text": each} for each in _cut(block["text"])]


def _cut(text: str) -> list[str]:
    return [text[at : at + _DELTA] for at in range(0, len(text), _DELTA)]


def _frame(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def failure(fault: Fault, asked: Asked, echo: str) -> Answer:
    """An error of a scenario in the API's words; `echo` is the caller's key."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after}"}
    if fault.name == "context_overflow":
        return error(400, f"prompt is too long: {_WINDOW + tokens_of(asked)} tokens > {_WINDOW} maximum")
    if fault.name == "body_200_error":
        return replace(error(529, "Overloaded"), status=200)
    said = fault.text or f"simulated {fault.code}"
    return error(
        fault.code,
        f"{said}: {echo}" if fault.body == "echo" else said,
        error_code=fault.error_code,
        headers={**headers, **fault.headers},
    )


def quota_headers(quota: Quota, left: Quota, resets_at: str, resets_in: float) -> dict[str, str]:  # noqa: ARG001 - in one of two ways
    """What is left of a minute's quota, as the API tells it."""
    told = {
        "requests": (quota.requests, left.requests),
        "input-tokens": (quota.input_tokens, left.input_tokens),
        "output-tokens": (quota.output_tokens, left.output_tokens),
    }
    headers = {}
    for name, (limit, remaining) in told.items():
        if limit is not None:
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, remaining or 0))
            headers[f"anthropic-ratelimit-{name}-reset"] = resets_at
    return headers
