"""OpenAI's chat completions as JSON: our request into theirs, their chunks into our reply. No client, no socket."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from darumad.agents.providers.classify import AttemptFailed, of_error_event
from darumad.agents.providers.counted import count_of, usage_of
from darumad.agents.providers.prices import Price
from darumad.agents.providers.reply import Stop, call_of, checked, reads, stop_of, text_of, vectors_of
from darumad.work.model import Embeddings, Message, ModelReply, ModelRequest
from darumad.work.result import Usage

_STOPS: Mapping[str, Stop] = {
    "stop": "end",
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "max_tokens",
    "content_filter": "refusal",
    "eos": "end",  # Together
    "eos_token": "end",  # TGI, as is the next
    "stop_sequence": "end",
    "end": "end",
    "end_turn": "end",  # who hands on what Anthropic says, as are the next
    "tool_use": "tools",
    "max_tokens": "max_tokens",  # Gemini's word as well
    "refusal": "refusal",
    "model_length": "max_tokens",  # Mistral
    "safety": "refusal",  # who hands on what Gemini says, as are the next
    "recitation": "refusal",
    "blocklist": "refusal",
    "prohibited_content": "refusal",
    "spii": "refusal",
}
"""The ends that an answer has: in OpenAI's words, and behind them in those of others."""
_BROKEN_OFF: Mapping[str, str] = {
    "insufficient_system_resource": "overloaded",  # DeepSeek
    "error": "server_error",  # Mistral, OpenRouter
    "abort": "server_error",  # vLLM, SGLang
    "function_call_filter": "bad_tool_args",  # Gemini
}
"""Ends that are none: the kind of failure that each of them is."""


def body_of(model: str, request: ModelRequest, *, stream: bool, theirs: bool) -> dict[str, Any]:
    """The body of `/chat/completions`. `theirs` says that OpenAI itself is asked: others know only older names."""
    body: dict[str, Any] = {
        "model": model,
        "messages": list(_turns(request)),
        "max_completion_tokens" if theirs else "max_tokens": request.max_tokens,
        "stream": stream,
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.says, "parameters": dict(tool.schema)},
            }
            for tool in request.tools
        ]
    if request.output_schema is not None:
        form = {"name": "answer", "schema": dict(request.output_schema), "strict": False}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def _turns(request: ModelRequest) -> Iterator[dict[str, Any]]:
    if request.system:
        yield {"role": "system", "content": request.system}
    for message in request.messages:
        yield _turn(message)


def _turn(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    turn: dict[str, Any] = {"role": message.role, "content": message.text or None}
    if message.calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(dict(call.arguments)).decode()},
            }
            for call in message.calls
        ]
    elif not message.text:
        turn["content"] = ""
    return turn


@dataclass(slots=True)
class _Call:
    """A tool call as its pieces come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Assembly:
    """A completion as its chunks come: `add` each of them, or take the `whole`; then its `reply`."""

    def __init__(self, price: Price | None) -> None:
        self._price = price
        self._model = ""
        self._text: list[str] = []
        self._calls: list[_Call] = []
        self._latest: dict[int, _Call] = {}
        self._usage: Mapping[str, Any] = {}
        self._stop: str | None = None
        self._refused = False
        self._seen = False

    @reads
    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take one chunk.

        Raises:
            AttemptFailed: it tells of an error, or has no shape that a chunk has.
        """
        if chunk.get("error"):
            raise of_error_event(chunk)
        self._take(chunk, "delta")

    @reads
    def whole(self, completion: Mapping[str, Any]) -> None:
        """Take a completion that came in one piece.

        Raises:
            AttemptFailed: it has no shape that a completion has.
        """
        if not completion.get("choices"):
            raise AttemptFailed("malformed_response", "the completion has the wrong shape")
        self._take(completion, "message")

    def _take(self, answer: Mapping[str, Any], part: str) -> None:
        self._seen = True
        self._model = str(answer.get("model") or self._model)
        self._usage = answer.get("usage") or self._usage
        for choice in answer["choices"][:1]:  # one was asked for
            self._said(choice.get(part) or {})
            self._stop = choice.get("finish_reason") or self._stop

    def _said(self, part: Mapping[str, Any]) -> None:
        self._text.append(part.get("content") or "")
        self._refused = self._refused or bool(part.get("refusal"))
        for at, piece in enumerate(part.get("tool_calls") or ()):
            function = piece.get("function") or {}
            call = self._call(piece.get("index", at), piece.get("id") or "", function.get("name") or "")
            call.arguments.append(function.get("arguments") or "")

    def _call(self, at: int, id_: str, function: str) -> _Call:
        """The call that a piece at this index is of. Another id with a function begins one: some count no index up."""
        call = self._latest.get(at)
        if call is None or (id_ and function and call.id not in {"", id_}):
            call = self._latest[at] = _Call()
            self._calls.append(call)
        call.id, call.name = id_ or call.id, function or call.name
        return call

    @reads
    def reply(self) -> ModelReply:
        """The completion.

        Raises:
            AttemptFailed: it has no end, or is none: `truncated_stream`, `bad_tool_args`, `empty_output`, ...
        """
        if not self._seen:
            raise AttemptFailed("malformed_response", "the stream was empty")
        if self._stop is None:
            raise AttemptFailed("truncated_stream", "the stream ended before the answer did")
        usage = self._used()
        calls = (call_of(each.id, each.name, text_of(each.arguments), usage) for each in self._calls)
        stop = _stop_of(self._stop, usage)
        return checked(
            ModelReply(
                text=text_of(self._text),
                calls=(asked := tuple(calls)),
                model=self._model,
                stop="refusal" if self._refused else "tools" if asked and stop == "end" else stop,
                usage=usage,
            )
        )

    def _used(self) -> Usage:
        """What it used; cached tokens are told as a part of those that were read."""
        details = self._usage.get("prompt_tokens_details") or {}
        read, output = count_of(self._usage.get("prompt_tokens")), count_of(self._usage.get("completion_tokens"))
        cached = min(count_of(details.get("cached_tokens")) or 0, read or 0)
        return usage_of(self._price, fresh=None if read is None else read - cached, cached=cached, output=output)


def _stop_of(reason: str, usage: Usage) -> Stop:
    """The end that a server's words stand for. Gemini says more behind a colon, and some hand on words in capitals."""
    word = reason.partition(":")[0].lower()
    if word in _BROKEN_OFF:
        raise AttemptFailed(_BROKEN_OFF[word], f"the server broke the answer off: {word}", usage=usage)
    return stop_of(word, _STOPS, usage)


@reads
def embeddings_of(answer: Mapping[str, Any], texts: Sequence[str], price: Price | None) -> Embeddings:
    """The vectors in an answer of `/embeddings`.

    Raises:
        AttemptFailed: `malformed_response`.
    """
    rows = sorted(answer["data"], key=lambda each: int(each["index"]))
    vectors = vectors_of([each["embedding"] for each in rows], texts)
    usage = usage_of(price, fresh=count_of((answer.get("usage") or {}).get("prompt_tokens")), output=0)
    return Embeddings(vectors=vectors, model=str(answer.get("model", "")), usage=usage)
