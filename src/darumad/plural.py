"""Plural: how many there are of a thing, as people write it."""

from collections.abc import Sequence


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file` and `2 files`; `many` says the plural where that is not `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def listed(names: Sequence[str], most: int) -> str:
    """`a, b and 3 more`: the first `most` of the names, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
