"""A value for a JSON Schema: the smallest that its types allow. Enough for a model's answer that must have a form."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from darumad.sim.scenario import Asked, Reply

_PLAIN: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}
_DEEPEST = 64
_PARTS = 10_000
"""So many parts of a value are tried. A few definitions, each of which names the next one twice, come to billions."""


class _Endless(Exception):  # noqa: N818 - it reads as what was found
    """A part of a schema that contains itself, or that is too much."""


def value_for(schema: Any) -> Any:
    """A value that fits the schema's types, enums and properties; no pattern is looked at, no bound but `minItems`.

    A part that contains itself is left out where it may be. None where it may nowhere: nothing fits such a schema.
    """
    try:
        return _Value(schema, iter(range(_PARTS))).of(schema)
    except _Endless:
        return None


@dataclass(frozen=True, slots=True)
class _Value:
    """What is made for the parts of one schema, of which some are named at its `root`; `left` are those to be tried."""

    root: Any
    left: Iterator[int]

    def of(self, schema: Any, within: Sequence[Any] = ()) -> Any:
        """A value for a part of the schema that lies `within` others."""
        if len(within) > _DEEPEST or any(each is schema for each in within) or next(self.left, None) is None:
            raise _Endless
        if not isinstance(schema, Mapping):  # `true` is a schema too, and takes anything
            return None
        if "const" in schema or schema.get("enum"):
            return schema["const"] if "const" in schema else schema["enum"][0]
        if "$ref" in schema:
            return self.of(self._named(schema["$ref"]), (*within, schema))
        branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if branches:
            return self._first(branches, (*within, schema))
        return self._of_type(schema, (*within, schema))

    def _named(self, name: object) -> Any:
        """The part that a `$ref` names: `#`, or a path from there; one that is not there takes anything."""
        root, *steps = unquote(str(name)).split("/")
        part = self.root if root == "#" else None
        for step in steps:
            part = part.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
        return part

    def _first(self, branches: Sequence[Any], within: Sequence[Any]) -> Any:
        """A value for the first branch that has an end."""
        for each in branches:
            with suppress(_Endless):
                return self.of(each, within)
        raise _Endless

    def _of_type(self, schema: Mapping[str, Any], within: Sequence[Any]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return dict(self._members(schema, within))
        return list(self._items(schema, within)) if kind == "array" else _PLAIN.get(kind)

    def _members(self, schema: Mapping[str, Any], within: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        for name, each in schema.get("properties", {}).items():
            try:
                yield name, self.of(each, within)
            except _Endless:
                if name in schema.get("required", ()):
                    raise

    def _items(self, schema: Mapping[str, Any], within: Sequence[Any]) -> Iterator[Any]:
        for _ in range(schema.get("minItems", 1)):
            try:
                yield self.of(schema.get("items", {}), within)
            except _Endless:
                if "minItems" in schema:
                    raise


def said_in(reply: Reply, asked: Asked) -> str:
    """The text of a reply: its own words, or a value for the schema that was asked for; nothing beside tool calls."""
    if reply.text or reply.mute:
        return reply.text
    return json.dumps(value_for(asked.schema)) if asked.schema and not reply.tool_calls else ""
