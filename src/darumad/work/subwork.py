"""Sub-work: under which item another may be handed in. Pure."""

from darumad.names import ItemId
from darumad.work.states import UNFINISHED, WorkState

MAX_DEPTH = 3
"""So many levels of sub-work may lie below an item that is nobody's."""


def refusal_below(parent: ItemId, state: WorkState | None, depth: int) -> str | None:
    """Why nothing can be handed in as sub-work of `parent`; None where it can.

    Args:
        parent: the item that is named.
        state: where that stands; None for one that nobody knows.
        depth: how many levels it is below an item that is nobody's sub-work.
    """
    if state is None:
        return f"is {parent}, which the journal does not know: hand that in first"
    if state not in UNFINISHED:
        return f"is {parent}, which is {state}: what is finished takes no sub-work, leave it out or name another"
    if depth >= MAX_DEPTH:
        return f"is {parent}, which is {depth} levels down, and no more are allowed: name one above it"
    return None
