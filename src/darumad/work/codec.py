"""Items, results and reviews as plain JSON dicts, and back: what the journal stores and the doors send.

Writing gives every field, so a stored item does not change its meaning when a default does. Reading takes the
default for a field that is not there and passes over one it does not know, so older and newer rows can be read.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from darumad.names import Role, Stage
from darumad.values import asdict
from darumad.work.gates import Finding, Gate, Review, Verdict, in_order
from darumad.work.item import NO_LIMITS, Input, Limits, WorkItem
from darumad.work.model import Message
from darumad.work.plan import Plan, PlannedItem
from darumad.work.result import UNUSED, Artifact, Failure, StopReason, Usage, WorkResult

Json = dict[str, Any]
T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)
Readers = Mapping[str, Callable[[Any], Any]]


def item_to_json(item: WorkItem) -> Json:
    """`item` as JSON, every field by its own name; what is a tuple of texts stays one."""
    return {
        **asdict(item),
        "role": str(item.role),
        "stages": list(map(str, item.stages)),
        "messages": list(map(message_to_json, item.messages)),
        "inputs": list(map(asdict, item.inputs)),
        "budget": limits_to_json(item.budget),
        "labels": dict(item.labels),
    }


def item_from_json(data: Mapping[str, Any]) -> WorkItem:
    """The item that `item_to_json` wrote.

    Raises:
        TypeError: a field without a default (`id`, `description`) is missing.
        ValueError: a word is of no known role or stage.
    """
    return _read(WorkItem, data, _ITEM)


def result_to_json(result: WorkResult) -> Json:
    """`result` as JSON. `success` is told for the reader's sake; `nano_usd` stays an integer, or null where unknown."""
    return {
        "success": result.success,
        "stop_reason": str(result.stop_reason),
        "data": result.data,
        "text": result.text,
        "artifacts": list(map(asdict, result.artifacts)),
        "error": failure_to_json(result.error) if result.error else None,
        "usage": usage_to_json(result.usage),
        "duration": result.duration,
        "model": result.model,
        "template": result.template,
        "resources_version": result.resources_version,
        "memory_ids": list(result.memory_ids),
        "notes": dict(result.notes),
    }


def result_from_json(data: Mapping[str, Any]) -> WorkResult:
    """The result that `result_to_json` wrote. `success` is not read: it follows from the stop reason.

    Raises:
        TypeError: `stop_reason` is missing.
        ValueError: the stop reason is none of the closed set.
    """
    return _read(WorkResult, data, _RESULT)


def review_to_json(review: Review) -> Json:
    """`review` as JSON, with what it sums up to: `passed`, `undecided`, `issues` and `confidence` are derived."""
    return {
        "passed": review.passed,
        "undecided": list(map(str, in_order(review.undecided))),
        "issues": list(review.issues),
        "confidence": review.confidence,
        "gates": {str(gate): _finding_to_json(found) for gate, found in review.gates.items()},
        "required": list(map(str, in_order(review.required))),
        "recommendations": list(review.recommendations),
        "suggested_tests": list(review.suggested_tests),
        "requirements": dict(review.requirements),
    }


def review_from_json(data: Mapping[str, Any]) -> Review:
    """The review that `review_to_json` wrote. What is derived is not read: nobody can write `passed` into a review.

    Raises:
        TypeError: `gates` or `required` is missing.
        ValueError: a word is of no known gate or verdict.
    """
    return _read(Review, data, _REVIEW)


