"""`daruma health`: whether every part of the daemon makes progress; the exit code says it too."""

from collections.abc import Iterable
from functools import partial

import click

from darumad.cli.durations import DURATION
from darumad.cli.ending import PARKED, WORK_FAILED
from darumad.cli.online import Line, online
from darumad.cli.speaking import Json
from darumad.cli.waiting import KNOCKS, Patience, patient

_NEEDS = {"degraded": "degraded", "needs_somebody": "needs somebody"}


@click.command()
@click.option("--strict", is_flag=True, help="End with 5 where it lives, and something waits for somebody.")
@click.option("--within", type=DURATION, metavar="DURATION", help="Wait this long for a daemon that is starting.")
@online
def health(line: Line, strict: bool, within: float | None) -> None:  # noqa: FBT001 - click's
    """Whether every part of the daemon makes progress. Ends with 1 when one does not.

    That is for a watchdog: it is what a restart may mend. Whatever else waits or is wrong is named as `status` does, a
    line each: what for, since when, and what lets it go on. `needs somebody` says that not all of it ends by itself;
    with --strict the exit code says so too.

    An agent that cannot be made degrades the daemon and ends nothing: its items wait, and all others go on. So does a
    provider that is not called until somebody says that it is mended, a journal in which something is not as it was
    written, and a disk with too little room.
    """
    reply = line.client.call("health") if within is None else _risen(line, patient(line, within, expects=True))
    line.show(reply, _lines)
    if not reply["live"]:
        click.get_current_context().exit(WORK_FAILED)
    if strict and (reply.get("needs_somebody") or reply["degraded"]):
        click.get_current_context().exit(PARKED)


def _risen(line: Line, patience: Patience) -> Json:
    """How it is once it lives and takes work, or when the time is up."""
    while True:
        reply = patience.insist(partial(line.client.call, "health"))
        if (reply["live"] and reply["ready"]) or patience.over():
            return reply
        patience.pause(patience.left(KNOCKS))


def _lines(reply: Json) -> Iterable[str]:
    words = ("live" if reply["live"] else "NOT LIVE", "ready" if reply["ready"] else "takes nothing in")
    needs = [said for name, said in _NEEDS.items() if reply.get(name)]
    yield ", ".join((*words, *needs))
    for name, sign in reply["vital_signs"].items():
        yield f"  {'ok ' if sign is True else 'RED'}  {name}" + (f": {sign}" if isinstance(sign, str) else "")
    for each in reply["journal"] or ():
        yield f"  !!   journal: {each}"
    for each in reply.get("held_back") or ():
        yield f"  !!   waits for {each}"
    for each in reply.get("amiss") or ():
        yield f"  !!   {each}"
