"""What an exception says is told to people: without what is secret, and never as a key cut in half."""

import pytest

from darumad.agents.raised import LENGTH, fitted, words_of
from darumad.redaction import redact

KEY = "a-key-that-was-loaded-0815"


@pytest.fixture(autouse=True)
def _loaded() -> None:
    redact.conceal(KEY)


def test_what_is_secret_is_not_told() -> None:
    assert words_of(PermissionError(f"no entry with {KEY}")) == "PermissionError: no entry with [redacted]"
    assert fitted("https://me:hunter-two@host/") == "https://me:[redacted]@host/"


@pytest.mark.parametrize("before", range(LENGTH - 40, LENGTH + 5))
def test_a_key_at_the_place_where_the_text_is_cut_is_taken_out_first(before: int) -> None:
    assert KEY[:4] not in words_of(ValueError("." * before + KEY))
