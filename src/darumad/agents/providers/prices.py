"""What a call costs: integer nano-dollars a token. A model that is not in the table has no price, which is never 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from darumad.agents.providers.config import Kind
from darumad.names import NanoUsd
from darumad.work.model import ModelRequest
from darumad.work.result import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars a token, by what the token was; `long` in their place when the input is over `long_from` tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    long_from: int = 0
    long: "Price | None" = None

    def at(self, input_tokens: int) -> "Price":
        """The price of a call with this many input tokens, cached ones included."""
        return self.long if self.long is not None and input_tokens > self.long_from else self


_OPUS_5 = Price(5_000, 25_000, 500, 6_250)
_SONNET_4 = Price(3_000, 15_000, 300, 3_750, 200_000, Price(6_000, 22_500, 600, 7_500))
_FABLE_5_2 = Price(8_000, 40_000, 200, 10_000)
_HAIKU_5_5_LONG = Price(500, 2_500, 50, 625)

PRICES: Mapping[str, Price] = {
    "claude-fable-5-2": _FABLE_5_2,
    "claude-mythos-5-2": _FABLE_5_2,
    "claude-fable-5-1": Price(10_000, 50_000, 250, 12_500),
    "claude-opus-5-5": Price(4_000, 20_000, 200, 5_000),
    "claude-sonnet-5-5": Price(2_000, 10_000, 100, 2_500),
    "claude-haiku-5-5": Price(100, 500, 10, 125, 100_000, _HAIKU_5_5_LONG),
    "claude-opus-5": _OPUS_5,
    "claude-sonnet-5": Price(2_000, 10_000, 200, 2_500),
    "claude-opus-4-8": _OPUS_5,
    "claude-haiku-4-5": Price(1_000, 5_000, 100, 1_250),
    "claude-sonnet-4-5": _SONNET_4,
}
"""Anthropic's models as priced in November 2026."""

FREE = Price(0, 0, 0, 0)
"""A model on one's own machine."""

_BYTES_A_TOKEN = 3.2
_TOKENS_A_MESSAGE = 4


def price_of(kind: Kind, model: str) -> Price | None:
    """The price of `model`, a dated name (`claude-haiku-4-5-20251001`) as its family; None when nobody knows it."""
    if kind == "ollama":
        return FREE
    family, _, date = model.rpartition("-")
    return PRICES.get(model) or (PRICES.get(family) if date.isdigit() and len(date) == len("20251001") else None)


def cost(price: Price | None, *, fresh: int, cached: int, written: int, output: int) -> NanoUsd | None:
    """What these tokens cost; None without a price. `fresh` is the input that no cache gave or took."""
    if price is None:
        return None
    at = price.at(fresh + cached + written)
    return NanoUsd(fresh * at.input + cached * at.cache_read + written * at.cache_write + output * at.output)


def upper_bound(price: Price | None, request: ModelRequest) -> Usage:
    """The most that a call can use: its input at one token a byte, its output at `max_tokens`."""
    tokens = request_bytes(request)
    return Usage(
        input_tokens=tokens,
        output_tokens=request.max_tokens,
        calls=1,
        nano_usd=cost(price, fresh=tokens, cached=0, written=0, output=request.max_tokens),
    )


def likely_tokens(request: ModelRequest) -> int:
    """The input's tokens as a guess, for a check against a context window: bytes / 3.2, and 4 a message."""
    return ceil(request_bytes(request) / _BYTES_A_TOKEN) + _TOKENS_A_MESSAGE * len(request.messages)


def request_bytes(request: ModelRequest) -> int:
    """The UTF-8 bytes of everything a model reads of this request, as near as its wire form does not matter."""
    parts = [request.system]
    for message in request.messages:
        parts += [message.text, *(f"{call.name}{call.arguments}" for call in message.calls)]
        parts += [str(block) for block in message.opaque]
    parts += [f"{tool.name}{tool.says}{tool.schema}" for tool in request.tools]
    parts.append(str(request.output_schema or ""))
    return sum(len(part.encode()) for part in parts)
