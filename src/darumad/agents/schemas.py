"""JSON Schemas that users and prompts bring: checked here, and nothing is ever fetched for one."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from darumad.errors import Problem

MOST = 20
"""How many violations are told at once."""
_BACKTRACKS = 100_000
"""The most that a schema's pattern may backtrack: one that explodes on some text is a violation, not a stall."""


class SchemaUnusable(ValueError):  # noqa: N818 - it reads as what it is
    """A schema that is none, or that refers to something outside itself."""


def violations(schema: Mapping[str, Any], value: Any) -> tuple[str, ...]:
    """Where and how `value` breaks `schema`: one sentence each, with a JSON pointer. Empty when it holds.

    Raises:
        SchemaUnusable: the schema is not valid, or has a reference that leads out of it.
    """
    try:
        validator = jsonschema_rs.validator_for(
            dict(schema),
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaUnusable(str(error).splitlines()[0]) from error
    found = (f"{_pointer(each.instance_path)}: {each.message}" for each in validator.iter_errors(value))
    return tuple(sentence for sentence, _ in zip(found, range(MOST), strict=False))


def problems_of(schema: Mapping[str, Any] | None) -> tuple[Problem, ...]:
    """Why a result could not be held against an item's `output_schema`, told before anything is spent on it."""
    if schema is None:
        return ()
    try:
        violations(schema, None)
    except SchemaUnusable as error:
        return (Problem("/output_schema", str(error)),)
    return ()


def _refuse(uri: str) -> Any:
    raise LookupError(f"the schema refers to {uri}, and nothing is fetched for a schema")


def _pointer(path: list[str | int]) -> str:
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
