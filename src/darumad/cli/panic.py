"""`daruma panic`: stops everything that runs, at once."""

from collections.abc import Iterable

import click

from darumad.cli.online import Line, online
from darumad.cli.speaking import Json


@click.command()
@online
def panic(line: Line) -> None:
    """Stop everything that runs, at once, and claim nothing new until `daruma resume`.

    What was stopped goes on behind its last recorded step.
    """
    line.show(line.client.call("panic", {}), _lines)


def _lines(reply: Json) -> Iterable[str]:
    yield str(reply["state"])
    yield from (f"  stopped: {each}" for each in reply["stopped"])
    yield from (f"  did not stop: {each}" for each in reply["not_stopped"])
