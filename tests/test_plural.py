"""One of anything is told in the singular, wherever it is told."""

import pytest

from darumad.cli.speaking import amount_words
from darumad.plural import counted, listed


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (11, "11 entries")],
)
def test_only_one_is_told_in_the_singular(count: int, told: str) -> None:
    assert counted(count, "entry", "entries") == told


def test_a_plural_that_is_not_said_ends_with_an_s() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


@pytest.mark.parametrize(
    ("names", "told"),
    [("", ""), ("a", "a"), ("ab", "a, b"), ("abc", "a, b and 1 more"), ("abcd", "a, b and 2 more")],
)
def test_only_so_many_names_are_told_and_how_many_more_there_are(names: str, told: str) -> None:
    assert listed(names, 2) == told


def test_one_call_of_one_token_is_told_as_that() -> None:
    assert amount_words({"nano_usd": None, "tokens": 1, "calls": 1}) == "1 token, 1 call"
