"""`daruma pause`: asks the daemon, and says what it does from now on."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def pause(line: Line) -> None:
    """Claim nothing new until `daruma resume`, also over a restart; what runs finishes its stage."""
    line.show(line.client.call("pause", {}), lambda reply: [reply["state"]])
