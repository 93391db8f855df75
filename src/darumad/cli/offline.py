"""Offline: what every command has that works on the state directory itself, with or without a daemon on it."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darumad.cli import speaking
from darumad.cli.paths import PathType

if TYPE_CHECKING:
    from darumad.journal.place import Place

F = TypeVar("F", bound=Callable[..., Any])


def offline(command: F) -> Callable[..., Any]:
    """Gives `command` the journal's place, by the settings, as its first argument, and a form to answer in."""

    @click.option("--config", type=PathType(), metavar="FILE", help="The settings file.")
    @click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(["table", "json", "ndjson"]),
        default="table",
        help="How to print the answer.",
    )
    @click.option("--json", "form", flag_value="json", help="The same as -o json.")
    @functools.wraps(command)
    def run(*args: Any, config: Path | None, form: speaking.Form, **kwargs: Any) -> Any:
        show = functools.partial(speaking.show, form=form)
        return command(_place(config), show, *args, **kwargs)

    return run


def _place(file: Path | None) -> "Place":
    from darumad.journal.place import Place  # noqa: PLC0415 - needed offline only
    from darumad.settings import load  # noqa: PLC0415 - the same

    return Place(load(file, os.environ).state_dir.absolute())
