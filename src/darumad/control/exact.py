"""JSON that is read as it was written: what a parser settles in silence, or in words for programmers, is refused."""

import json
from collections.abc import Sequence
from typing import Any


def exact(text: str | bytes) -> Any:
    """The JSON in `text`, with all digits of each whole number.

    Raises:
        json.JSONDecodeError: it is none.
        ValueError: a key stands twice in one object, or a number has more digits than Python reads.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_once, parse_int=_whole)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of `pairs`; of equal keys a parser keeps the last, and which was meant nobody knows."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice; keep one")
    return found


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError("a number has more digits than can be read; send it as a text") from None
