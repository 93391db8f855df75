"""`daruma tree`: the supervision tree, drawn."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, table


@click.command()
@online
def tree(line: Line) -> None:
    """The supervision tree."""
    line.show(line.client.call("tree"), tree_lines)


def tree_lines(reply: Json) -> Iterable[str]:
    """The tree as people see it: each place under its parent, with what is remarkable about it."""
    rows = reply["items"]
    headers = ("ACTOR", "STATE", "LIFE", "RESTARTS", "ERRORS", "MAIL", "LAST")
    children = _children(rows)
    roots = [row for row in rows if _parent(row["path"], {each["path"] for each in rows}) is None]
    drawn = [line for root in roots for line in _draw(root, children, "", "")]
    return table(headers, ((label, *_facts(row)) for label, row in drawn))


def _children(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    paths = {row["path"] for row in rows}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        parent = _parent(row["path"], paths)
        if parent is not None:
            found.setdefault(parent, []).append(row)
    return found


def _parent(path: str, known: set[str]) -> str | None:
    """The nearest place above `path` that is in the tree."""
    above = path.rpartition("/")[0]
    while above and above not in known:
        above = above.rpartition("/")[0]
    return above or None


def _draw(
    row: Mapping[str, Any], children: Mapping[str, Sequence[Mapping[str, Any]]], lead: str, rest: str, above: str = ""
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    path = row["path"]
    yield lead + path.removeprefix(above), row
    below = children.get(path, ())
    for index, child in enumerate(below):
        last = index == len(below) - 1
        yield from _draw(
            child, children, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), f"{path}/"
        )


def _facts(row: Mapping[str, Any]) -> Sequence[Any]:
    return (
        row["state"],
        row["incarnation"],
        row["restarts"] or None,
        row["errors_in_window"] or None,
        row["mailbox_depth"] or None,
        row["last_error"] or row["last_exit"],
    )
