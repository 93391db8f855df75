"""`daruma health`: what lives and what does not; the exit code says it too."""

from collections.abc import Iterable

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json


@click.command()
@online
def health(line: Line) -> None:
    """What lives and what does not. Ends with 1 when something does not."""
    reply = line.client.call("health")
    line.show(reply, _lines)
    if not reply["live"]:
        click.get_current_context().exit(WORK_FAILED)


def _lines(reply: Json) -> Iterable[str]:
    yield ("live" if reply["live"] else "NOT LIVE") + (", ready" if reply["ready"] else ", takes nothing in")
    for name, sign in reply["vital_signs"].items():
        yield f"  {'ok ' if sign is True else 'RED'}  {name}" + (f": {sign}" if isinstance(sign, str) else "")
