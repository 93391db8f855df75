"""The one form that a value is written in: of what cannot be, the place is named."""

from math import inf, nan
from typing import Any

import pytest

from darumad.work.canonical import canonical, digest, no_number, unwritable


def test_two_values_that_are_equal_are_written_the_same() -> None:
    assert canonical({"b": (1, None), "a": {"d": 2.5, "c": "ü"}}) == canonical(
        {"a": {"c": "ü", "d": 2.5}, "b": [1, None]}
    )


def test_a_digest_is_what_it_was_in_every_version_that_says_the_same_word() -> None:
    """Those on disk are compared with those made now: another would turn every retry into a conflict."""
    written = "v1:ffa583105f210d7e1110dbe2d24d9e0072425b7b7d74c3decbe1b36e815c9aa6"
    assert digest({"b": [1, 2.5, None, "ü"], "a": {}}) == written


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1, 2}, ""),
        ({"a": 1, "b": {"c": [0, {1}]}}, "/b/c/1"),
        ({"a": [{"x": 2**64}, {1}]}, "/a/0/x"),
        ({"a/b": {"~": "lone \ud800"}}, "/a~1b/~0"),
        ({"a": ({}, ({1},))}, "/a/1/0"),
        ({"a": {1: "a key that is no string"}}, "/a"),
    ],
)
def test_the_first_thing_that_cannot_be_written_is_named(value: Any, place: str) -> None:
    with pytest.raises(TypeError):
        canonical(value)
    assert unwritable(value) == place


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [None, 1.5, "null"]}, None),
        (nan, ""),
        ({"a": None, "b": [1.5, {"c": -inf}], "d": nan}, "/b/1/c"),
        ({"a/b": (0, nan)}, "/a~1b/1"),
    ],
)
def test_the_first_number_that_would_be_written_as_nothing_is_named(value: Any, place: str | None) -> None:
    assert no_number(value) == place
