"""`daruma batch`: many items from one file, in one transaction."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from darumad.cli.naming import named
from darumad.cli.online import Line, online
from darumad.cli.paths import PathType
from darumad.cli.reading import parsed, refused, text_of
from darumad.cli.speaking import Json, table


@click.command()
@click.argument("file", type=PathType(exists=True, dir_okay=False, allow_dash=True))
@online
def batch(line: Line, file: Path) -> None:
    """Hand in many items at once, all or none.

    FILE holds one JSON object a line, or one JSON array of them; - is standard input. An item may name another of the
    file in depends_on.
    """
    line.show(line.client.batch([named(each) for each in _items(text_of(file), file)]), _lines)


def _items(text: str, file: Path) -> list[dict[str, Any]]:
    if text.lstrip().startswith("["):
        found = parsed(text, file)
    else:
        # Nothing but "\n" ends a line of JSON: U+2028 and U+0085 may stand in a string as they are.
        lines = enumerate(text.split("\n"), start=1)
        found = [parsed(each, file, number) for number, each in lines if each.strip()]
    if not found:
        raise refused(file, "holds no items", "give one JSON object a line, or one array of them")
    for number, each in enumerate(found):
        if not isinstance(each, dict):
            raise refused(file, "holds what is no item", f"item {number} must be a JSON object")
    return list(found)


def _lines(reply: Json) -> Iterable[str]:
    return table(("ID", "STATE", "REASON"), ((each["id"], each["state"], each["reason"]) for each in reply["items"]))
