"""Waiting for an item: in slices, so that no request is held for ever, and with an exit code for how it ended."""

import sys
from collections.abc import Callable, Mapping

from darumad.cli import speaking
from darumad.cli.ending import OK, PARKED, WORK_FAILED
from darumad.cli.online import Line
from darumad.cli.speaking import Json
from darumad.errors import Unavailable

_SLICE, _GLANCE = 60.0, 1.0
EXIT_OF: Mapping[str, int] = {"succeeded": OK, "dead": WORK_FAILED, "cancelled": WORK_FAILED, "parked": PARKED}
"""The exit code for the state that an item was found in."""


def settled(line: Line, item: str, within: float | None) -> Json:
    """The item once it is finished or parked; on a terminal its stages are told as they come.

    Raises:
        Unavailable: `wait_expired`: it was not, `within` seconds later.
    """
    glance = _teller(line, item) if sys.stderr.isatty() else None
    left, piece = within, _GLANCE if glance else _SLICE
    while True:
        slice_ = piece if left is None else min(piece, left)
        try:
            return line.client.wait(item, within=slice_)
        except Unavailable as error:
            left = None if left is None else left - slice_
            if error.code != "wait_expired" or (left is not None and left <= 0):
                raise
        if glance:
            glance()


def tell_end(view: Json) -> int:
    """Says on stderr why an item did not succeed; the exit code for it."""
    state = view["state"]
    if state == "parked":
        speaking.note(f"daruma: {view['id']} is parked ({view['reason']}): it waits for {view['waits_for']}")
        for question in view["questions"]:
            speaking.note(f"  ? {question}")
    elif state != "succeeded":
        error = (view.get("error") or {}).get("message")
        speaking.note(f"daruma: {view['id']} is {state}" + (f": {error}" if error else ""))
        speaking.note(
            f"  -> See `daruma work show {view['id']} --attempts`; `daruma work retry {view['id']}` tries it again."
        )
    return EXIT_OF[state]


def _teller(line: Line, item: str) -> Callable[[], None]:
    """Tells state and stage of the item whenever they have changed."""
    told = ""

    def tell() -> None:
        nonlocal told
        view = line.client.call("work show", id=item)
        now = f"{view['state']} {view['stage']} (attempt {view['attempt']})"
        if now != told:
            speaking.note(f"{item}: {now}")
            told = now

    return tell
