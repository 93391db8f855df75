"""`daruma budgets`: what is spent and what is left, and the limits that hold."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, note, table, usd_words
from darumad.plural import counted

_UNITS = ("nano_usd", "tokens", "calls")


class _Shown(click.Group):
    """Without a command it shows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with `show` put before what names no command."""
        asked = next((each for each in args if not each.startswith("-")), None)
        if not {"-h", "--help"} & set(args[:1]) and asked not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Shown)
def budgets() -> None:
    """What is spent, what is left, and the limits that hold. Without a command: show.

    A SCOPE is `all`, `agent:NAME`, `provider:NAME` or `item:ID`.
    """


@budgets.command()
@click.argument("scope", required=False)
@online
def show(line: Line, scope: str | None) -> None:
    """Every budget that has a limit, or those of one scope."""
    line.show(line.client.call("budgets show", scope=scope), lambda reply: _budgets(reply["items"]))


@budgets.command("set")
@click.argument("scope")
@click.option("--daily", metavar="USD", help="The most it may cost in a day, such as 20 or '2.50 USD'; none lifts it.")
@click.option("--daily-tokens", metavar="N", help="The most tokens in a day.")
@click.option("--daily-calls", metavar="N", help="The most model calls in a day.")
@click.option("--total", metavar="USD", help="The most it may ever cost.")
@click.option("--total-tokens", metavar="N", help="The most tokens ever.")
@click.option("--total-calls", metavar="N", help="The most model calls ever.")
@online
def set_(line: Line, scope: str, **limits: str | None) -> None:
    """Set limits that stand over the settings until they are reset.

    SCOPE is all, agent:NAME, provider:NAME or item:ID. Items that it held up go on at once.
    """
    said = {name: _as_said(word) for name, word in limits.items() if word is not None}
    line.show(line.client.call("budgets set", said, scope=scope), _changed)


@budgets.command()
@click.argument("scope")
@online
def reset(line: Line, scope: str) -> None:
    """Go back to the limits of the settings."""
    line.show(line.client.call("budgets reset", {}, scope=scope), _changed)


def _as_said(word: str) -> str | int:
    """A whole number as one; any other word is the daemon's to judge."""
    return int(word) if word.isascii() and word.isdecimal() else word


def _changed(reply: Json) -> Iterable[str]:
    yield from _budgets(reply["items"])
    if released := len(reply["released"]):
        note(counted(released, "item that it held up goes on", "items that it held up go on"))


def _budgets(found: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    headers = ("SCOPE", "PERIOD", "UNIT", "SPENT", "RESERVED", "LIMIT", "LEFT")
    return table(headers, [row for each in found for row in _rows(each)])


def _rows(each: Mapping[str, Any]) -> Iterable[list[Any]]:
    """A line for every unit that is limited or used; one for a budget with neither."""
    used = [unit for unit in _UNITS if each["limit"][unit] is not None or each["spent"][unit] or each["reserved"][unit]]
    for unit in used or ["nano_usd"]:
        amounts = [_said(unit, each[column][unit]) for column in ("spent", "reserved", "limit", "left")]
        yield [each["scope"], each["period"], "USD" if unit == "nano_usd" else unit, *amounts]


def _said(unit: str, amount: int | None) -> str | None:
    if amount is None:
        return None
    return usd_words(amount) if unit == "nano_usd" else str(amount)
