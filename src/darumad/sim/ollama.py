"""Ollama's protocol: chats as lines of JSON, streamed unless asked otherwise, embeddings, and the models there are.

The shapes are those of the server's `api/types.go`, its words those of `server/routes.go`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from darumad.sim.embedding import vector
from darumad.sim.ending import stops_in
from darumad.sim.scenario import ASKING, LOOK_UP, Asked, Fault, Quota, Reply, ToolUse, alias_free
from darumad.sim.schema import said_in
from darumad.sim.wire import Answer, Request, json_answer, read_json

_AT = "2026-11-21T00:00:00Z"
_BYTES_A_TOKEN = 3.2
_PIECE = 24
_UNSAID = re.compile(r"^(registry\.ollama\.ai/)?(library/)?", re.IGNORECASE)
_NANO = 1_000_000
_TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; increase the context length or"
    " shorten the prompt"
)
MODELS: Sequence[str] = ("llama3.2",)
ENDPOINTS: Mapping[str, Sequence[str]] = {
    "chat": [ASKING], "generate": [ASKING], "embed": [ASKING], "embeddings": [ASKING],
    LOOK_UP: ["GET", "HEAD", "POST", "DELETE"],
}  # fmt: skip
_SHOWN: Mapping[str, Any] = {
    "details": {"format": "gguf", "family": "llama"},
    "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
    "capabilities": ["completion", "tools"],
}
BUSY = "server busy, please try again.  maximum pending requests exceeded"
NOT_TAKEN = "unauthorized"
_EMBEDDING = frozenset({"embed", "embeddings"})
"""The older of the two takes one text and says its vector and nothing else."""
_ASKING = frozenset({"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"})


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as Ollama words it."""
    return json_answer(status, {"error": message}, headers)


def without_model(request: Request, models: Sequence[str]) -> Answer | None:
    """What is answered without asking a model: refusals, and the models there are; None for a request in order."""
    if request.method == "POST" and request.path in _ASKING:
        return _refusal(request, models)
    about = _ABOUT.get((request.method, request.path))
    if about is not None:
        return _refusal(request, models) or about(request)
    return _looked_up(request, models) or error(404, "404 page not found")


def _looked_up(request: Request, models: Sequence[str]) -> Answer | None:
    match request.method, request.path:
        case "GET", "/api/tags":
            return json_answer(200, {"models": [_model(name) for name in models]})
        case "GET", "/api/ps":
            return json_answer(200, {"models": []})
        case "GET", "/api/version":
            return json_answer(200, {"version": "0.0.0-sim"})
        case "GET", "/":
            return Answer(200, (b"Ollama is running",), "text/plain")
        case "HEAD", "/":
            return Answer(200, (b"",), "text/plain")
        case _:
            return None


def _pulled(request: Request) -> Answer:
    if json.loads(request.body).get("stream") is False:
        return json_answer(200, {"status": "success"})
    lines = tuple(
        b'{"status": "%s"}\n' % each for each in (b"pulling manifest", b"verifying sha256 digest", b"success")
    )
    return Answer(200, lines, "application/x-ndjson", chunked=True)


_ABOUT: Mapping[tuple[str, str], Callable[[Request], Answer]] = {
    ("POST", "/api/show"): lambda _: json_answer(200, _SHOWN),
    ("POST", "/api/pull"): _pulled,
    ("DELETE", "/api/delete"): lambda _: Answer(200, (b"",)),
}
"""What is answered about a model that is there. It is there before and after."""


def _model(name: str) -> dict[str, Any]:
    return {"name": _listed(name), "model": _listed(name), "size": 0, "digest": ""}


def _listed(name: str) -> str:
    """A model's name as the server lists it: with its tag, and without the host and the namespace of most.

    Source: `DisplayShortest` in the server's `types/model/name.go`.
    """
    short = _UNSAID.sub("", name)
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def _has(models: Sequence[str], name: str) -> bool:
    """Whether one of `models` is called so; small and large letters are the same there."""
    return _listed(name).lower() in {_listed(each).lower() for each in models}


def _refusal(request: Request, models: Sequence[str]) -> Answer | None:
    if not request.body:
        return error(400, "missing request body")
    try:
        body = read_json(request.body)
    except ValueError:
        return error(400, "invalid JSON")
    if not isinstance(body, dict) or not body.get("model"):
        return error(400, "model is required")
    if not _has(models, alias_free(str(body["model"]))):
        return error(404, f"model '{body['model']}' not found")
    return None


def asked(listener: str, key: str, path: str, body: Mapping[str, Any]) -> Asked:
    """The request in shared words."""
    if path.startswith("/api/embed"):
        given = body.get("input", body.get("prompt", ""))
        texts = (given,) if isinstance(given, str) else tuple(str(each) for each in given)
        return Asked(
            listener=listener,
            endpoint=path.rpartition("/")[2],
            key=key,
            model=body["model"],
            prompt="\n".join(texts),
            texts=texts,
        )
    messages = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
    form, options = body.get("format"), body.get("options") or {}
    return Asked(
        listener=listener,
        endpoint="generate" if path == "/api/generate" else "chat",
        key=key,
        model=body["model"],
        system="\n".join(str(each.get("content", "")) for each in messages if each.get("role") == "system"),
        prompt="\n".join(str(each.get("content", "")) for each in messages if each.get("role") != "system"),
        tools=tuple(str(each["function"]["name"]) for each in body.get("tools") or ()),
        last_role=str(messages[-1].get("role")),
        stream=bool(body.get("stream", True)),
        schema=form if isinstance(form, dict) else None,
        max_tokens=max(0, int(options.get("num_predict", 0))),
        stops=stops_in(options.get("stop")),
        num_ctx=None if options.get("num_ctx") is None else int(options["num_ctx"]),
    )


