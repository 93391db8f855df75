"""`daruma events`: what happened, and with --follow what happens."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from darumad.cli import speaking
from darumad.cli.online import Line, online


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option("--since", default="", metavar="POSITION", help="Begin behind this position; 0 is the beginning.")
@click.option("--item", metavar="ID", help="Only what happened to this item.")
@click.option("--type", "type_", metavar="NAME", help="Only events of this name, such as work.succeeded.")
@click.option("--until", metavar="NAME", help="End behind the first event of this name.")
@online
def events(line: Line, *, follow: bool, until: str | None, type_: str | None, **only: Any) -> None:
    """What happened, from the beginning or from a position on; with --follow and no position, only what is new."""
    for each in line.client.events(follow=follow, type=type_, **only):
        if line.form == "table":
            click.echo(_text(each))
            sys.stdout.flush()
        else:
            speaking.line(each)
        if each["type"] == until:
            return


def _text(event: Mapping[str, Any]) -> str:
    at = speaking.moment(event.get("at")) or ""
    data = "  ".join(f"{key}={_short(value)}" for key, value in event["data"].items() if value not in (None, "", []))
    return f"{event.get('seq', '')!s:>6}  {at}  {event['type']:<22}  {_place(event['subject'])}  {data}".rstrip()


def _place(subject: str) -> str:
    """The end of an actor's path, which is a name that `daruma agents show` takes; an item's id as it is."""
    return "/".join(subject.split("/")[-2:]) if subject.startswith("daruma/") else subject


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
