"""`daruma backup`: a copy of the journal, made and checked while the daemon goes on."""

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
def backup(state: "StateDirectory", show: Callable[..., None], file: Path) -> None:
    """Copy the journal to FILE, whole and checked; the daemon may be running.

    Uploads and workspaces lie as plain files beside the journal: copy these directories after it.
    """
    from darumad.journal.backups import back_up  # noqa: PLC0415 - needed offline only

    made = back_up(state, file.absolute())
    reply = {"file": os.fspath(made.path), "position": str(made.position), "unfinished": made.unfinished,
             "size": made.size, "journal": made.identity}  # fmt: skip
    show(reply, lines=_lines)


def _lines(reply: dict[str, Any]) -> list[str]:
    up_to = f"{counted(reply['unfinished'], 'unfinished item')}, up to event {reply['position']}"
    return [f"{reply['file']}: {up_to}, {reply['size']} bytes"]
