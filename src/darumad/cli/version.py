"""`daruma version`: this program's, and the daemon's when one answers."""

import click

from darumad import __version__
from darumad.cli.online import Line, online
from darumad.errors import Unavailable


@click.command()
@online
def version(line: Line) -> None:
    """The version of this program, and of the daemon when one answers."""
    try:
        daemon = line.client.call("version")["version"]
    except Unavailable:
        daemon = None
    reply = {"version": __version__, "daemon": daemon}
    line.show(reply, lambda _: [f"daruma {__version__}", f"daemon {daemon or 'does not answer'}"])
