"""`daruma status`: the daemon on one screen."""

from collections.abc import Iterable

import click

from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, pairs, span


@click.command()
@online
def status(line: Line) -> None:
    """The daemon on one screen."""
    line.show(line.client.call("status"), _lines)


def _provider(chosen: Json) -> str:
    model = f" {chosen['model']}" if chosen.get("model") else ""
    return f"{chosen['provider']}{model} ({chosen['why']})"


def _lines(reply: Json) -> Iterable[str]:
    queue = {state: count for state, count in reply["queue"].items() if count}
    red = [name for name, sign in reply["vital_signs"].items() if sign is not True]
    return pairs(
        (
            ("state", reply["state"]),
            ("not well", red),
            *(("waits for", each) for each in reply.get("held_back") or ()),
            *(("amiss", each) for each in reply.get("amiss") or ()),
            ("up", f"{span(reply['uptime_seconds'])}, boot {reply['boot']}, version {reply['version']}"),
            ("settings", reply.get("settings_file")),
            ("provider", _provider(reply["provider"])),
            ("queue", queue or "empty"),
            ("ready since", span(reply["oldest_ready_seconds"])),
            ("agents", reply["agents"]),
            ("position", reply["position"]),
        )
    )
