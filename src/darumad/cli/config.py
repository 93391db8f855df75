"""`daruma config`: the settings, checked and shown without a daemon."""

import json
import os
from pathlib import Path
from typing import Any

import click

_FILE = click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="The settings file.")


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@_FILE
def check(file: Path | None) -> None:
    """Name everything that is wrong with the settings at once; end with 78 when something is."""
    from darumad.settings import load  # noqa: PLC0415 - needed offline only

    load(file, os.environ)
    click.echo("the settings are right")


@config.command()
@_FILE
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(file: Path | None, *, origin: bool, as_json: bool) -> None:
    """Every setting as it holds now. Secrets are not among them: a setting only names where one is."""
    from darumad.settings import as_written, flat, load, origins  # noqa: PLC0415 - needed offline only

    settings = load(file, os.environ)
    values, sources = flat(as_written(settings)), origins(settings)
    if as_json:
        shown = {key: {"value": value, "origin": sources[key]} if origin else value for key, value in values.items()}
        click.echo(json.dumps(shown, indent=2, default=str))
        return
    for key, value in values.items():
        click.echo(f"{key}: {_word(value)}" + (f"  # {sources[key]}" if origin else ""))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
