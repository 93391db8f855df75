"""`daruma journal`: the journal itself, looked at beside a daemon or without one."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.offline import offline

if TYPE_CHECKING:
    from darumad.journal.state_directory import StateDirectory


@click.group()
def journal() -> None:
    """Check that the journal is what was written."""


@journal.command()
@click.option("--quick", is_flag=True, help="Leave out indexes, references, payloads and the old part of the audit.")
@offline
def check(state: "StateDirectory", show: Callable[..., None], *, quick: bool) -> None:
    """Look at every page, reference, digest and audit row.

    Ends with 1 when something is wrong.
    """
    from darumad.journal.checking import check as look  # noqa: PLC0415 - needed offline only

    found = look(state, quick=quick)
    reply = {"file": os.fspath(state.database), "looked_at": list(found.looked_at), "wrong": list(found.wrong)}
    show(reply, lines=_lines)
    if found.wrong:
        click.get_current_context().exit(WORK_FAILED)


def _lines(reply: dict[str, Any]) -> Iterator[str]:
    yield from (f"wrong  {each}" for each in reply["wrong"])
    if reply["wrong"]:
        yield "  -> Stop the daemon, then `daruma restore FILE` with the last backup."
    else:
        yield f"{reply['file']} is what was written: {', '.join(reply['looked_at'])}"
