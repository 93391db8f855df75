"""Items, results and reviews as plain JSON dicts, and back: what the journal stores and the doors send.

Writing gives every field, so a stored item does not change its meaning when a default does. Reading takes the
default for a field that is not there and passes over one it does not know, so older and newer rows can be read. What is
read has the types that its class declares: whatever else stands there is refused with its place.
"""

from collections.abc import Callable, Mapping
from typing import Any

from darumad.values import Decoder, asdict, convert
from darumad.work.gates import Finding, Review, in_order
from darumad.work.item import Limits, WorkItem
from darumad.work.model import Message
from darumad.work.plan import Plan, PlannedItem
from darumad.work.result import Failure, Usage, WorkResult

Json = dict[str, Any]


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


item_from_text: Callable[[str], WorkItem] = Decoder(WorkItem).decode
"""The item that `item_to_json` wrote, from its JSON text; raises a ValueError that names the place where it is none."""


def result_to_json(result: WorkResult) -> Json:
    """`result` as JSON. `success` is told for the reader's sake; `nano_usd` stays an integer, or null where unknown."""
    return {
        "success": result.success,
        "stop_reason": str(result.stop_reason),
        "data": result.data,
        "text": result.text,
        "artifacts": list(map(asdict, result.artifacts)),
        "error": failure_to_json(result.error) if result.error else None,
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
        ValueError: `stop_reason` is missing or none of the closed set, or a field is not what it should be.
    """
    return convert(data, WorkResult)


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
        ValueError: `gates` or `required` is missing, or a word is of no known gate or verdict.
    """
    return convert(data, Review)


def plan_to_json(plan: Plan) -> Json:
    """`plan` as JSON: its `items`, and the `stages` that each of them walks."""
    return {"items": list(map(_planned_to_json, plan.items)), "stages": list(map(str, plan.stages))}


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan that `plan_to_json` wrote.

    Raises:
        ValueError: it is none.
    """
    return convert(data, Plan)


def planned_from_json(data: Any) -> tuple[PlannedItem, ...]:
    """The items of a plan as a model names them, in JSON that its schema has let through.

    Raises:
        ValueError: they are none.
    """
    return tuple(map(_planned_from_json, data["items"]))


def _planned_from_json(data: Mapping[str, Any]) -> PlannedItem:
    named = {**data, "success_criteria": data.get("success_criteria") or None}
    if "priority" in named:
        named["priority"] = int(named["priority"])  # to a JSON Schema, 5.0 is an integer
    return convert(named, PlannedItem)


def usage_to_json(usage: Usage) -> Json:
    """`usage` as JSON; `nano_usd` is null where a price is unknown."""
    return asdict(usage)


def usage_from_json(data: Mapping[str, Any]) -> Usage:
    """The usage that `usage_to_json` wrote."""
    return convert(data, Usage)


def limits_to_json(limits: Limits) -> Json:
    """`limits` as JSON; null means no limit."""
    return asdict(limits)


def message_to_json(message: Message) -> Json:
    """A turn of a dialogue that people can write: `message` without what only a model says."""
    return {"role": message.role, "text": message.text}


def message_from_json(data: Mapping[str, Any]) -> Message:
    """The turn that `message_to_json` wrote."""
    return convert(data, Message)


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


def _finding_to_json(finding: Finding) -> Json:
    return {"verdict": str(finding.verdict), "issues": list(finding.issues)}


def _planned_to_json(each: PlannedItem) -> Json:
    return {**asdict(each), "depends_on": list(each.depends_on), "requirements": list(each.requirements)}
