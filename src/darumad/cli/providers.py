"""`daruma providers`: the model providers, and whether they can be used."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, moment, table
from darumad.control.client import Client


@click.group()
def providers() -> None:
    """The model providers, and whether they can be used."""


@providers.command("list")
@online
def list_(line: Line) -> None:
    """Every provider: its state, and where its key came from."""
    line.show(line.client.call("providers list"), lambda reply: _providers(reply["items"]))


@providers.command()
@click.argument("name", required=False)
@online
def check(line: Line, name: str | None) -> None:
    """Ask a provider, or all that are used, whether it takes its key and has its model.

    Ends with 1 when one does not, or refuses the calls of items all the same. The key is read anew, so this is also
    how a changed key file is heeded at once.
    """
    known = line.client.call("providers list")["items"]
    found = _checked(line.client.path, [name] if name else [each["name"] for each in known if each["used"]])
    line.show(found[0] if name else {"items": found}, lambda _: _providers(found))
    if any(each["state"] != "connected" for each in found):
        click.get_current_context().exit(WORK_FAILED)


def _checked(socket: Path, names: Sequence[str]) -> Sequence[Json]:
    """What became of each, in this order. All are asked at once: one that hangs keeps nobody from being asked."""

    def asked(name: str) -> Json:
        with Client(socket) as client:
            return client.call("providers check", {}, name=name)

    with ThreadPoolExecutor(max_workers=max(1, len(names))) as askers:
        return list(askers.map(asked, names))


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
