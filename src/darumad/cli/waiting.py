"""Waiting for an item: in slices, so that no request is held for ever, and with an exit code for how it ended.

A daemon that goes away meanwhile is waited for too: the item is in its journal, and goes on when it is back.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from darumad.cli import speaking
from darumad.cli.ending import OK, PARKED, WORK_FAILED
from darumad.cli.online import Line
from darumad.cli.speaking import Json
from darumad.clock import Clock, SystemClock
from darumad.errors import Unavailable

T = TypeVar("T")
_SLICE, _GLANCE = 60.0, 1.0
AWAY = 120.0
"""Seconds that a daemon which answered before may be away before a wait without a limit of its own gives it up."""
_AWAY = frozenset({"unreachable", "hung_up", "unavailable"})
"""The codes of a daemon that is away or too busy. What it refuses for now with a word of its own is its answer."""
LATE = 1.0
"""Seconds after which an answer that comes when the time is up is too late."""
KNOCKS = 0.25
"""Seconds between two knocks at the door of a daemon that is away."""
EXIT_OF: Mapping[str, int] = {"succeeded": OK, "dead": WORK_FAILED, "cancelled": WORK_FAILED, "parked": PARKED}
"""The exit code for the state that an item was found in."""
_ASKING = frozenset({"challenge", "question", "approval"})
_TO_COME = frozenset({"ready", "waiting"})
_WORST_FIRST = (WORK_FAILED, PARKED, OK)


@dataclass(slots=True)
class Patience:
    """How long is still waited: `within` seconds in all if that is given, or else `AWAY` for a daemon that is away.

    `met` says whether the daemon has answered before: one that never did is not waited for, unless the caller
    `expects` one.
    """

    within: float | None = None
    met: bool = False
    expects: bool = False
    clock: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], object] = field(default_factory=lambda: Event().wait)
    _until: float | None = None
    _away_since: float | None = None

    def __post_init__(self) -> None:
        self._until = None if self.within is None else self.clock.monotonic() + self.within

    def left(self, at_most: float) -> float:
        """Seconds to wait in one go: `at_most`, or what is left when that is less."""
        return at_most if self._until is None else max(0.0, min(at_most, self._until - self.clock.monotonic()))

    def over(self) -> bool:
        """Whether all the time that was given is used up."""
        return self._until is not None and self.clock.monotonic() >= self._until

    def insist(self, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked again while the daemon is away.

        Raises:
            Unavailable: it never answered, is away for too long, or answered that it cannot now.
        """
        while True:
            try:
                answer = ask()
            except Unavailable as error:
                if error.code not in _AWAY:
                    self._back()
                    raise
                self.bear(error)
            else:
                self._back()
                return answer

    def bear(self, error: Unavailable) -> None:
        """The daemon did not answer, or hung up: pauses before it is asked again.

        Raises:
            Unavailable: `error`, as the daemon is not waited for, or no longer; `wait_expired` for one that has
                the item and does not answer before the time is up.
        """
        there = error.code != "unreachable"
        self.met = self.met or there  # whoever hangs up was there
        if there and self.over() and not self.expects:
            raise Unavailable(error.message, code="wait_expired") from error
        if self.over() or not self._may_come_back():
            raise error
        self.pause(self.left(KNOCKS))

    def _back(self) -> None:
        self.met, self._away_since = True, None

    def _may_come_back(self) -> bool:
        now = self.clock.monotonic()
        if (self.met or self.expects) and self._away_since is None:
            self._away_since = now
            if self.met:
                speaking.note("daruma: the daemon went away; waiting for it to come back")
        if self._away_since is None:
            return False
        return self._until is not None or now - self._away_since < AWAY


def patient(line: Line, within: float | None, *, expects: bool = False) -> Patience:
    """The patience for all that follows on this line: no answer on it is waited for when the time is up."""
    patience = Patience(within, expects=expects)
    line.client.bound = lambda seconds: patience.left(seconds) + LATE
    return patience


def settled(line: Line, item: str, patience: Patience) -> Json:
    """The item once it is finished or parked. What keeps it is told meanwhile; on a terminal its stages are too.

    Raises:
        Unavailable: `wait_expired`: it was not in the time that was given.
    """
    watched = sys.stderr.isatty()
    glance = _teller(line, item, stages=watched)
    piece = _GLANCE if watched else _SLICE
    while True:
        patience.insist(glance)
        try:
            return patience.insist(lambda: line.client.wait(item, within=patience.left(piece)))
        except Unavailable as error:
            if error.code != "wait_expired" or patience.over():
                raise


def worst(codes: Iterable[int]) -> int:
    """One exit code for several items: what failed counts more than what is parked, and that more than success."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), OK)


def tell_questions(view: Json) -> None:
    """Says on stderr what an item asks now, and how it is answered; nothing when it asks nothing."""
    asked = open_questions(view)
    for question in asked:
        speaking.note(f"  ? {question}")
    if asked:
        speaking.note(f'  -> daruma work answer {view["id"]} "..."')


def tell_end(view: Json) -> int:
    """Says on stderr why an item did not succeed and what to do next; the exit code for it."""
    state = view["state"]
    if state == "succeeded":
        return EXIT_OF[state]
    error = view.get("error") or {}
    if state == "parked":
        speaking.note(f"daruma: {view['id']} is parked ({view['reason']}): it waits for {view['waits_for']}")
    else:
        why = error.get("message") or (view.get("cancelled") or {}).get("reason")
        speaking.note(f"daruma: {view['id']} is {state}" + (f": {why}" if why else ""))
    if open_questions(view):
        tell_questions(view)
        return EXIT_OF[state]
    if state == "parked" and error.get("message"):
        speaking.note(f"  {error['message']}")
    speaking.note(f"  -> {_next_step(view, error)}")
    return EXIT_OF[state]


def open_questions(view: Json) -> Sequence[str]:
    """What the item asks now: nothing once it is on its way again, for then somebody has answered or waved it through.

    The record keeps what it asked.
    """
    asks = view["state"] == "parked" and view.get("reason") in _ASKING
    return tuple(view.get("questions") or ()) if asks else ()


def _next_step(view: Json, error: Json) -> str:
    name = view["id"]
    look = f"See `daruma work show {name} --attempts`"
    if view["state"] == "cancelled":
        return f"{look}; submit it anew under another id to have it done after all."
    if error.get("kind") == "outcome_unknown":
        answer = f"daruma work answer {name}"
        return f'Look whether it was done, then `{answer} done`, or `{answer} "run again"`.'
    if error.get("kind") == "invalid_item":
        return "Correct what is named, and submit it anew under another id: as it is, every try ends the same."
    return f"{look}; `daruma work retry {name}` tries it again."


def _teller(line: Line, item: str, *, stages: bool) -> Callable[[], None]:
    """Tells what keeps an item from its turn, and its `stages` if asked, whenever that has changed."""
    told = ""

    def tell() -> None:
        nonlocal told
        view = line.client.call("work show", id=item)
        missing = f"waits for {view['waits_for']}" if view["state"] in _TO_COME and view["waits_for"] else ""
        stage = f"{view['state']} {view['stage']} (attempt {view['attempt']})" if stages else ""
        now = missing or stage
        if now and now != told:
            speaking.note(f"{item}: {now}")
        told = now

    return tell
