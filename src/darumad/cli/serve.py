"""`daruma serve`: the daemon itself, in the foreground."""

import os
from pathlib import Path

import click


@click.command()
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings file.")
def serve(config: Path | None) -> None:
    """Run the daemon in the foreground."""
    from darumad.daemon import run  # noqa: PLC0415 - the whole house, which no other command needs
    from darumad.settings import load  # noqa: PLC0415 - the same

    click.get_current_context().exit(run(load(config, os.environ)))
