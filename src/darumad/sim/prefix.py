"""Prompts that a vendor still has: what `cache_control` marks is kept under the hash of all that stands before it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

LEAST = 1_024
"""Tokens. Anthropic keeps nothing that is shorter."""
_LASTS: Mapping[str, float] = {"5m": 300.0, "1h": 3_600.0}
"""Seconds that a prefix is kept after it was read last, by its mark's `ttl`."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a prompt begins with, up to a mark."""

    digest: str
    tokens: int
    lasts: float


@dataclass(slots=True)
class Kept:
    """The prefixes that one listener has, and until when. Instants are seconds of whoever asks.

    What was read last stands last, so that none is there longer than the longest of `_LASTS` after it was read.
    """

    until: dict[str, float] = field(default_factory=dict)

    def taken(self, now: float, prefixes: Sequence[Prefix]) -> tuple[int, int]:
        """The tokens of a prompt that are read from what is kept, and those that are kept from now on."""
        known = max((each.tokens for each in prefixes if self.until.get(each.digest, 0.0) > now), default=0)
        most = max((each.tokens for each in prefixes), default=0)
        for each in prefixes:
            self.until.pop(each.digest, None)
            self.until[each.digest] = now + each.lasts
        self._let_go(now)
        return known, max(0, most - known)

    def _let_go(self, now: float) -> None:
        while self.until and self.until[oldest := next(iter(self.until))] <= now:
            del self.until[oldest]


def marked(body: Mapping[str, Any], tokens: Callable[[int], int]) -> tuple[Prefix, ...]:
    """The prefixes that a request of Anthropic's marks; `tokens` is what so many characters come to.

    A mark at the top of the request is one at its end.
    """
    digest, characters, found = sha256(), 0, list[Prefix]()
    for block, text in _blocks(body):
        mark = block.get("cache_control")
        digest.update(json.dumps({**block, "cache_control": None}, sort_keys=True).encode())
        characters += len(text)
        if mark:
            found.append(_prefix(digest.hexdigest(), tokens(characters), mark))
    if body.get("cache_control"):
        found.append(_prefix(digest.hexdigest(), tokens(characters), body["cache_control"]))
    return tuple(each for each in found if each.tokens >= LEAST)


def _prefix(digest: str, tokens: int, mark: Any) -> Prefix:
    ttl = str(mark.get("ttl")) if isinstance(mark, Mapping) else ""
    return Prefix(digest, tokens, _LASTS.get(ttl, _LASTS["5m"]))


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """All that a model reads, in the order in which it does, with the text of it that counts."""
    yield from ((dict(each), "") for each in body.get("tools") or ())
    yield from _parts(body.get("system"), "system")
    for message in body.get("messages") or ():
        yield from _parts(message.get("content"), str(message.get("role")))


def _parts(content: Any, role: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    for block in blocks:
        said = block.get("content", "")
        yield {**block, "role": role}, str(block.get("text") or (said if isinstance(said, str) else json.dumps(said)))
