"""Canonical JSON and digests: one byte string for one value, so that equal things are seen to be equal.

Both are stored and compared across versions of Daruma. What is made here may change only with a new version word.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

DIGEST_VERSION = "v1"
"""How `digest` reads a value. It is part of every digest, so a changed rule shows as a mismatch of versions."""


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no spaces, in UTF-8.

    Raises:
        TypeError: something in `value` is no JSON: a set, a key that is no string, an integer beyond 64 bits,
            text with a lone surrogate.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


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
