"""Schemas that users bring: made ready once, and refused in our own words when they are none."""

from typing import Any

import jsonschema_rs
import pytest

from darumad.agents.schemas import SchemaUnusable, violations


def test_a_schema_is_made_ready_once_however_many_results_are_held_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = jsonschema_rs.validator_for

    def counted(schema: str, **how: Any) -> jsonschema_rs.Validator:
        made.append(schema)
        return make(schema, **how)

    monkeypatch.setattr(jsonschema_rs, "validator_for", counted)
    told = [violations({"type": "object", "title": word}, []) for word in ("one", "other", "one")]
    assert told == [('/: [] is not of type "object"',)] * 3
    assert len(made) == 2


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"const": {1, 2}}, {"const": 2**70}])
def test_a_schema_that_is_none_is_said_to_be_unusable_each_time(schema: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(SchemaUnusable):
            violations(schema, None)
