"""Online: what every command has that talks to a daemon: the socket, the form of the answer, and the client."""

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from darumad import __version__
from darumad.cli import speaking
from darumad.cli.paths import PathType
from darumad.cli.speaking import Form, Json
from darumad.control.client import Client
from darumad.values import Value

F = TypeVar("F", bound=Callable[..., Any])


class Line(Value):
    """An open line to a daemon, and how its caller wants to be answered."""

    client: Client
    form: Form

    def show(self, reply: Json, lines: Callable[[Json], Iterable[str]]) -> None:
        """Prints an answer; says so when it comes from another version."""
        there = self.client.daemon_version
        if there not in {None, __version__}:
            speaking.note(f"daruma: this is {__version__}, the daemon is {there}")
        speaking.show(reply, self.form, lines)


def _tell_of_silence(left: float) -> None:
    speaking.note(f"daruma: the daemon does not answer yet; waiting for it up to {left:.0f} s more")


def online(command: F) -> Callable[..., Any]:
    """Gives `command` the options of an online command, and a `Line` as its first argument.

    The daemon is looked for where `--socket` says, or else the settings file that is named: by `file`, or by
    $DARUMA_CONFIG.
    """

    @click.option(
        "--socket",
        "socket",
        type=PathType(readable=False),  # whether it can be had, dialling tells
        metavar="PATH",
        help="The daemon's control socket.",
    )
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
    def run(*args: Any, socket: Path | None, form: Form, **kwargs: Any) -> Any:
        traceparent = os.environ.get("TRACEPARENT")
        path = socket or _named_in(kwargs.get("file"))
        with Client(path, silence=_tell_of_silence, traceparent=traceparent) as client:
            return command(Line(client, form), *args, **kwargs)

    return run


def _named_in(file: Path | None) -> Path | None:
    """The control socket that the settings file names, also where other settings of it are wrong; None if none.

    A variable names the file as an option does, but not over one that names the socket itself.
    """
    if file is None and (os.environ.get("DARUMA_SOCKET") or not os.environ.get("DARUMA_CONFIG")):
        return None
    from darumad.settings import examine  # noqa: PLC0415 - needed with a settings file only

    settings = examine(file, os.environ).settings
    return settings.control.socket if "control.socket" in settings.said else None
