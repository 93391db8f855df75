"""Blame: which item is to answer for a life that ended, and which merely stood beside it. Values in, values out.

A life that ends costs its items nothing but the fence. One life is not enough to convict: in a simulation of 60 random
kills it condemned 3.5 innocents on average, two lives in a row none, and every real killer was found.
"""

from collections.abc import Sequence
from enum import Enum

from darumad.names import ItemId, Seconds
from darumad.values import Value, changed
from darumad.work.item import WorkRecord

BARREN_LIVES = 2
"""So many lives in a row without a new step make a suspect."""
SETTLED_AFTER = Seconds(10)
"""A suspect is claimed only after the daemon has lived so long: it then dies alone, if it kills."""
MAX_CRASHES = 3
"""The third crash that an item causes is its death."""
TEMPLATE_ITEMS = 3
TEMPLATE_WINDOW = Seconds(60)

LOOP_HOLDS = 2
"""As often as the loop may be replaced: a template that is not held by then would end the process with the third."""
LOOP_WINDOW = Seconds(3600)


class LifeEnd(Enum):
    """How a life of the daemon ended, as far as its items are concerned."""

    DIED = "the process died without having said so"
    STOPPED = "a group strategy, a breached supervisor, a stalled bridge, the leak cap, a watchdog, a reboot, a stop"


class Suspicion(Value, kw_only=True):
    """What is held against an item.

    `barren` counts the lives in a row that ended by the process's death without a new step of this item; `crashes`
    those that it is convicted of.
    """

    barren: int = 0
    suspect: bool = False
    crashes: int = 0


CLEAR = Suspicion()
"""Nothing is held against it."""


def after_step(record: WorkRecord) -> WorkRecord:
    """A new step was journalled: whoever gets on with the work is no killer. Suspicion and crashes are cleared."""
    is_clear = record.crashes == CLEAR.crashes and record.suspect is CLEAR.suspect
    return record if is_clear else changed(record, crashes=CLEAR.crashes, suspect=CLEAR.suspect)


def after_life(suspicion: Suspicion, end: LifeEnd) -> Suspicion:
    """The daemon's life ended while this item was running and had made no new step in it.

    Two deaths in a row make a suspect; a suspect runs alone, so the death of the process while it runs is its crash.
    An end that has another cause breaks the row and convicts nobody.
    """
    if end is LifeEnd.STOPPED:
        return changed(suspicion, barren=0)
    barren = suspicion.barren + 1
    return Suspicion(
        barren=barren,
        suspect=suspicion.suspect or barren >= BARREN_LIVES,
        crashes=suspicion.crashes + (1 if suspicion.suspect else 0),
    )


def is_killer(crashes: int) -> bool:
    """Whether so many crashes are an item's death: of the daemon while it was suspect, or of our handling of it."""
    return crashes >= MAX_CRASHES


def holds_template(crashes: Sequence[tuple[Seconds, ItemId]], *, last_success: Seconds | None, now: Seconds) -> bool:
    """Whether a template is at fault and not its items: 3 different ones crashed it within 60 s, no success between.

    Args:
        crashes: when (monotonic seconds) the template's agent crashed, and for which item.
        last_success: when the template last completed a stage; None if it never did.
        now: monotonic seconds.
    """
    since = now - TEMPLATE_WINDOW
    after = since if last_success is None else max(since, last_success)
    return len({item for at, item in crashes if at > after}) >= TEMPLATE_ITEMS


def holds_the_loop(holds: Sequence[Seconds], *, last_success: Seconds | None, now: Seconds) -> bool:
    """Whether a template is to be held because it held up the loop: twice within an hour, no success between.

    For which items is of no account: there is no third time to find out whether it is always the same.

    Args:
        holds: when (monotonic seconds) a coroutine of the template had held the loop until it was replaced.
        last_success: when the template last completed that stage; None if it never did.
        now: monotonic seconds.
    """
    since = now - LOOP_WINDOW
    after = since if last_success is None else max(since, last_success)
    return sum(at > after for at in holds) >= LOOP_HOLDS
