"""A conversation: what an item of one is shown of those before it, and how much of it. Pure."""

from collections.abc import Sequence
from typing import Any

from darumad.values import Value
from darumad.work.canonical import canonical
from darumad.work.codec import message_to_json
from darumad.work.item import WorkItem
from darumad.work.model import Message
from darumad.work.result import WorkResult

LONGEST = 50_000
"""Characters that are kept of one text: as many as a description may have."""
ROOM = 256_000
"""Bytes of earlier turns that an item is shown at most: the critical share of a context of 200,000 tokens."""
MOST = 100
"""How many exchanges are looked at."""


class Exchange(Value):
    """What one item of a conversation asked, and what it was answered."""

    asked: str
    answered: str


def exchange_of(item: WorkItem, result: WorkResult) -> Exchange | None:
    """What `item` leaves for the next of its conversation: None without one, or where there are no words."""
    if item.conversation is None:
        return None
    answered = result.text.strip() or _words(result.data)
    return Exchange(item.description[:LONGEST], answered[:LONGEST]) if answered else None


def turns_of(exchanges: Sequence[Exchange]) -> tuple[Message, ...]:
    """The dialogue of these exchanges, the oldest first; of too many or too long ones the newest."""
    turns = [
        turn
        for each in exchanges
        for turn in (Message(role="user", text=each.asked), Message(role="assistant", text=each.answered))
    ]
    return newest(tuple(turns), ROOM)


def newest(turns: tuple[Message, ...], room: int) -> tuple[Message, ...]:
    """The last exchanges of `turns` that fit into `room` bytes: no question without its answer."""
    first = len(turns)
    for begins in range(len(turns) - 2, -1, -2):
        room -= sum(len(canonical(message_to_json(each))) for each in turns[begins : begins + 2])
        if room < 0:
            break
        first = begins
    return turns[first:]


def _words(data: Any) -> str:
    return "" if data is None else canonical(data).decode()
