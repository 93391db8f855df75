"""What a call costs: integer nano-dollars, from prices per million tokens. No price is never the price 0."""

from math import ceil

from darumad.names import NanoUsd
from darumad.values import Value
from darumad.work.model import ModelRequest
from darumad.work.result import Usage


class Price(Value):
    """Nano-dollars a million tokens, by what the token was.

    `long` stands in their place for a call whose input is over `long_from` tokens, cached ones included: for all of
    its tokens, not only for those above.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int
    long_from: int = 0
    long: "Price | None" = None

    def at(self, input_tokens: int) -> "Price":
        """The price of a call with this many input tokens, cached ones included."""
        return self.long if self.long is not None and input_tokens > self.long_from else self

    def keeping_is_dearer(self, input_tokens: int) -> bool:
        """Whether a call with this many input tokens costs more when they are written to a cache."""
        at = self.at(input_tokens)
        return at.cache_write > at.input


FREE = Price(0, 0, 0, 0)
"""A model on one's own machine."""

_MILLION = 1_000_000
_BYTES_A_TOKEN = 3.2
_TOKENS_A_WORD = 1.3
_TOKENS_A_MESSAGE = 4
_FRAME = 16
"""Tokens that a vendor adds to a message at most, as its role and its borders."""
_TOOL_FRAME = 600
"""Tokens that a vendor adds at most to say how tools are called; Anthropic documents 264 to 496."""


def cost(price: Price | None, *, fresh: int, cached: int, written: int, output: int) -> NanoUsd | None:
    """What these tokens cost, rounded up; None without a price. `fresh` is the input that no cache gave or took."""
    if price is None:
        return None
    at = price.at(fresh + cached + written)
    exact = fresh * at.input + cached * at.cache_read + written * at.cache_write + output * at.output
    return NanoUsd(-(-exact // _MILLION))


def upper_bound(price: Price | None, request: ModelRequest, size: int | None = None) -> Usage:
    """The most that a call can use: its input at one token a byte, the dearer way; its output at `max_tokens`.

    `size` is `request_bytes` of it, where that is known.
    """
    tokens = (
        (request_bytes(request) if size is None else size)
        + _FRAME * (len(request.messages) + 1)
        + (_TOOL_FRAME if request.tools else 0)
    )
    written = tokens if price is not None and price.keeping_is_dearer(tokens) else 0
    return Usage(
        input_tokens=tokens,
        output_tokens=request.max_tokens,
        calls=1,
        nano_usd=cost(price, fresh=tokens - written, cached=0, written=written, output=request.max_tokens),
    )


def likely_tokens(request: ModelRequest, size: int | None = None) -> int:
    """The input's tokens as a guess: its bytes / 3.2, or its words x 1.3 where they are shorter, and 4 a message.

    `size` is `request_bytes` of it, where that is known.
    """
    size = request_bytes(request) if size is None else size
    spaces = request.system.count(" ") + sum(message.text.count(" ") for message in request.messages)
    words = min(spaces, size // 2)
    return ceil(max(size / _BYTES_A_TOKEN, _TOKENS_A_WORD * words)) + _TOKENS_A_MESSAGE * len(request.messages)


def request_bytes(request: ModelRequest) -> int:
    """The UTF-8 bytes of everything a model reads of this request, as near as its wire form does not matter."""
    parts = [request.system]
    for message in request.messages:
        parts += [message.text, *(f"{call.name}{call.arguments}" for call in message.calls)]
        parts += [str(block) for block in message.opaque]
    parts += [f"{tool.name}{tool.says}{tool.schema}" for tool in request.tools]
    parts.append(str(request.output_schema or ""))
    return sum(len(part.encode()) for part in parts)
