"""`daruma metrics`: the Prometheus page, as a scraper sees it."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def metrics(line: Line) -> None:
    """Metrics, as Prometheus reads them."""
    click.echo(line.client.text("metrics"), nl=False)
