"""One model call, in our own words: no vendor's type goes past the providers' room."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

from darumad.values import Value
from darumad.work.result import UNUSED, Usage

_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode's categories of controls, of marks of form such as the zero-width space, and of spaces."""
_EMPTY = "\u034f\u115f\u1160\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""What Unicode counts among letters and signs and shows as nothing: fillers, the empty Braille cell, selectors."""


class ToolSpec(Value, kw_only=True):
    """A tool as a model sees it: `schema` is the JSON Schema of its arguments."""

    name: str
    says: str
    schema: Mapping[str, Any]


class ToolCall(Value, kw_only=True):
    """A model's wish to run a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


class Message(Value, kw_only=True):
    """One turn of a dialogue. A `tool` turn answers the call named by `call_id`.

    `opaque` carries what a provider wants echoed unchanged (thinking blocks), as JSON.
    """

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    opaque: tuple[Mapping[str, Any], ...] = ()


class ModelRequest(Value, kw_only=True):
    """What a model is asked. A pure function of journalled inputs: no clock, no attempt number."""

    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, Any] | None = None
    max_tokens: int = 8_000


class ModelReply(Value, kw_only=True):
    """What a model answered: complete, with its end seen."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    opaque: tuple[Mapping[str, Any], ...] = ()
    model: str = ""
    stop: Literal["end", "tools", "max_tokens", "refusal"] = "end"
    usage: Usage = UNUSED

    @property
    def blank(self) -> bool:
        """Whether its text is none: nothing in it that a reader could see."""
        return not any(map(_is_seen, self.text))


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _UNSEEN and character not in _EMPTY


class Embeddings(Value, kw_only=True):
    """The vectors of texts, one each and in their order."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    usage: Usage = UNUSED


class ModelFailed(Exception):  # noqa: N818 - it reads as what happened
    """A model call that ended without an answer, after the broker's own retries.

    `kind` is a kind of `work.kinds`. The message is ours, never an upstream body: it holds no credential.
    `target_answered` says that the target answered another call after this one began, or after its item last failed
    there; `circuit_open` that its circuit is open, unless this item alone opens it while others are answered; `budget`
    is the scope of the one that had no room, and `needs` what the call might have come to, by unit.
    """

    def __init__(  # noqa: PLR0913 - each is said by name
        self,
        kind: str,
        message: str,
        *,
        retry_after: float | None = None,
        circuit_open: bool = False,
        target_answered: bool = False,
        budget: str = "",
        needs: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after
        self.circuit_open = circuit_open
        self.target_answered = target_answered
        self.budget = budget
        self.needs = needs or {}
