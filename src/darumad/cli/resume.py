"""`daruma resume`: asks the daemon, and says what it does from now on."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def resume(line: Line) -> None:
    """End a drain or a pause."""
    line.show(line.client.call("resume", {}), lambda reply: [reply["state"]])
