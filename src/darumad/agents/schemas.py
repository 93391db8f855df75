"""JSON Schemas that users and prompts bring: checked here, and nothing is ever fetched for one."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson
from jsonschema_rs import Validator

from darumad.errors import Problem, pointer

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
    found = (
        f"{pointer(*each.instance_path) or '/'}: {each.message}" for each in _validator_of(schema).iter_errors(value)
    )
    return tuple(sentence for sentence, _ in zip(found, range(MOST), strict=False))


def closed(**properties: Any) -> dict[str, Any]:
    """The schema of an object with just these properties, all of them required: a form that every provider takes."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def problems_of(schema: Mapping[str, Any] | None) -> tuple[Problem, ...]:
    """Why a result could not be held against an item's `output_schema`, told before anything is spent on it."""
    if schema is None:
        return ()
    try:
        _validator_of(schema)
    except SchemaUnusable as error:
        return (Problem("/output_schema", str(error)),)
    return ()


def _validator_of(schema: Mapping[str, Any]) -> Validator:
    try:
        return _validator(orjson.dumps(dict(schema)).decode())
    except TypeError as error:
        raise SchemaUnusable(f"it is no JSON: {error}") from error


@lru_cache(64)
def _validator(schema: str) -> Validator:
    """Kept, for an agent's items and a tool's calls share a schema, and to make it takes twenty times the checking."""
    try:
        return jsonschema_rs.validator_for(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaUnusable(str(error).splitlines()[0]) from error


def _refuse(uri: str) -> Any:
    raise LookupError(f"the schema refers to {uri}, and nothing is fetched for a schema")
