"""What an item of a conversation leaves for the next, and how much of it that one is shown."""

from typing import Any

import pytest

from darumad.work.conversation import LONGEST, ROOM, Exchange, exchange_of, newest, turns_of
from darumad.work.result import StopReason, WorkResult
from tests.work.build import item


def left(**said: Any) -> Exchange | None:
    result = WorkResult(stop_reason=StopReason.COMPLETED, **said)
    return exchange_of(item(description="Name a colour.", conversation="talk"), result)


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ({"text": "Blue."}, "Blue."),
        ({"text": "Blue.", "data": 1}, "Blue."),
        ({"data": {"b": 1, "a": 2}}, '{"a":2,"b":1}'),
    ],
)
def test_an_item_leaves_its_description_and_its_answer_as_text_or_else_its_data(said: Any, answered: str) -> None:
    assert left(**said) == Exchange("Name a colour.", answered)


def test_nothing_is_left_where_there_are_no_words_or_there_is_no_conversation() -> None:
    assert left(text=" \n") is None
    assert exchange_of(item(), WorkResult(stop_reason=StopReason.COMPLETED, text="Blue.")) is None


def test_a_long_answer_is_kept_by_its_beginning() -> None:
    exchange = left(text="x" * (LONGEST + 1))
    assert exchange is not None
    assert len(exchange.answered) == LONGEST


def test_of_many_exchanges_the_newest_are_shown_the_oldest_first() -> None:
    turns = turns_of([Exchange(f"ask {n}", "x" * 49_000) for n in range(9)])
    assert [(each.role, each.text) for each in turns][::2] == [("user", f"ask {n}") for n in range(4, 9)]
    assert sum(len(each.text) for each in turns) < ROOM


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (58, 0), (59, 2), (117, 2), (118, 4)])
def test_no_question_is_shown_without_its_answer(room: int, kept: int) -> None:
    turns = turns_of([Exchange("one", "1"), Exchange("two", "2")])
    assert newest(turns, room) == (turns[-kept:] if kept else ())
