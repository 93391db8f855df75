"""`daruma metrics`: the Prometheus page, as a scraper sees it, or its values as JSON."""

import click

from darumad.cli.online import Line, online


@click.command()
@online
def metrics(line: Line) -> None:
    """Metrics, as Prometheus reads them.

    As JSON, the name, the labels and the value of each.
    """
    if line.form == "table":
        click.echo(line.client.text("metrics"), nl=False)
    else:
        line.show(line.client.call("samples"), lambda _: ())
