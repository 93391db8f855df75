"""`daruma providers`: the model providers, and whether they can be used."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, moment, note, table
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

    One that does is called again, even if it has refused calls for good (its key, no credit, no such model), and the
    items that are parked for that go on: the next call shows whether it is mended. Ends with 1 when one does not, or
    its calls fail all the same. The key is read anew, so this is also how a changed key file is heeded at once.
    """
    names = [name] if name else [each["name"] for each in line.client.call("providers list")["items"] if each["used"]]
    found = _checked(line.client.path, names)
    line.show(found[0] if name else {"items": found}, lambda _: _providers(found))
    if any(each["state"] == "error" for each in found):
        click.get_current_context().exit(WORK_FAILED)


def _checked(socket: Path, names: Sequence[str]) -> Sequence[Json]:
    """What became of each, in this order. All are asked at once: one that hangs keeps nobody from being asked.

    Nor does it keep a caller who gives up: that is why nobody waits for these threads.
    """
    answers = [Future[Json]() for _ in names]
    for name, answer in zip(names, answers, strict=True):
        threading.Thread(target=_ask, args=(socket, name, answer), daemon=True).start()
    return [each.result() for each in answers]


def _ask(socket: Path, name: str, answer: "Future[Json]") -> None:
    try:
        with Client(socket, silence=partial(_tell_of_silence, name)) as client:
            answer.set_result(client.call("providers check", {}, name=name))
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
        answer.set_exception(error)


def _tell_of_silence(name: str, left: float) -> None:
    note(f"daruma: {name} is still being asked; waiting for its answer up to {left:.0f} s more")


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
