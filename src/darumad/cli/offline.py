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
    from darumad.journal.state_directory import StateDirectory

F = TypeVar("F", bound=Callable[..., Any])


def offline(command: F) -> Callable[..., Any]:
    """Gives `command` the state directory, by the settings, as its first argument, and a form to answer in."""

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
        return command(_state_directory(config), show, *args, **kwargs)

    return run


def _state_directory(file: Path | None) -> "StateDirectory":
    from darumad.journal.state_directory import StateDirectory  # noqa: PLC0415 - needed offline only
    from darumad.settings import load  # noqa: PLC0415 - the same

    return StateDirectory(load(file, os.environ).state_dir.absolute())
