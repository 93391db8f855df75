"""`daruma tree`: the supervision tree, drawn."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from darumad.branches import branches
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, table


@click.command()
@online
def tree(line: Line) -> None:
    """The supervision tree."""
    line.show(line.client.call("tree"), tree_lines)


def tree_lines(reply: Json) -> Iterable[str]:
    """The tree as people see it: each place under its parent, with what is remarkable about it."""
    headers = ("ACTOR", "STATE", "LIFE", "RESTARTS", "ERRORS", "MAIL", "LAST")
    drawn = branches(reply["items"], lambda row: str(row["path"]))
    return table(headers, ((lead + name, *_facts(row)) for lead, name, row in drawn))


def _facts(row: Mapping[str, Any]) -> Sequence[Any]:
    return (
        row["state"],
        row["incarnation"],
        row["restarts"] or None,
        row["errors_in_window"] or None,
        row["mailbox_depth"] or None,
        row["last_error"] or row["last_exit"],
    )
