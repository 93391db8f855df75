"""A value for a JSON Schema: the smallest that its types allow. Enough for a model's answer that must have a form."""

import json
from collections.abc import Mapping
from typing import Any

from darumad.sim.scenario import Asked, Reply

_PLAIN: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}
_DEEPEST = 16


def value_for(schema: Any, depth: int = 0) -> Any:
    """A value that fits the schema's types, enums and properties; no pattern is looked at, no bound but `minItems`."""
    if depth > _DEEPEST or isinstance(schema, bool):  # `true` is a schema too, and takes anything
        return None
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    return value_for(branches[0], depth + 1) if branches else _of_type(schema, depth)


def _of_type(schema: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: value_for(each, depth + 1) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [value_for(schema.get("items", {}), depth + 1) for _ in range(schema.get("minItems", 1))]
    return _PLAIN.get(kind)


def said_in(reply: Reply, asked: Asked) -> str:
    """The text of a reply: its own words, or a value for the schema that was asked for; nothing beside tool calls."""
    if reply.text or reply.mute:
        return reply.text
    return json.dumps(value_for(asked.schema)) if asked.schema and not reply.tool_calls else ""
