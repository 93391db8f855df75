"""Ollama's chat as JSON, both ways. Tool calls have no ids there, so they get theirs here: the same in each replay."""

from collections.abc import Mapping
from typing import Any, Protocol

from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.counted import count_of, usage_of
from darumad.agents.providers.prices import Price, likely_tokens
from darumad.agents.providers.reply import Stop, checked, reads, stop_of
from darumad.values import changed
from darumad.work.model import Message, ModelReply, ModelRequest, ToolCall
from darumad.work.result import Usage

_SURELY_CUT = 0.6
"""A server that evaluated less than this share of the likely tokens has dropped the front of the prompt."""
_TOO_FEW_TO_TELL = 1_000
_STOPS: Mapping[str, Stop] = {"stop": "end", "length": "max_tokens"}


class _Chunk(Protocol):
    """What is read of the client's chunk."""

    model: str | None
    message: Any
    done: bool | None
    done_reason: str | None
    prompt_eval_count: int | None
    eval_count: int | None


def body_of(model: str, request: ModelRequest, num_ctx: int, *, stream: bool = True) -> dict[str, Any]:
    """The body of `/api/chat`."""
    names = {call.id: call.name for message in request.messages for call in message.calls}
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {
        "model": model,
        "messages": system + [_turn(message, names, model) for message in request.messages],
        "stream": stream,
        "options": {"num_ctx": num_ctx, "num_predict": request.max_tokens},
    }
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.says, "parameters": dict(tool.schema)},
            }
            for tool in request.tools
        ]
    if request.output_schema is not None:
        body["format"] = dict(request.output_schema)
    return body


def _turn(message: Message, names: Mapping[str, str], model: str) -> dict[str, Any]:
    """A turn. What a model thought goes back to it, and to no other."""
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    for each in message.opaque:
        if each.get("provider") == "ollama" and each.get("model") == model:
            turn["thinking"] = each["thinking"]
    if message.role == "tool":
        turn["tool_name"] = names.get(message.call_id, "")
    if message.calls:
        turn["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.calls
        ]
    return turn


def _likely(request: ModelRequest) -> int:
    """The tokens that the server will read, as a guess: it makes a grammar of the answer's form and shows it nobody."""
    return likely_tokens(request if request.output_schema is None else changed(request, output_schema=None))


def refuse_if_too_long(request: ModelRequest, num_ctx: int) -> None:
    """Spare a call whose prompt the server would cut in silence.

    Raises:
        AttemptFailed: kind `context_too_long`.
    """
    likely = _likely(request)
    if likely > num_ctx:
        raise AttemptFailed(
            "context_too_long", f"the prompt has about {likely} tokens, the window {num_ctx}", usage=Usage()
        )


class Assembly:
    """A chat's answer as its chunks come; one that comes whole is its own last. Complete when that said `done`."""

    def __init__(self, request: ModelRequest, price: Price | None, asked: str) -> None:
        self._likely = _likely(request)
        self._ids = sum(len(message.calls) for message in request.messages)
        self._price = price
        self._asked = asked
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []
        self._last: _Chunk | None = None

    @reads
    def add(self, chunk: _Chunk) -> None:
        """Take one chunk.

        Raises:
            AttemptFailed: it has no shape that a chunk has.
        """
        self._last = chunk
        self._text.append(chunk.message.content or "")
        self._thinking.append(chunk.message.thinking or "")
        for call in chunk.message.tool_calls or ():
            self._ids += 1
            arguments = dict(call.function.arguments)
            self._calls.append(ToolCall(id=f"call_{self._ids}", name=call.function.name, arguments=arguments))

    @reads
    def reply(self) -> ModelReply:
        """The answer.

        Raises:
            AttemptFailed: `truncated_stream` without `done`, `context_too_long` when the prompt was cut,
                `empty_output`, `malformed_response`.
        """
        last = self._last
        if last is None or not last.done:
            raise AttemptFailed("truncated_stream", "the stream ended before the answer did")
        usage = self._usage(last)
        self._refuse_if_cut(last, usage)
        stop = stop_of(last.done_reason, _STOPS, usage)
        return checked(
            ModelReply(
                text="".join(self._text),
                calls=tuple(self._calls),
                opaque=self._opaque(),
                model=last.model or "",
                stop="tools" if self._calls and stop == "end" else stop,
                usage=usage,
            )
        )

    def _refuse_if_cut(self, last: _Chunk, usage: Usage) -> None:
        evaluated = last.prompt_eval_count or 0
        if self._likely > _TOO_FEW_TO_TELL and 0 < evaluated < _SURELY_CUT * self._likely:
            raise AttemptFailed(
                "context_too_long", f"the server read {evaluated} of about {self._likely} tokens", usage=usage
            )

    def _opaque(self) -> tuple[Mapping[str, Any], ...]:
        thought = "".join(self._thinking)
        return ({"provider": "ollama", "model": self._asked, "thinking": thought},) if thought else ()

    def _usage(self, last: _Chunk) -> Usage:
        """Counts of zero are left out by the server, and so is that of a prompt of which it still has everything."""
        read, output = count_of(last.prompt_eval_count), count_of(last.eval_count)
        if last.prompt_eval_count is None and output:
            read = self._likely
        return usage_of(self._price, fresh=read, output=0 if last.eval_count is None else output)
