"""What every vendor's answer must hold before it is one: said once, here."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import chain
from math import isfinite
from typing import Any, Literal, ParamSpec, TypeVar

import orjson

from darumad.agents.providers.classify import AttemptFailed
from darumad.redaction import redact
from darumad.work.model import ModelReply, ToolCall
from darumad.work.result import Usage

P = ParamSpec("P")
T = TypeVar("T")
Stop = Literal["end", "tools", "max_tokens", "refusal"]

_STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading raises where an answer is not what it should be."""


def reads(read: Callable[P, T]) -> Callable[P, T]:
    """`read` is given what a server sent: over whatever it stumbles there, the answer is malformed."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except _STUMBLES as error:
            raise AttemptFailed("malformed_response", "the answer has the wrong shape") from error

    return reading


def checked(reply: ModelReply) -> ModelReply:
    """`reply`, if it says something that can be kept and its calls can be told apart.

    Raises:
        AttemptFailed: `empty_output`, or `malformed_response` for two calls of one id, or an end that waits for tools
            and calls none.
        UnicodeEncodeError: its text is none; `reads` knows it.
    """
    for said in (reply.text, reply.model, *(call.name for call in reply.calls)):
        said.encode()
    if len({call.id for call in reply.calls}) < len(reply.calls):
        raise AttemptFailed("malformed_response", "two tool calls have the same id", usage=reply.usage)
    if reply.stop == "tools" and not reply.calls:
        raise AttemptFailed("malformed_response", "the answer waits for tools and calls none", usage=reply.usage)
    if reply.stop == "end" and reply.blank and not reply.calls:
        raise AttemptFailed("empty_output", "the model said nothing", usage=reply.usage)
    return reply


@reads
def without_keys(reply: ModelReply, provider: str) -> ModelReply:
    """The reply of `provider`, without a key of ours: who is told one with each call may say it, and it is kept."""
    calls = tuple(
        ToolCall(id=redact.loaded(each.id), name=redact.loaded(each.name), arguments=_without_keys(each.arguments))
        for each in reply.calls
    )
    return ModelReply(
        text=redact.loaded(reply.text),
        calls=calls,
        opaque=tuple(map(_without_keys, reply.opaque)),
        model=redact.loaded(f"{provider}:{reply.model}"),
        stop=reply.stop,
        usage=reply.usage,
    )


def _without_keys(given: Mapping[str, Any]) -> Mapping[str, Any]:
    said = orjson.dumps(given).decode()
    clean = redact.loaded(said)
    cleaned: Mapping[str, Any] = given if clean is said else orjson.loads(clean)
    return cleaned


def stop_of(reason: str | None, known: Mapping[str, Stop], usage: Usage) -> Stop:
    """The end that a vendor's word stands for.

    Raises:
        AttemptFailed: `malformed_response` for a word that nobody knows.
    """
    stop = known.get(reason or "")
    if stop is None:
        raise AttemptFailed("malformed_response", "the answer ended for no reason that is known", usage=usage)
    return stop


def call_of(name: Any, call: Any, arguments: Any, usage: Usage) -> ToolCall:
    """A tool call whose id is `name` and whose function is `call`; `arguments` are an object, or its JSON.

    Raises:
        AttemptFailed: `bad_tool_args`: it has no name or id, or its arguments are no JSON object.
    """
    if isinstance(arguments, str | bytes):
        try:
            arguments = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            arguments = None
    if (
        not isinstance(arguments, dict)
        or not isinstance(call, str)
        or not call
        or not isinstance(name, str)
        or not name
    ):
        raise AttemptFailed("bad_tool_args", "a tool call's arguments are no JSON object", usage=usage)
    return ToolCall(id=name, name=call, arguments=arguments)


def vectors_of(found: Any, texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """The vectors that were found for `texts`.

    Raises:
        AttemptFailed: `malformed_response` unless there is one for each, all of one length and of finite numbers only.
    """
    try:
        vectors = tuple(tuple(float(number) for number in each) for each in found)
    except (TypeError, ValueError):
        raise AttemptFailed("malformed_response", "a vector is none") from None
    if not all(map(isfinite, chain.from_iterable(vectors))):
        raise AttemptFailed("malformed_response", "a vector is none")
    if len(vectors) != len(texts) or len({len(each) for each in vectors}) > 1 or not all(vectors):
        raise AttemptFailed("malformed_response", "there is not one vector for each text")
    return vectors


def text_of(parts: Sequence[Any]) -> str:
    """The parts of a text, joined.

    Raises:
        AttemptFailed: `malformed_response` when one of them is no text.
    """
    if not all(isinstance(part, str) for part in parts):
        raise AttemptFailed("malformed_response", "what was said is no text")
    return "".join(parts)
