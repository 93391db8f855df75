"""`daruma batch`: many items from one file, in one transaction."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from darumad.cli.naming import named
from darumad.cli.online import Line, online
from darumad.cli.paths import PathType
from darumad.cli.reading import parsed, refused, said_of, text_of
from darumad.cli.speaking import Json, table
from darumad.errors import Problem, Refused

_OF_AN_ITEM = re.compile(r"/items/([0-9]+)(.*)", re.DOTALL)


@click.command()
@click.argument("file", type=PathType(exists=True, dir_okay=False, allow_dash=True))
@online
def batch(line: Line, file: Path) -> None:
    """Hand in many items at once, all or none.

    FILE holds one JSON object a line, or one JSON array of them; - is standard input. An item may name another of the
    file in depends_on.
    """
    places, items = zip(*_items(text_of(file), file), strict=True)
    try:
        reply = line.client.batch(items)
    except Refused as error:
        problems = [Problem(_in_file(each.pointer, places, file), each.detail) for each in error.problems]
        raise Refused(error.message, code=error.code, problems=problems) from error
    line.show(reply, _lines)


def _items(text: str, file: Path) -> Sequence[tuple[str, dict[str, Any]]]:
    """The items of the file, each with where it stands there."""
    found = list(_read(text, file))
    if not found:
        raise refused(file, "holds no items", "give one JSON object a line, or one array of them")
    for place, each in found:
        if not isinstance(each, dict):
            raise refused(file, "holds what is no item", f"{place.strip()} must be a JSON object")
    return [(place, named(each)) for place, each in found]


def _read(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    if text.lstrip().startswith("["):
        yield from ((f"/{number}", each) for number, each in enumerate(parsed(text, file)))
        return
    # Nothing but "\n" ends a line of JSON: U+2028 and U+0085 may stand in a string as they are.
    for number, each in enumerate(text.split("\n"), start=1):
        if each.strip():
            yield f"line {number} ", parsed(each, file, number)


def _in_file(pointer: str, places: Sequence[str], file: Path) -> str:
    """Where in the file it is that the daemon names by the item's place in the request."""
    found = _OF_AN_ITEM.fullmatch(pointer)
    return f"{said_of(file)} {places[int(found[1])]}{found[2]}".rstrip() if found else pointer


def _lines(reply: Json) -> Iterable[str]:
    return table(("ID", "STATE", "REASON"), ((each["id"], each["state"], each["reason"]) for each in reply["items"]))
