"""Naming: words made into what is sent. Ids are made here, so that a repeat is the same item."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import click

from darumad.clock import SystemClock
from darumad.ids import uuid7


def named(item: Mapping[str, Any]) -> dict[str, Any]:
    """`item` under the id that it has, or under a fresh UUIDv7: a repeat after a lost answer is the same item.

    A null is no id. An empty one is none of ours to mend: a script whose variable is unset would hand in the same work
    again and again.
    """
    given = item.get("id")
    return {**item, "id": uuid7(SystemClock().wall(), secrets.randbits) if given is None else given}


class WordType(click.ParamType[str]):
    """A name that is said: an empty one comes of a variable that is unset, and means no default."""

    name = "word"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value`. Click reports an empty one."""
        if not str(value).strip():
            self.fail("it is empty; leave the option out for what holds without it", param, ctx)
        return str(value)


WORD = WordType()


def _label_of(word: str) -> tuple[str, str]:
    """A label's key and value. Click reports what is none."""
    key, equals, value = word.partition("=")
    if not (key and equals):
        raise click.BadParameter(f"{word!r} is not KEY=VALUE", param_hint="--label")
    return key, value


def labels_of(words: Sequence[str]) -> dict[str, str]:
    """Labels by their keys. Click reports what is none, and a key that is said twice: one value would be lost."""
    labels: dict[str, str] = {}
    for key, value in map(_label_of, words):
        if key in labels:
            raise click.BadParameter(f"{key!r} is said twice; keep one", param_hint="--label")
        labels[key] = value
    return labels


def moment_in(seconds: float | None) -> int | None:
    """The wall milliseconds of the moment that is so far from now."""
    return None if seconds is None else SystemClock().wall() + round(seconds * 1000)
