"""The SQL of this room, by name: it lives in `.sql` files, where it can be read, commented and explained as SQL."""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def named(file: str) -> Mapping[str, str]:
    """The statements of `file`, each under the name in its `-- name:` line."""
    _, *parts = _NAME.split(_text(file))
    names, bodies = parts[::2], parts[1::2]
    return dict(zip(names, (each.strip() for each in bodies), strict=True))


def statements(file: str) -> Iterator[str]:
    """The statements of a schema file, one by one: a script would commit behind our back before it begins."""
    lines: list[str] = []
    for line in _text(file).splitlines():
        lines.append(line)
        ends = line == "END;" if _in_trigger(lines) else line.endswith(";") and not line.startswith("--")
        if ends:
            yield "\n".join(lines)
            lines.clear()


def _in_trigger(lines: list[str]) -> bool:
    return any(each.startswith("CREATE TRIGGER") for each in lines)


def _text(file: str) -> str:
    return (files(__package__) / file).read_text(encoding="utf-8")


SQL: Mapping[str, str] = named("queries.sql")
"""Every statement of `queries.sql`."""

ROWS = "VALUES :rows"
"""Where a statement takes a table of bound rows."""
OVER_ROWS = frozenset(name for name, text in SQL.items() if ROWS in text)
"""The statements that take one."""
NULL = float("nan")
"""A NULL, as it is bound: SQLite takes NaN for one. For a None the driver looks for an adapter, which takes 1 us."""
LARGEST = 256
"""Rows bound to one statement, at most."""
SHARED = (":now", ":boot", ":ageing")
"""What every statement over rows may name besides them."""
_PLACE = re.compile(rf"(?:{'|'.join(SHARED)})\b|{ROWS}\b")


def fitting(rows: int) -> int:
    """The shape that `rows` are bound to: few shapes (1, 2, 3, 4, 6, 8, 12, 16..), so that they all stay prepared."""
    power = 1 << (rows - 1).bit_length()
    less = power - power // 4
    return less if rows <= less else power


def filled(name: str, rows: Sequence[Sequence[Any]], shared: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The named statement over `rows`, shaped to take them, and the values to bind to it."""
    columns, size = len(rows[0]), fitting(len(rows))
    cells = [NULL if value is None else value for row in rows for value in row]
    cells += [NULL] * (columns * (size - len(rows)))
    text, places = _shaped(name, columns, size)
    values: list[Any] = []
    for each in places:
        values += cells if each == ROWS else (shared[each],)
    return text, values


@functools.cache
def _shaped(name: str, columns: int, rows: int) -> tuple[str, Sequence[str]]:
    """The named statement for so many rows of so many columns, and what is bound to it, in order: `SHARED` and `ROWS`.

    No place has a number: Python 3.12 takes those for names, and 3.14 binds no sequence to names.
    """
    table = ", ".join([f"({', '.join('?' * columns)})"] * rows)
    places = _PLACE.findall(SQL[name])
    return _PLACE.sub(lambda found: f"VALUES {table}" if found[0] == ROWS else "?", SQL[name]), places
