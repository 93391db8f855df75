"""`daruma drain`: asks the daemon, and says what it does from now on."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def drain(line: Line) -> None:
    """Take nothing new in and hand nothing out; what runs may finish."""
    line.show(line.client.call("drain", {}), lambda reply: [reply["state"]])
