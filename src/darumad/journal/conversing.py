"""Conversations: what was asked and answered in them, by the position at which each of their items succeeded.

Which of it an item is shown is fixed when its attempt begins, by position too: a resumed attempt is shown the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from darumad.journal.batch import Batch
from darumad.journal.requests import Held, Move
from darumad.names import ItemId
from darumad.values import changed
from darumad.work.conversation import MOST, Exchange, turns_of


def keep(batch: Batch, succeeded: Sequence[Move], rows: Mapping[ItemId, int]) -> None:
    """What these leave for the next of their conversations."""
    said = [
        (rows[each.item], batch.position, each.exchange.asked, each.exchange.answered)
        for each in succeeded
        if each.exchange is not None
    ]
    batch.run_if_any("keep_exchanges", said)


def shown(batch: Batch, held: Sequence[Held], rows: Sequence[int], begun: Sequence[int]) -> tuple[Held, ...]:
    """`held`, which stand in `rows`, with the earlier turns of their conversations.

    In those of `begun` a new attempt begins.
    """
    talking = [row for row, each in zip(rows, held, strict=True) if each.record.item.conversation is not None]
    if not talking:
        return tuple(held)
    batch.run_if_any("fix_exchanges", [row for row in talking if row in begun], position=batch.position)
    before: defaultdict[int, list[Exchange]] = defaultdict(list)
    for row, asked, answered in batch.run("exchanges_before", talking, most=MOST):
        before[row].append(Exchange(asked, answered))
    return tuple(changed(each, turns=turns_of(before[row])) for row, each in zip(rows, held, strict=True))
