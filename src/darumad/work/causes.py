"""The table of what follows each end: every kind of failure and every other way a stage can end, with its course.

`ends` carries the courses out. A new stop reason or kind gets its row here, or a test names the one that has none.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from darumad.names import Stage
from darumad.values import Value
from darumad.work.codec import review_from_json
from darumad.work.gates import Review
from darumad.work.kinds import KINDS
from darumad.work.result import StopReason, WorkResult


class Course(Enum):
    """What is done with an item whose stage ended. The value is what the docs print."""

    GO_ON = "next stage, or succeeded"
    GO_ON_DEGRADED = "next stage, with a context built without a model and marked `degraded`"
    WAIT_OUT = "scheduled (`outage`), stage kept, until the circuit half-opens or the wait ends"
    PROVIDER_DOWN = (
        "scheduled (`outage`), stage kept; as the item's own failure when the target answered another call meanwhile"
    )
    TRY_AGAIN = "scheduled (`backoff`), or dead at `max_attempts`"
    REVIEW_AGAIN = "scheduled (`backoff`) at reviewing, the work kept, or parked (`conflict`) at `max_attempts`"
    SEND_BACK = "ready with feedback, or dead beyond `max_reviews`"
    PARK_PROVIDER = "parked (`provider`)"
    PARK_BUDGET = "parked (`budget`)"
    PARK_TEMPLATE = "parked (`template`)"
    PARK_CONFLICT = "parked (`conflict`)"
    PARK_ASKED = "parked (`challenge`, `approval`, `question` or `children`)"
    DIE = "dead"
    CANCEL = "cancelled"
    CRASH = "ready, stage kept, or dead of the third crash"
    PUT_BACK = "ready, stage kept"
    STAY = "no move"


class End(Value):
    """One row of the table: the stop reason that a cause is told as, what follows, and the counter it raises."""

    stop_reason: StopReason
    course: Course
    counter: str = ""


_S, _C = StopReason, Course

ENDS: Mapping[str, End] = {
    "completed": End(_S.COMPLETED, _C.GO_ON),
    # of the stage's provider or of the disk: nobody's fault here
    "rate_limited": End(_S.PROVIDER_ERROR, _C.WAIT_OUT, "delays"),
    "local_saturation": End(_S.PROVIDER_ERROR, _C.WAIT_OUT, "delays"),
    "no_room": End(_S.INTERRUPTED, _C.WAIT_OUT, "delays"),
    "circuit_open": End(_S.CIRCUIT_OPEN, _C.WAIT_OUT, "delays"),
    "connect": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "disconnect": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "timeout": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "server_error": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "overloaded": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "malformed_response": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    "truncated_stream": End(_S.PROVIDER_ERROR, _C.PROVIDER_DOWN, "delays"),
    # somebody must change something first
    "auth": End(_S.PROVIDER_ERROR, _C.PARK_PROVIDER, "parks"),
    "quota_exhausted": End(_S.PROVIDER_ERROR, _C.PARK_PROVIDER, "parks"),
    "model_not_found": End(_S.PROVIDER_ERROR, _C.PARK_PROVIDER, "parks"),
    "gate_undecided": End(_S.PROVIDER_ERROR, _C.PARK_PROVIDER, "parks"),
    "budget_exhausted": End(_S.BUDGET_EXHAUSTED, _C.PARK_BUDGET, "parks"),
    "price_unknown": End(_S.BUDGET_EXHAUSTED, _C.PARK_BUDGET, "parks"),
    "outcome_unknown": End(_S.TOOL_ERROR, _C.PARK_CONFLICT, "parks"),
    "challenged": End(_S.CHALLENGED, _C.PARK_ASKED, "parks"),
    # the item's or its agent's own failures
    "context_too_long": End(_S.CONTEXT_TOO_LONG, _C.TRY_AGAIN, "failures"),
    "request_too_large": End(_S.CONTEXT_TOO_LONG, _C.TRY_AGAIN, "failures"),
    "schema_violation": End(_S.SCHEMA_VIOLATION, _C.TRY_AGAIN, "failures"),
    "bad_tool_args": End(_S.SCHEMA_VIOLATION, _C.TRY_AGAIN, "failures"),
    "empty_output": End(_S.SCHEMA_VIOLATION, _C.TRY_AGAIN, "failures"),
    "invalid_request": End(_S.PROVIDER_ERROR, _C.TRY_AGAIN, "failures"),
    "tool_error": End(_S.TOOL_ERROR, _C.TRY_AGAIN, "failures"),
    "loop_detected": End(_S.LOOP_DETECTED, _C.TRY_AGAIN, "failures"),
    "max_steps": End(_S.MAX_STEPS, _C.TRY_AGAIN, "failures"),
    "max_tokens": End(_S.MAX_TOKENS, _C.TRY_AGAIN, "failures"),
    "item_timeout": End(_S.TIMEOUT, _C.TRY_AGAIN, "failures"),
    "idle_timeout": End(_S.IDLE_TIMEOUT, _C.TRY_AGAIN, "failures"),
    "agent_crashed": End(_S.AGENT_CRASHED, _C.TRY_AGAIN, "failures"),
    "result_too_large": End(_S.SCHEMA_VIOLATION, _C.TRY_AGAIN, "failures"),
    "child_died": End(_S.AGENT_CRASHED, _C.TRY_AGAIN, "failures"),
    "review_rejected": End(_S.REVIEW_REJECTED, _C.SEND_BACK, "reviews"),
    # nothing that another try would mend
    "refusal": End(_S.REFUSED, _C.DIE),
    "invalid_item": End(_S.INVALID_ITEM, _C.DIE),
    "unreadable": End(_S.INTERRUPTED, _C.DIE),
    "expired": End(_S.EXPIRED, _C.DIE),
    "dependency_failed": End(_S.DEPENDENCY_FAILED, _C.DIE),
    # of the daemon and its people
    "cancelled": End(_S.CANCELLED, _C.CANCEL),
    "handler_crashed": End(_S.INTERRUPTED, _C.CRASH, "crashes"),
    "interrupted": End(_S.INTERRUPTED, _C.PUT_BACK),
    "loop_held": End(_S.INTERRUPTED, _C.CRASH, "crashes"),
    "bridge_stalled": End(_S.INTERRUPTED, _C.PUT_BACK),
    "spawn_failed": End(_S.INTERRUPTED, _C.STAY),
    "stale": End(_S.INTERRUPTED, _C.STAY),
}
"""Every cause - each kind of `work.kinds`, and the ends that are none - and what follows it."""

TOLD_AS: Mapping[str, str] = {"circuit_open": "local_saturation", "gate_undecided": "model_not_found"}
"""The kind that a cause which is none is told as, for the sake of its hints."""

_CAUSE_OF_STOP: Mapping[StopReason, str] = {
    _S.REFUSED: "refusal",
    _S.PROVIDER_ERROR: "server_error",
}
"""What a stop reason stands for when its result names no kind, where it is not called the same."""


def cause_of(result: WorkResult, stage: Stage, stages: tuple[Stage, ...]) -> str:
    """Why the stage ended: a key of `ENDS`.

    The kind of the result's failure says it, or its stop reason when there is none or nobody knows it. A completed
    review of this walk's own work is read for its verdict; a review that was itself asked for is simply the answer.
    A call that no target took because every circuit was open is told apart from one that found no free place.
    The stop reason `timeout` is the item's own limit, whatever the kind beside it: a call's is `provider_error`.
    """
    if result.stop_reason is _S.COMPLETED:
        return _verdict(result.data) if stage is Stage.REVIEWING and Stage.EXECUTING in stages else "completed"
    if result.stop_reason is _S.TIMEOUT:
        return "item_timeout"
    if result.error is not None and result.error.kind in KINDS:
        unmade = result.error.kind == "local_saturation" and result.error.circuit_open
        return "circuit_open" if unmade else result.error.kind
    return _CAUSE_OF_STOP.get(result.stop_reason, result.stop_reason.value)


def _verdict(data: Any) -> str:
    review = review_of(data)
    if review is None:
        return "schema_violation"
    if review.passed:
        return "completed"
    return "review_rejected" if review.issues else "gate_undecided"


def review_of(data: Any) -> Review | None:
    """The review that `data` holds, or None where it holds none that can be read."""
    try:
        return review_from_json(data)
    except ValueError:
        return None