def answer(asked: Asked, reply: Reply, number: int) -> Answer:
    """The reply as Ollama sends it."""
    if asked.endpoint in _EMBEDDING:
        vectors = [vector(text) for text in asked.texts]
        if asked.endpoint == "embeddings":
            return json_answer(200, {"embedding": vectors[0]})
        return json_answer(200, {"model": asked.model, "embeddings": vectors, "prompt_eval_count": tokens_of(asked)})
    text = said_in(reply, asked)
    calls = [_call(f"sim{number}_{at}", at, call) for at, call in enumerate(reply.tool_calls)]
    thinking = {"thinking": reply.thinking} if reply.thinking else {}
    if not asked.stream:
        message = {"content": text, **thinking, **({"tool_calls": calls} if calls else {})}
        return json_answer(200, _last(asked, reply, message))
    lines = [*_pieces(asked, text, calls, thinking), _last(asked, reply, {"content": ""})]
    frames = tuple(json.dumps(line).encode() + b"\n" for line in lines)
    return Answer(200, frames, "application/x-ndjson", chunked=True, ping=b"\n", failing=_failing)


def _failing(_: str) -> bytes:
    return json.dumps({"error": "an error was encountered while running the model"}).encode() + b"\n"


def _call(name: str, at: int, call: ToolUse) -> dict[str, Any]:
    """A call with its arguments as a value: what is no JSON at all cannot be said here, so it is a text."""
    arguments: Any = dict(call.args)
    if call.raw is not None:
        try:
            arguments = json.loads(call.raw)
        except ValueError:
            arguments = call.raw
    return {"id": name, "function": {"index": at, "name": call.name, "arguments": arguments}}


def _pieces(
    asked: Asked, text: str, calls: Sequence[Mapping[str, Any]], thinking: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    if thinking:
        yield _chunk(asked, {"content": "", **thinking})
    for at in range(0, len(text), _PIECE):
        yield _chunk(asked, {"content": text[at : at + _PIECE]})
    if calls:
        yield _chunk(asked, {"content": "", "tool_calls": calls})


def _chunk(asked: Asked, message: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"message": {"role": "assistant", **message}}
    if asked.endpoint == "generate":
        said = {"response": message["content"]}
    return {"model": asked.model, "created_at": _AT, **said, "done": False}


def tokens_of(asked: Asked) -> int:
    """The prompt's tokens, as this simulator counts them."""
    return max(1, round((len(asked.prompt) + len(asked.system)) / _BYTES_A_TOKEN))


def tokens_said(asked: Asked, reply: Reply) -> int:
    """The reply's tokens."""
    if reply.output_tokens is not None:
        return reply.output_tokens
    said = len(said_in(reply, asked)) + sum(len(json.dumps(dict(call.args))) for call in reply.tool_calls)
    return 0 if asked.endpoint in _EMBEDDING else max(1, round(said / _BYTES_A_TOKEN))


def _last(asked: Asked, reply: Reply, message: Mapping[str, Any]) -> dict[str, Any]:
    if reply.unended:
        return _chunk(asked, message)
    return {
        **_chunk(asked, message),
        "done": True,
        "done_reason": _STOPS.get(reply.stop or "", reply.stop) or "stop",
        "total_duration": _NANO,
        "load_duration": _NANO,
        "prompt_eval_count": tokens_of(asked) if reply.input_tokens is None else reply.input_tokens,
        "prompt_eval_duration": _NANO,
        "eval_count": tokens_said(asked, reply),
        "eval_duration": _NANO,
    }


_STOPS: Mapping[str, str] = {"max_tokens": "length"} | dict.fromkeys(
    ("end_turn", "stop_sequence", "tool_use", "refusal"), "stop"
)
"""What of the shared words Ollama has a word for."""


def failure(fault: Fault, asked: Asked, echo: str) -> Answer:  # noqa: ARG001 - every vendor's takes what it needs
    """An error of a scenario in Ollama's words; `echo` is the caller's key."""
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after}"}
    if fault.name == "context_overflow":
        return error(400, _TOO_LONG)
    if fault.name == "body_200_error":
        return replace(error(500, "an error was encountered while running the model"), status=200)
    said = fault.text or f"simulated {fault.code}"
    return error(fault.code, f"{said}: {echo}" if fault.body == "echo" else said, {**headers, **fault.headers})


def quota_headers(quota: Quota, left: Quota, resets_at: str, resets_in: float) -> dict[str, str]:  # noqa: ARG001 - it has none
    """Nothing: Ollama tells no quota."""
    return {}
