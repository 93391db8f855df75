"""`daruma health`: whether every part of the daemon makes progress; the exit code says it too."""

from collections.abc import Iterable
from functools import partial

import click

from darumad.cli.durations import DURATION
from darumad.cli.ending import WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json
from darumad.cli.waiting import KNOCKS, Patience, patient


@click.command()
@click.option("--within", type=DURATION, metavar="DURATION", help="Wait this long for a daemon that is starting.")
@online
def health(line: Line, within: float | None) -> None:
    """Whether every part of the daemon makes progress. Ends with 1 when one does not.

    An agent that cannot be made degrades the daemon and ends nothing: its items wait, and all others go on. So does a
    provider that is not called until somebody says that it is mended, a journal in which something is not as it was
    written, and a disk with too little room.
    """
    reply = line.client.call("health") if within is None else _risen(line, patient(line, within, expects=True))
    line.show(reply, _lines)
    if not reply["live"]:
        click.get_current_context().exit(WORK_FAILED)


def _risen(line: Line, patience: Patience) -> Json:
    """How it is once it lives and takes work, or when the time is up."""
    while True:
        reply = patience.insist(partial(line.client.call, "health"))
        if (reply["live"] and reply["ready"]) or patience.over():
            return reply
        patience.pause(patience.left(KNOCKS))


def _lines(reply: Json) -> Iterable[str]:
    words = ("live" if reply["live"] else "NOT LIVE", "ready" if reply["ready"] else "takes nothing in")
    yield ", ".join((*words, *(["degraded"] if reply["degraded"] else [])))
    for name, sign in reply["vital_signs"].items():
        yield f"  {'ok ' if sign is True else 'RED'}  {name}" + (f": {sign}" if isinstance(sign, str) else "")
    if reply.get("disk"):
        yield f"  !!   disk: {reply['disk']}"
    for each in reply["journal"] or ():
        yield f"  !!   journal: {each}"
    for name, why in reply["providers"].items():
        if why is not True:
            yield f"  !!   provider {name}: {why}"
    for name, why in reply["agents"].items():
        if why is not True:
            yield f"  !!   agent {name} cannot be made: {why}"
