"""Ollama's protocol: chats as lines of JSON, streamed unless asked otherwise, and the models that are there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darumad.sim.scenario import Asked, Fault, Reply
from darumad.sim.schema import value_for
from darumad.sim.wire import Answer, Request, json_answer

_AT = "2026-11-21T00:00:00Z"
_BYTES_A_TOKEN = 3.2
_PIECE = 24
_NANO = 1_000_000


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as Ollama words it."""
    return json_answer(status, {"error": message}, headers)


def refusal(request: Request, models: Sequence[str]) -> Answer | None:
    """What Ollama refuses before a model is asked; None for a request in order."""
    if not request.body:
        return error(400, "missing request body")
    try:
        body = json.loads(request.body)
    except ValueError:
        return error(400, "invalid JSON")
    if not isinstance(body, dict) or not body.get("model"):
        return error(400, "model is required")
    if models and body["model"].partition("@")[0] not in models:
        return error(404, f"model '{body['model']}' not found")
    return None


def tags(models: Sequence[str]) -> Answer:
    """The models that are there."""
    return json_answer(200, {"models": [{"name": name, "model": name, "size": 0, "digest": ""} for name in models]})


def asked(listener: str, key: str, body: Mapping[str, Any]) -> Asked:
    """The request in shared words."""
    messages = body.get("messages") or [{"role": "user", "content": ""}]
    form = body.get("format")
    return Asked(
        listener=listener,
        endpoint="chat",
        key=key,
        model=body["model"],
        system="\n".join(str(each.get("content", "")) for each in messages if each.get("role") == "system"),
        prompt="\n".join(str(each.get("content", "")) for each in messages if each.get("role") != "system"),
        tools=tuple(str(each["function"]["name"]) for each in body.get("tools") or ()),
        last_role=str(messages[-1].get("role")),
        stream=bool(body.get("stream", True)),
        schema=form if isinstance(form, dict) else None,
        max_tokens=int((body.get("options") or {}).get("num_predict", 0)),
    )


def answer(asked: Asked, reply: Reply, number: int) -> Answer:
    """The reply as Ollama sends it."""
    text = reply.text or (json.dumps(value_for(asked.schema)) if asked.schema and not reply.tool_calls else "")
    calls = [
        {"id": f"sim{number}_{at}", "function": {"index": at, "name": call.name, "arguments": dict(call.args)}}
        for at, call in enumerate(reply.tool_calls)
    ]
    if not asked.stream:
        return json_answer(200, _last(asked, reply, text, {"content": text, "tool_calls": calls}))
    lines = [*_pieces(asked, text, calls), _last(asked, reply, text, {"content": ""})]
    frames = tuple(json.dumps(line).encode() + b"\n" for line in lines)
    return Answer(200, frames, "application/x-ndjson", chunked=True)


def _pieces(asked: Asked, text: str, calls: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for at in range(0, len(text), _PIECE):
        yield _chunk(asked, {"content": text[at : at + _PIECE]})
    if calls:
        yield _chunk(asked, {"content": "", "tool_calls": calls})


def _chunk(asked: Asked, message: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": asked.model, "created_at": _AT, "message": {"role": "assistant", **message}, "done": False}


def _last(asked: Asked, reply: Reply, text: str, message: Mapping[str, Any]) -> dict[str, Any]:
    read = round((len(asked.prompt) + len(asked.system)) / _BYTES_A_TOKEN)
    written = max(1, round(len(text) / _BYTES_A_TOKEN))
    return {
        **_chunk(asked, message),
        "done": True,
        "done_reason": reply.stop or "stop",
        "total_duration": _NANO,
        "load_duration": _NANO,
        "prompt_eval_count": max(1, read) if reply.input_tokens is None else reply.input_tokens,
        "prompt_eval_duration": _NANO,
        "eval_count": written if reply.output_tokens is None else reply.output_tokens,
        "eval_duration": _NANO,
    }


def status_answer(fault: Fault, echo: str) -> Answer:
    """An HTTP error of a scenario. With `body: echo` the message repeats what came in: `echo`."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    return error(fault.code, f"simulated {fault.code}{': ' + echo if fault.body == 'echo' else ''}", headers)
