"""The drawing of a tree whose places are paths: one for `daruma tree` and for whoever prints a tree in Python.

It knows no row but by its path, for the one side holds rows of the ownership table and the other what came of them over
a socket.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")


def branches(rows: Sequence[Row], path: Callable[[Row], str]) -> Iterator[tuple[str, str, Row]]:
    """The lines that lead to each row, its name below its parent, and the row; parents first, siblings in their order.

    A place hangs from the nearest one above it that is among the rows; without one it is a root, named by its path.
    """
    known = {path(row) for row in rows}
    below: dict[str, list[Row]] = {}
    for row in rows:
        below.setdefault(_nearest_above(path(row), known), []).append(row)
    for root in below.get("", ()):
        yield "", path(root), root
        yield from _under(path(root), "", below, path)


def _under(
    top: str, lead: str, below: dict[str, list[Row]], path: Callable[[Row], str]
) -> Iterator[tuple[str, str, Row]]:
    rows = below.get(top, [])
    for nth, row in enumerate(rows, 1):
        fork, rest = ("├─ ", "│  ") if nth < len(rows) else ("└─ ", "   ")
        yield lead + fork, path(row).removeprefix(f"{top}/"), row
        yield from _under(path(row), lead + rest, below, path)


def _nearest_above(path: str, known: set[str]) -> str:
    above = path.rpartition("/")[0]
    while above and above not in known:
        above = above.rpartition("/")[0]
    return above
