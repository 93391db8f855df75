"""The SQL of this room, by name. Statements live in `.sql` files, where they can be read, commented and explained as SQL."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

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
