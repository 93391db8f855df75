"""What JSON may say and would not be kept as it was sent: whole numbers beyond 64 bits, and nesting without end."""

from collections.abc import Iterator
from typing import Any

from darumad.errors import Problem, pointer

DEEPEST = 200
"""How many lists and objects may lie in each other in one body: what is kept is wrapped a few times more."""
LEAST, MOST = -(1 << 63), (1 << 64) - 1
"""What is written back digit by digit; beyond it a number would come back rounded."""
FREE = frozenset({"input", "output_schema"})
"""The fields that take any JSON. Every other says itself which numbers it takes."""
_LONGEST_POINTER = 3
_DIGIT = bytes(ord("0") if chr(each).isdecimal() else ord(" ") for each in range(128)).ljust(256)
_LONG = b"0" * len(str(LEAST).lstrip("-"))


def may_round(held: bytes) -> bool:
    """Whether a number in `held` may be too long; seen without reading it."""
    return _LONG in held.translate(_DIGIT)


def unkept(body: Any) -> Iterator[Problem]:
    """What of `body` would not be kept, in its order, each with its JSON pointer; numbers are as they were written."""
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), body)]
    while rest:
        where, value = rest.pop()
        if isinstance(value, int) and not LEAST <= value <= MOST and not FREE.isdisjoint(where):
            yield Problem(pointer(*where), "has more digits than 64 bits hold, and would be rounded; send it as a text")
        elif not isinstance(value, dict | list):
            continue
        elif len(where) >= DEEPEST:
            detail = f"holds what lies more than {DEEPEST} levels deep in the request"
            yield Problem(pointer(*where[:_LONGEST_POINTER]), detail)
            return
        else:
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            rest += reversed([((*where, key), each) for key, each in inside])
