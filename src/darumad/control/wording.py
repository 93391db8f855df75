"""What is wrong with a request's form, in the house's own words: in those of JSON, and with what was sent."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from darumad.control.fields import PATTERNS, NoLimit
from darumad.control.wire import BudgetAsked, InputAsked, MessageAsked, SubmitRequest
from darumad.errors import Problem, did_you_mean, pointer
from darumad.redaction import redact

_FORMS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a finite number"),
    **dict.fromkeys(("enum", "literal_error"), "must be one of {expected}"),
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
}
"""What each kind of pydantic's errors asks for, in words of JSON: who sends a request knows nothing of tuples."""
_UNSHOWN = frozenset({
    "missing", "string_pattern_mismatch", "string_too_short", "string_too_long", "too_short", "too_long",
})  # fmt: skip
"""The kinds of which what was sent says no more: it is not there, stands in the path, or is too long."""
_SHOWN = 80
"""Characters of what was sent that are told."""
_UNTOLD = object()
"""Stands for what was sent where it must not be told."""


_KEY = "[key]"
"""How pydantic says that it is not the value that is wrong."""


def problems_of(error: ValidationError, model: type[BaseModel], sent: Any) -> tuple[Problem, ...]:
    """What is wrong with a request, each with a JSON pointer; for an unknown field what was perhaps meant.

    What was `sent` is told, where it is short and no secret.
    """
    found: dict[str, Problem] = {}
    sent = _UNTOLD if any(each.annotation is SecretStr for each in model.model_fields.values()) else sent
    for each in error.errors(include_url=False, include_input=False):
        if each["type"] == "too_short" and _written(sent, each["loc"]):
            continue  # its entries were refused, each by itself
        problem = _problem(each, model, sent)
        found.setdefault(problem.pointer, problem)
    return tuple(found.values())


def _problem(each: Mapping[str, Any], model: type[BaseModel], sent: Any) -> Problem:
    where = _field(tuple(each["loc"]), model)
    if each["type"] == "extra_forbidden":
        return Problem(pointer(*where), _unknown(str(where[-1]), _at(model, where[:-1])))
    said = _in_words(each["type"], each)
    if each["type"] in _UNSHOWN:
        return Problem(pointer(*where), said)
    written = where[-1] if each["loc"][-1] == _KEY else _written(sent, where)
    return Problem(pointer(*where), said + _shown(written))


def _in_words(kind: str, each: Mapping[str, Any]) -> str:
    said = each.get("ctx", {})
    form = PATTERNS.get(said["pattern"]) if kind == "string_pattern_mismatch" else _FORMS.get(kind)
    if form:
        return form.format(**said)
    told = str(each["msg"]).removeprefix("Value error, ")
    return f"must be {told}" if told.startswith(("a ", "an ")) else told


def _written(sent: Any, where: tuple[str | int, ...]) -> Any:
    for part in where:
        sent = _UNTOLD if sent is _UNTOLD else sent[part]
    return sent


def _shown(written: Any) -> str:
    """What was sent, to be said behind what it must be: a list or an object is not told."""
    if written is not None and not isinstance(written, str | int | float):
        return ""
    return f", not {redact(repr(written) if isinstance(written, str) else json.dumps(written))[:_SHOWN]}"


def _field(where: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str | int, ...]:
    """Where a reader finds it: a field that may also be `none` is one place, however its value was tried to be read.

    So are a key and its value.
    """
    where = where[:-1] if where[-1:] == (_KEY,) else where
    field = model.model_fields.get(str(where[0])) if where else None
    return where[:1] if field is not None and NoLimit in get_args(field.annotation) else where


def _unknown(name: str, model: type[BaseModel]) -> str:
    return f"is no field of this request{did_you_mean(name, model.model_fields)}"


_NESTED: Mapping[str, type[BaseModel]] = {
    "inputs": InputAsked,
    "messages": MessageAsked,
    "budget": BudgetAsked,
    "items": SubmitRequest,
}


def _at(model: type[BaseModel], where: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that stands at `where` in a request of `model`."""
    for part in where:
        model = _NESTED.get(str(part), model)
    return model
