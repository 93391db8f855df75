"""`daruma secrets`: keys that are kept sealed. A value is read from standard input, never from the command line."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from darumad.cli.online import Line, online
from darumad.cli.reading import is_given, text_of
from darumad.cli.speaking import Json, table
from darumad.errors import Refused
from darumad.plural import counted

_MOST = 1 << 17
"""Characters read of standard input: more than a secret may have, so that the daemon can say so, and no whole disk."""


@click.group()
def secrets() -> None:
    """Keep keys, sealed; their values are never shown.

    A provider NAME uses the secret NAME-api-key, or the one that `providers.NAME.secret` names, when it finds its key
    nowhere else.
    """


@secrets.command("set")
@click.argument("name")
@online
def set_(line: Line, name: str) -> None:
    """Keep a secret, read from standard input.

    On a terminal it is asked for, without an echo.
    """
    value = text_of(Path("-"), _MOST) if is_given() else click.prompt(name, hide_input=True, err=True)
    if not value.strip():
        raise Refused("nothing came on standard input; pipe the value in", code="invalid")
    line.show(line.client.call("secrets set", {"value": value}, name=name), _changed)


@secrets.command("list")
@online
def list_(line: Line) -> None:
    """The names of the secrets that are kept, which key seals them, and which cannot be opened."""
    line.show(line.client.call("secrets list"), lambda reply: _secrets(reply["items"]))


@secrets.command()
@click.argument("name")
@online
def remove(line: Line, name: str) -> None:
    """Forget a secret."""
    line.show(line.client.call("secrets remove", {}, name=name), _changed)


@secrets.command()
@online
def rotate(line: Line) -> None:
    """Seal every secret with a new key, and forget the old one."""
    line.show(line.client.call("secrets rotate", {}), _rotated)


def _changed(reply: Json) -> Iterable[str]:
    yield f"{reply['name']}  {reply['done']}"
    since = "from now on" if reply["done"] == "set" else "no longer"
    yield from (f"the provider {each} uses it {since}" for each in reply["providers"])


def _rotated(reply: Json) -> Iterable[str]:
    yield f"{counted(reply['secrets'], 'secret is', 'secrets are')} sealed with the key {reply['sealed_with']}"


def _secrets(found: Sequence[Json]) -> Iterable[str]:
    headers = ("SECRET", "SEALED WITH", "CANNOT BE OPENED")
    return table(headers, ([each["name"], each["sealed_with"], each.get("unopened")] for each in found))