def plan_to_json(plan: Plan) -> Json:
    """`plan` as JSON: its `items`, and the `stages` that each of them walks."""
    return {"items": list(map(_planned_to_json, plan.items)), "stages": list(map(str, plan.stages))}


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan that `plan_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    return Plan(items=planned_from_json(data), stages=_many(_stage)(data["stages"]))


def planned_from_json(data: Mapping[str, Any]) -> tuple[PlannedItem, ...]:
    """The items of a plan alone, as whoever plans names them; raises as `plan_from_json`."""
    return _many(lambda each: _read(PlannedItem, each, _PLANNED))(data["items"])


def usage_to_json(usage: Usage) -> Json:
    """`usage` as JSON; `nano_usd` is null where a price is unknown."""
    return asdict(usage)


def usage_from_json(data: Mapping[str, Any]) -> Usage:
    """The usage that `usage_to_json` wrote."""
    return UNUSED if data == _UNUSED else _read(Usage, data, {})


def limits_to_json(limits: Limits) -> Json:
    """`limits` as JSON; null means no limit."""
    return asdict(limits)


def limits_from_json(data: Mapping[str, Any]) -> Limits:
    """The limits that `limits_to_json` wrote."""
    return NO_LIMITS if data == _UNLIMITED else _read(Limits, data, {})


def message_to_json(message: Message) -> Json:
    """A turn of a dialogue that people can write: `message` without what only a model says."""
    return {"role": message.role, "text": message.text}


def message_from_json(data: Mapping[str, Any]) -> Message:
    """The turn that `message_to_json` wrote."""
    return Message(role=data["role"], text=data["text"])


def failure_to_json(failure: Failure) -> Json:
    """`failure` as JSON."""
    return {
        "kind": failure.kind,
        "message": failure.message,
        "error_type": failure.error_type,
        "hints": list(failure.hints),
        "retry_after": failure.retry_after,
        "circuit_open": failure.circuit_open,
        "target_answered": failure.target_answered,
        "budget": failure.budget,
        "needs": dict(failure.needs),
    }


def failure_from_json(data: Mapping[str, Any]) -> Failure:
    """The failure that `failure_to_json` wrote.

    Raises:
        TypeError: `kind` or `message` is missing.
    """
    return _read(Failure, data, _FAILURE)


def _finding_to_json(finding: Finding) -> Json:
    return {"verdict": str(finding.verdict), "issues": list(finding.issues)}


def _read(kind: type[T], data: Mapping[str, Any], readers: Readers) -> T:
    """A `kind` of the fields of `data` that it knows, each through its reader if it has one."""
    names = _NAMES[kind]
    known = {**data} if data.keys() <= names else {name: value for name, value in data.items() if name in names}
    for name, read in readers.items():
        if name in known:
            known[name] = read(known[name])
    return kind(**known)


def _many(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(map(read, values)) if values else ()


def _word_of(words: type[W]) -> Callable[[Any], W]:
    """Reads a word of a closed set. A table is asked: calling an enum takes longer than all the rest of a result."""
    known: Mapping[Any, W] = {word.value: word for word in words}

    def read(word: Any) -> W:
        try:
            return known[word]
        except (KeyError, TypeError):
            return words(word)  # raises the ValueError that names it

    return read


_gate, _verdict, _stage = _word_of(Gate), _word_of(Verdict), _word_of(Stage)


def _planned_to_json(each: PlannedItem) -> Json:
    return {**asdict(each), "depends_on": list(each.depends_on), "requirements": list(each.requirements)}


def _finding_from_json(data: Mapping[str, Any]) -> Finding:
    return Finding(_verdict(data["verdict"]), tuple(data["issues"]))


_NAMES: Mapping[type, frozenset[str]] = {
    kind: frozenset(kind.__struct_fields__)
    for kind in (WorkItem, Input, Limits, WorkResult, Artifact, Failure, Usage, Review, PlannedItem)
}
_ITEM: Readers = {
    "role": _word_of(Role),
    "stages": _many(_stage),
    "messages": _many(message_from_json),
    "requires": tuple,
    "depends_on": tuple,
    "requirements": tuple,
    "constraints": tuple,
    "tech_stack": tuple,
    "tests": tuple,
    "inputs": _many(lambda each: _read(Input, each, {})),
    "budget": limits_from_json,
}
_UNUSED, _UNLIMITED = usage_to_json(UNUSED), limits_to_json(NO_LIMITS)
_FAILURE: Readers = {"hints": tuple}
_RESULT: Readers = {
    "stop_reason": _word_of(StopReason),
    "memory_ids": tuple,
    "artifacts": _many(lambda each: _read(Artifact, each, {})),
    "error": lambda each: failure_from_json(each) if each else None,
    "usage": usage_from_json,
}
_PLANNED: Readers = {
    "priority": int,  # to a JSON Schema, 5.0 is an integer
    "depends_on": tuple,
    "requirements": tuple,
    "success_criteria": lambda each: each or None,
}
_REVIEW: Readers = {
    "gates": lambda gates: {_gate(gate): _finding_from_json(found) for gate, found in gates.items()},
    "required": lambda gates: frozenset(map(_gate, gates)),
    "recommendations": tuple,
    "suggested_tests": tuple,
}
