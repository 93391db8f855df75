"""Plural: a number and what it counts, as people write them."""


def counted(count: int, one: str, many: str = "") -> str:
    """`1 file` and `2 files`; `many` says the plural where that is not `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
