"""`daruma stop`: asks the daemon, and says what it does from now on."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def stop(line: Line) -> None:
    """End the daemon in good order: what runs may finish within its time, the rest goes back to the queue.

    Under systemd the next caller starts it again; `systemctl stop darumad.socket darumad.service` keeps it down.
    """
    line.show(line.client.call("stop", {}), lambda reply: [reply["state"]])
