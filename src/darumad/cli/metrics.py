"""`daruma metrics`: the Prometheus page, as a scraper sees it."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def metrics(line: Line) -> None:
    """The Prometheus page."""
    click.echo(line.client.text("metrics"), nl=False)
