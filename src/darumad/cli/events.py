"""`daruma events`: what happened, and with --follow what happens."""

import json
import re
from collections.abc import Mapping
from typing import Any

import click

from darumad.cli import speaking
from darumad.cli.durations import DURATION
from darumad.cli.following import followed
from darumad.cli.online import Line, online
from darumad.cli.waiting import Patience
from darumad.errors import Refused

_NUMBER = re.compile(r"[0-9]+")
_DIGITS = 18
"""More than any position has."""


class SinceType(click.ParamType[Mapping[str, Any]]):
    """Where to begin: a position, or a time span back from now. As the daemon is asked for it."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, Any]:
        """`since` or `within`. Click reports what is neither."""
        if _NUMBER.fullmatch(str(value)):
            if len(str(value)) > _DIGITS:
                self.fail(f"{value} is no position: none has more than {_DIGITS} digits", param, ctx)
            return {"since": str(value)}
        try:
            return {"within": DURATION.convert(value, param, ctx)}
        except click.BadParameter:
            self.fail(f"{value!r} is neither a position such as 4711 nor a time such as 90s, 10m or 2h", param, ctx)


SINCE = SinceType()


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option(
    "--since",
    type=SINCE,
    metavar="POSITION|DURATION",
    help="Begin behind this position, 0 for the beginning; or so long ago, such as 10m. A position that is yet to come "
    "only --follow waits for.",
)
@click.option("--item", metavar="ID", help="Only what happened to this item.")
@click.option("--type", "type_", metavar="NAME", help="Only events of this name, such as work.succeeded.")
@click.option("--until", metavar="NAME", help="End behind the first event of this name.")
@online
def events(  # noqa: PLR0913 - one parameter an option
    line: Line,
    *,
    follow: bool,
    since: Mapping[str, Any] | None,
    item: str | None,
    type_: str | None,
    until: str | None,
) -> None:
    """What happened, from the beginning, a position or a time on; with --follow and no --since, only what is new.

    A follower goes on when the daemon is restarted meanwhile, and ends with 3 when it stays away for two minutes.
    """
    if until is not None:
        from darumad.control.event_names import check_event_name  # noqa: PLC0415 - the catalogue is read when asked for

        check_event_name(until, "--until")
    if follow and item is not None:
        _note_unknown(line, item)
    wanted: dict[str, Any] = {"item": item, "type": type_}
    begin = since or {}
    told = followed(line, Patience(), begin, **wanted) if follow else line.client.events(**begin, **wanted)
    for each in told:
        if line.form == "table":
            speaking.say(_text(each))
        else:
            speaking.line(each)
        if each["type"] == until:
            return


def _note_unknown(line: Line, item: str) -> None:
    """Says that nobody has handed the item in: it may be yet to come, or its id mistyped."""
    try:
        line.client.call("work show", id=item)
    except Refused as refused:
        speaking.note(f"daruma: {refused.message} yet")


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
