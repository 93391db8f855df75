"""`daruma agents`: how the agents are, and the word that gets one up again."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json, is_cut, pairs, table


@click.group()
def agents() -> None:
    """The agents, and how they are."""


@agents.command("list")
@click.option("--instances", "each", is_flag=True, help="A line for every instance, with its last error.")
@online
def list_(line: Line, *, each: bool) -> None:
    """How many instances every agent has, and how they are.

    As JSON, every instance.
    """
    as_lines = _all_instances if each else _agents
    line.show(line.client.call("agents list"), as_lines)


@agents.command()
@click.argument("name")
@online
def show(line: Line, name: str) -> None:
    """One agent with its instances, or one instance.

    An instance is named by its path, or by the end of it: `documentation/2`.
    """
    line.show(line.client.call("agents show", name=name), _show_lines)


@agents.command()
@click.argument("name")
@online
def restart(line: Line, name: str) -> None:
    """Restart all instances of an agent, or one.

    An instance is named by its path, or by the end of it: `documentation/2`.
    Benched ones get up at once, and a corrected template is taken up: what
    was parked for it goes on.

    Ends with 1 when one could not start: it is tried again by itself.
    """
    reply = line.client.call("agents restart", {}, name=name)
    line.show(reply, _restart_lines)
    if reply["failed"]:
        click.get_current_context().exit(WORK_FAILED)


def _restart_lines(reply: Json) -> Iterable[str]:
    yield from (f"{each}  restarting" for each in reply["restarted"])
    yield from (f"{each}  could not start, and is tried again: {why}" for each, why in reply["failed"].items())
    yield from (f"{each}  starting" for each in reply.get("started", ()))
    yield from (f"{each}  goes on" for each in reply.get("released", ()))


def _show_lines(reply: Json) -> Iterable[str]:
    yield from pairs((key, reply[key]) for key in ("name", "template", "stages", "offers"))
    yield from _instances(reply["instances"])
    if not reply["instances"]:
        yield "asleep: its agents start with the first item that is there for them"
        yield from (f"  ! {each}" for each in [reply.get("unmade")] if each)
    whole = dict.fromkeys(each["last_error"] for each in reply["instances"] if each.get("last_error"))
    yield from (f"  ! {' '.join(each.split())}" for each in whole if is_cut(each))


def _agents(reply: Json) -> Iterable[str]:
    """What is not as it should be has a column of its own; the rest is idle, or at work."""
    of: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in reply["items"]:
        of[each["agent"]].append(each)
    of |= {name: [] for name in reply.get("asleep", ())}
    headers = ("AGENT", "INSTANCES", "STARTING", "BUSY", "DEGRADED", "BENCHED", "ERRORS", "RESTARTS")
    return table(headers, (_agent(name, found) for name, found in of.items()))


def _agent(name: str, instances: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    states = Counter(each["state"] for each in instances)
    totals = (sum(each[key] for each in instances) for key in ("errors_in_window", "restarts"))
    return (name, len(instances), *(states[each] for each in ("starting", "busy", "degraded", "benched")), *totals)


def _all_instances(reply: Json) -> Iterable[str]:
    return _instances(reply["items"])


def _instances(instances: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    headers = ("INSTANCE", "AGENT", "STATE", "LIFE", "ERRORS", "RESTARTS", "LAST ERROR")
    keys = ("path", "agent", "state", "incarnation", "errors_in_window", "restarts", "last_error")
    return table(headers, ([each.get(key) for key in keys] for each in instances))
