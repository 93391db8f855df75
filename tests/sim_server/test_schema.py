"""What a simulated model answers to a schema: something that fits it, also where its parts name each other."""

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
import pytest

from darumad.sim.schema import value_for


def named(**parts: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that is the first of these parts, each of which may name the others."""
    return {"$ref": f"#/$defs/{next(iter(parts))}", "$defs": parts}


def of(**members: object) -> dict[str, Any]:
    """An object that must have all of these."""
    return {"type": "object", "properties": members, "required": [*members], "additionalProperties": False}


def chain(part: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Twenty parts, each of which names the one that follows."""
    return {f"n{at}": part({"$ref": f"#/$defs/n{at + 1}"}) for at in range(20)}


NODE = {"$ref": "#/$defs/node"}
NUMBER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (named(node=of(n=NUMBER)), {"n": 1}),
        (of(a={"$ref": "#/definitions/b"}) | {"definitions": {"b": {"enum": ["x", "y"]}}}, {"a": "x"}),
        ({"$ref": "#/$defs/a~1b~0c%20d", "$defs": {"a/b~c d": NUMBER}}, 1),
        (named(node=of(n=NUMBER, next={"anyOf": [NODE, {"type": "null"}]})), {"n": 1, "next": None}),
        (named(node=of(n=NUMBER, below={"type": "array", "items": NODE})), {"n": 1, "below": []}),
        (named(node=of(n=NUMBER) | {"properties": {"n": NUMBER, "next": NODE}}), {"n": 1}),
        ({"type": "object", "properties": {"again": {"$ref": "#"}}}, {}),
        (named(node=of(other={"$ref": "#/$defs/other"}), other={"properties": {"n": NUMBER, "back": NODE}}),
         {"other": {"n": 1}}),
        (named(node={"anyOf": [of(next=NODE), of(n=NUMBER)]}), {"n": 1}),
        (of(both=NODE, again=NODE) | {"$defs": {"node": NUMBER}}, {"both": 1, "again": 1}),
    ],
)  # fmt: skip
def test_a_part_that_is_named_is_answered_and_one_that_contains_itself_has_an_end(schema: Any, value: object) -> None:
    assert value_for(schema) == value
    jsonschema_rs.validate(schema, value)


@pytest.mark.parametrize(
    "schema",
    [
        named(node=NODE),
        named(node=of(next=NODE)),
        named(node={"type": "array", "minItems": 1, "items": NODE}),
        named(**chain(lambda following: {"type": "array", "minItems": 9, "items": following})),
        {"type": "array", "minItems": 1 << 40},
        {"type": "array", "minItems": 1 << 40, "items": True},
    ],
    ids=["itself", "in each of its own", "a list of itself", "billions", "a long list", "a long list of anything"],
)  # fmt: skip
def test_a_schema_that_nothing_fits_or_nothing_that_is_small_is_answered_with_nothing(schema: Any) -> None:
    assert value_for(schema) is None


def test_members_that_may_be_left_out_are_left_out_where_they_come_to_too_much() -> None:
    schema = named(**chain(lambda following: {"properties": dict.fromkeys("abcdefgh", following)}), n20=NUMBER)
    jsonschema_rs.validate(schema, value_for(schema))


@pytest.mark.parametrize("name", ["#/$defs/gone", "#/$defs", "#/type/x", "#anchor", "http://localhost/x", "", 5])
def test_a_part_that_is_not_there_takes_anything(name: object) -> None:
    assert value_for({"$ref": name, "type": "object"}) is None
