"""Canonical JSON and digests: one byte string for one value, so that equal things are seen to be equal.

Both are stored and compared across versions of Daruma. What is made here may change only with a new version word.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import orjson

from darumad.errors import pointer

DIGEST_VERSION = "v1"
"""How `digest` reads a value. It is part of every digest, so a changed rule shows as a mismatch of versions."""
_DEEPEST = 255
"""What is nested deeper is not written."""
_FINITE_ONLY = json.JSONEncoder(allow_nan=False, check_circular=False)
"""Slower than `canonical`, but it does not take `nan` for `null`."""


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no spaces, in UTF-8.

    Raises:
        TypeError: something in `value` is no JSON: a set, a key that is no string, an integer beyond 64 bits,
            text with a lone surrogate.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def unwritable(value: Any) -> str:
    """Where in `value`, as a JSON pointer, the first thing stands that `canonical` cannot write; `value` holds one."""
    where = ""
    for _ in range(_DEEPEST):
        key, value = next(((key, each) for key, each in _parts(value) if not _is_written(each)), (None, None))
        if key is None:
            break
        where += pointer(key)
    return where


def no_number(value: Any) -> str | None:
    """Where in `value`, which `canonical` can write, a number stands that JSON has none for (`nan`, `inf`).

    It would be written as `null`, and nobody would know.
    """
    if b"null" not in canonical(value):
        return None
    try:
        _FINITE_ONLY.encode(value)
    except (TypeError, ValueError):  # it is there, or there is what only `canonical` can write
        return _no_number(value, "")
    return None


def _no_number(value: Any, where: str) -> str | None:
    if isinstance(value, float) and not isfinite(value):
        return where
    found = (_no_number(each, where + pointer(key)) for key, each in _parts(value))
    return next((each for each in found if each is not None), None)


def _parts(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return ((str(key), each) for key, each in value.items())
    return enumerate(value) if isinstance(value, list | tuple) else ()


def _is_written(value: Any) -> bool:
    try:
        canonical(value)
    except TypeError:
        return False
    return True


def digest(value: Any) -> str:
    """The version and the sha256 of `value`'s canonical JSON, such as `v1:9f86d0...`.

    Raises:
        TypeError: as `canonical`.
    """
    return f"{DIGEST_VERSION}:{hashlib.sha256(canonical(value)).hexdigest()}"


def digest_of_sent(fields: Mapping[str, Any]) -> str:
    """The digest by which a repeated submit is known as the same: over what the caller sent, nothing defaulted.

    A default that changes with a release therefore never turns a caller's honest retry into a `conflict`. The id
    is the key that the digest is stored under, so it is left out.

    Raises:
        TypeError: as `canonical`.
    """
    said = dict(fields)
    said.pop("id", None)
    return digest(said)
