"""Anthropic's protocol: what its API refuses, and how a message goes out, whole or as a stream of events."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darumad.sim.scenario import Asked, Fault, Reply
from darumad.sim.schema import value_for
from darumad.sim.wire import Answer, Request, json_answer

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NO_CHOICE = ("claude-opus-5-5", "claude-fable-5-1")
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


def refusal(request: Request) -> Answer | None:
    """What the API refuses before any model is asked; None for a request in order."""
    if not (request.headers.get("authorization", "").startswith("Bearer ") or request.headers.get("x-api-key")):
        return error(401, "API key is invalid.")
    if request.headers.get("anthropic-version") not in _VERSIONS:
        return error(400, "anthropic-version: header is required")
    try:
        body = json.loads(request.body)
    except ValueError:
        return error(400, "The request body is not valid JSON")
    wrong = (
        next(_wrong(body, request.headers["anthropic-version"]), None) if isinstance(body, dict) else "not an object"
    )
    return error(400, wrong) if wrong is not None else None


def _wrong(body: Mapping[str, Any], version: str) -> Iterator[str]:
    if not isinstance(body.get("model"), str):
        yield "model: Field required"
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
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
    if forced and str(body.get("model")).startswith(_NO_CHOICE):
        yield "tool_choice: forced tool use is not supported for this model"


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
            yield (
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after:"
                f" {', '.join(sorted(missing))}. Each `tool_use` block must have a corresponding `tool_result` block"
                " in the next message."
            )
        if unknown := answered - open_calls:
            yield f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(unknown)}."
        open_calls = {block["id"] for block in blocks if block.get("type") == "tool_use"}


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def asked(listener: str, key: str, body: Mapping[str, Any]) -> Asked:
    """The request in shared words."""
    messages = body["messages"]
    system = body.get("system") or ""
    form = (body.get("output_config") or {}).get("format") or {}
    last = _blocks(messages[-1])
    return Asked(
        listener=listener,
        endpoint="messages",
        key=key,
        model=body["model"],
        system=system if isinstance(system, str) else " ".join(str(each.get("text", "")) for each in system),
        prompt="\n".join(_text(block) for message in messages for block in _blocks(message)),
        tools=tuple(str(tool["name"]) for tool in body.get("tools") or ()),
        last_role="tool" if any(each.get("type") == "tool_result" for each in last) else messages[-1]["role"],
        stream=bool(body.get("stream")),
        schema=form.get("schema"),
        max_tokens=body["max_tokens"],
    )


def _text(block: Mapping[str, Any]) -> str:
    content = block.get("content", "")
    return str(block.get("text") or (content if isinstance(content, str) else json.dumps(content)))


def answer(asked: Asked, reply: Reply, number: int) -> Answer:
    """The reply as the API sends it."""
    message = _message(asked, reply, number)
    headers = {"request-id": f"req_sim{number}"}
    if not asked.stream:
        return json_answer(200, message, headers)
    frames = tuple(_frame(event) for event in _events(message, reply))
    return Answer(200, frames, "text/event-stream", headers, chunked=True)


def _message(asked: Asked, reply: Reply, number: int) -> dict[str, Any]:
    content = _content(asked, reply, number)
    said = sum(len(json.dumps(block)) for block in content)
    read = reply.input_tokens if reply.input_tokens is not None else _tokens(len(asked.prompt) + len(asked.system))
    return {
        "id": f"msg_sim{number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": reply.stop or ("tool_use" if reply.tool_calls else "end_turn"),
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": read,
            "output_tokens": reply.output_tokens if reply.output_tokens is not None else _tokens(said),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    }


def _content(asked: Asked, reply: Reply, number: int) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if reply.thinking is not None:
        content.append({"type": "thinking", "thinking": reply.thinking, "signature": f"sig{number}"})
    text = reply.text or (json.dumps(value_for(asked.schema)) if asked.schema and not reply.tool_calls else "")
    if text:
        content.append({"type": "text", "text": text})
    for at, call in enumerate(reply.tool_calls):
        content.append(
            {"type": "tool_use", "id": f"toolu_sim{number}_{at}", "name": call.name, "input": dict(call.args)}
        )
    return content


def _tokens(characters: int) -> int:
    return max(1, round(characters / _BYTES_A_TOKEN))


def _events(message: Mapping[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
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
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": {"output_tokens": usage["output_tokens"]},
    }
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


def status_answer(fault: Fault, echo: str) -> Answer:
    """An HTTP error of a scenario. With `body: echo` the message repeats what came in: `echo`."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    said = f"simulated {fault.code}{': ' + echo if fault.body == 'echo' else ''}"
    return error(fault.code, said, error_code=fault.error_code, headers=headers)
