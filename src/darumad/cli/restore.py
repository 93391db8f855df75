"""`daruma restore`: a copy of the journal, put back in its place."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darumad.cli.offline import offline
from darumad.cli.paths import PathType
from darumad.plural import counted

if TYPE_CHECKING:
    from darumad.journal.state_directory import StateDirectory


@click.command()
@click.argument("file", type=PathType(dir_okay=False))
@offline
def restore(state: "StateDirectory", show: Callable[..., None], file: Path) -> None:
    """Put the copy FILE in the place of the journal; no daemon may be running.

    The journal that is there now is kept beside it.
    """
    from darumad.journal.backups import restore as put_back  # noqa: PLC0415 - needed offline only

    found = put_back(state, file.absolute())
    reply = {"directory": os.fspath(state.path), "position": str(found.position), "unfinished": found.unfinished,
             "journal": found.identity}  # fmt: skip
    show(reply, lines=_lines)


def _lines(reply: dict[str, Any]) -> list[str]:
    up_to = f"{counted(reply['unfinished'], 'unfinished item')}, up to event {reply['position']}"
    return [
        f"restored to {reply['directory']}: {up_to}",
        "start the daemon again; what ran when the copy was made goes on",
    ]
