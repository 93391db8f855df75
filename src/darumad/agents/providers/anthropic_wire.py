"""Anthropic's messages as JSON: our request into theirs, their events into our reply. No client here, no socket."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from darumad.agents.providers.classify import AttemptFailed, of_error_event
from darumad.agents.providers.counted import count_of, usage_of
from darumad.agents.providers.prices import Price
from darumad.agents.providers.reply import Stop, call_of, checked, reads, stop_of, text_of
from darumad.work.model import Message, ModelReply, ModelRequest, ToolCall
from darumad.work.result import Usage

_STOPS: Mapping[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tools",
    "max_tokens": "max_tokens",
    "refusal": "refusal",
}
_OPAQUE = frozenset({"thinking", "redacted_thinking"})
_DELTAS: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("json", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}
"""A delta's type: the field of the block it adds to, and its own field that is added."""


def body_of(model: str, request: ModelRequest) -> dict[str, Any]:
    """The body of `/v1/messages`, but for the output schema."""
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": list(_turns(request.messages, model)),
    }
    if request.system:
        body["system"] = request.system
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.says, "input_schema": dict(tool.schema)} for tool in request.tools
        ]
    return body


def _turns(messages: tuple[Message, ...], model: str) -> Iterator[dict[str, Any]]:
    """Their turns: all results of one round of tools stand in one user turn, right after the calls."""
    for side, turns in groupby(messages, key=lambda each: "assistant" if each.role == "assistant" else "user"):
        content = [block for turn in turns for block in _blocks(turn, model)]
        if content:
            yield {"role": side, "content": content}


def _blocks(message: Message, model: str) -> list[dict[str, Any]]:
    """A turn's blocks. Thinking goes back unchanged to the model that thought it, and to no other."""
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.call_id, "content": message.text or "(no output)"}]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)} for call in message.calls
    ]
    for each in message.opaque:
        if each.get("provider") == "anthropic" and each.get("model") == model:
            blocks.insert(each["at"], dict(each["block"]))
    return blocks


class Assembly:
    """A message as its events come: `add` each of them, then take the `reply`. Complete only when `stopped`.

    `asked` is the model that was asked: its thinking is its own.
    """

    def __init__(self, price: Price | None, asked: str) -> None:
        self._price = price
        self._asked = asked
        self._model = ""
        self._blocks: dict[int, dict[str, Any]] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._seen = False
        self.stopped = False

    @reads
    def add(self, event: Mapping[str, Any]) -> None:
        """Take one event.

        Raises:
            AttemptFailed: it tells of an error, or has no shape that an event has.
        """
        self._seen = True
        self._take(event)

    @reads
    def whole(self, message: Mapping[str, Any]) -> None:
        """Take a message that came in one piece.

        Raises:
            AttemptFailed: it has no shape that a message has.
        """
        self._seen = self.stopped = True
        self._model = str(message["model"])
        self._blocks = {at: {"json": "", **block} for at, block in enumerate(message["content"])}
        self._stop_reason = message["stop_reason"]
        self._used(message.get("usage") or {})

    def _take(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self._model = str(event["message"]["model"])
                self._used({**(event["message"].get("usage") or {}), "output_tokens": None})  # it has only begun
            case "content_block_start":
                self._blocks[event["index"]] = {**event["content_block"], "json": ""}
            case "content_block_delta":
                self._grow(self._blocks[event["index"]], event["delta"])
            case "message_delta":
                self._stop_reason = event["delta"]["stop_reason"]
                self._used(event.get("usage") or {})
            case "message_stop":
                self.stopped = True
            case "error":
                raise of_error_event(event)
            case _:
                return

    @staticmethod
    def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
        if delta["type"] in _DELTAS:
            field, piece = _DELTAS[delta["type"]]
            block[field] = block.get(field, "") + delta[piece]

    def _used(self, usage: Mapping[str, Any]) -> None:
        """The counts are cumulative: the latest of each holds."""
        self._usage.update({name: said for name, said in usage.items() if said is not None})

    @reads
    def reply(self) -> ModelReply:
        """The message.

        Raises:
            AttemptFailed: it has no end, or is none: `truncated_stream`, `bad_tool_args`, `empty_output`, ...
        """
        if not self._seen:
            raise AttemptFailed("malformed_response", "the stream was empty")
        if not self.stopped or self._stop_reason is None:
            raise AttemptFailed("truncated_stream", "the stream ended before the message did")
        return checked(
            ModelReply(
                text=text_of([block.get("text", "") for block in self._ordered("text")]),
                calls=tuple(self._call(block) for block in self._ordered("tool_use")),
                opaque=self._opaque(),
                model=self._model,
                stop=self._stop(),
                usage=self.usage,
            )
        )

    @property
    def usage(self) -> Usage:
        """What the message used, as far as it has been said."""
        return usage_of(
            self._price,
            fresh=count_of(self._usage.get("input_tokens")),
            cached=count_of(self._usage.get("cache_read_input_tokens", 0)),
            written=count_of(self._usage.get("cache_creation_input_tokens", 0)),
            output=count_of(self._usage.get("output_tokens")),
        )

    def _ordered(self, kind: str) -> list[dict[str, Any]]:
        return [block for _, block in sorted(self._blocks.items()) if block.get("type") == kind]

    def _stop(self) -> Stop:
        if self._stop_reason == "model_context_window_exceeded":
            raise AttemptFailed("context_too_long", "the answer ran into the context window", usage=self.usage)
        return stop_of(self._stop_reason, _STOPS, self.usage)

    def _call(self, block: Mapping[str, Any]) -> ToolCall:
        given = block["json"] or block.get("input", {})
        arguments = given if block["json"] or not isinstance(given, str) else None
        return call_of(block.get("id"), block.get("name"), arguments, self.usage)

    def _opaque(self) -> tuple[Mapping[str, Any], ...]:
        """The thinking blocks, each with its place among the blocks that are echoed."""
        kept = [block for _, block in sorted(self._blocks.items()) if block.get("type") in _OPAQUE or _echoed(block)]
        return tuple(
            {
                "provider": "anthropic",
                "model": self._asked,
                "at": at,
                "block": {name: value for name, value in block.items() if name != "json"},
            }
            for at, block in enumerate(kept)
            if block["type"] in _OPAQUE
        )


def _echoed(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "tool_use" or (block.get("type") == "text" and bool(block.get("text")))
