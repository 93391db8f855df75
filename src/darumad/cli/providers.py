"""`daruma providers`: the model providers, and whether they can be used."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import moment, table


@click.group()
def providers() -> None:
    """The model providers, and whether they can be used."""


@providers.command("list")
@online
def list_(line: Line) -> None:
    """Every provider: its state, and where its key came from."""
    line.show(line.client.call("providers list"), lambda reply: _providers(reply["items"]))


@providers.command()
@click.argument("name")
@online
def check(line: Line, name: str) -> None:
    """Ask a provider whether it takes its key and has its model.

    Ends with 1 when it does not. The key is read anew, so this is also how a changed key file is heeded at once.
    """
    reply = line.client.call("providers check", {}, name=name)
    line.show(reply, lambda found: _providers([found]))
    if reply["state"] != "connected":
        click.get_current_context().exit(WORK_FAILED)


def _providers(found: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    headers = ("PROVIDER", "KIND", "MODEL", "KEY", "USED", "STATE", "REASON", "CHECKED")
    return table(
        headers,
        (
            [
                each["name"],
                each["kind"],
                each["model"],
                each["key"] or "none",
                each["used"],
                each["state"],
                each["reason"],
                moment(each["checked_at"]),
            ]
            for each in found
        ),
    )
