"""`daruma batch`: many items from one file, in one transaction."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from darumad.cli.naming import new_id
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, table
from darumad.errors import Problem, Refused


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@online
def batch(line: Line, file: Path) -> None:
    """Hand in many items at once, all or none.

    FILE holds one JSON object a line, or one JSON array of them; - is standard input. An item may name another of the
    file in depends_on.
    """
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    items = [{"id": new_id(), **each} for each in _items(text, file)]
    line.show(line.client.batch(items), _lines)


def _items(text: str, file: Path) -> list[dict[str, Any]]:
    try:
        if text.lstrip().startswith("["):
            found = json.loads(text)
        else:
            found = [json.loads(each) for each in text.splitlines() if each.strip()]
    except ValueError as error:
        raise Refused(f"{file} is no JSON", problems=[Problem(str(file), str(error))]) from None
    if not found or not all(isinstance(each, dict) for each in found):
        raise Refused(f"{file} holds no items", code="malformed")
    return list(found)


def _lines(reply: Json) -> Iterable[str]:
    return table(("ID", "STATE", "REASON"), ((each["id"], each["state"], each["reason"]) for each in reply["items"]))
