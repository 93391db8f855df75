"""Keys that an object says twice: parsers keep the last in silence, and which was meant nobody knows."""

from collections.abc import Sequence
from typing import Any


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of `pairs`, as a JSON parser has them.

    Raises:
        ValueError: a key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice; keep one")
    return found
