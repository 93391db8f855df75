"""One of anything is told in the singular, wherever it is told."""

import pytest

from darumad.cli.speaking import amount_words
from darumad.plural import counted


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (11, "11 entries")],
)
def test_only_one_is_told_in_the_singular(count: int, told: str) -> None:
    assert counted(count, "entry", "entries") == told


def test_a_plural_that_is_not_said_ends_with_an_s() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_one_call_of_one_token_is_told_as_that() -> None:
    assert amount_words({"nano_usd": None, "tokens": 1, "calls": 1}) == "1 token, 1 call"
