"""What an agent hands back for one stage of one attempt. Only `completed` is success; nothing else may look like it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from darumad.names import NanoUsd, Seconds
from darumad.values import Value, field


class StopReason(StrEnum):
    """Why a stage ended: a closed set."""

    COMPLETED = "completed"
    CHALLENGED = "challenged"
    REFUSED = "refused"
    MAX_STEPS = "max_steps"
    MAX_TOKENS = "max_tokens"
    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle_timeout"
    CANCELLED = "cancelled"
    BUDGET_EXHAUSTED = "budget_exhausted"
    LOOP_DETECTED = "loop_detected"
    CIRCUIT_OPEN = "circuit_open"
    INVALID_ITEM = "invalid_item"
    CONTEXT_TOO_LONG = "context_too_long"
    SCHEMA_VIOLATION = "schema_violation"
    PROVIDER_ERROR = "provider_error"
    TOOL_ERROR = "tool_error"
    AGENT_CRASHED = "agent_crashed"
    REVIEW_REJECTED = "review_rejected"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"
    DEPENDENCY_FAILED = "dependency_failed"


class Usage(Value, kw_only=True):
    """What model calls used. `nano_usd` is None where a price is unknown: never 0 for want of knowing."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    calls: int = 0
    nano_usd: NanoUsd | None = NanoUsd(0)


UNUSED = Usage()
"""Nothing was used: no call was made, or none was charged for."""


class Artifact(Value, kw_only=True):
    """One produced file: its path below the item's workspace, and what it was when the stage ended."""

    name: str
    media_type: str
    size: int
    sha256: str


class Failure(Value, kw_only=True):
    """Why a stage did not complete: a kind of `work.kinds`, and a sentence for people. Never holds a credential.

    Of a model call it says what was known of the target: whether its circuit was open, in how many seconds to ask
    again, and whether it answered another call after this one began (then it is not the provider that is down).
    `budget` is the scope of the one that had no room for it, and `needs` what it might have come to, by unit.
    """

    kind: str
    message: str
    error_type: str = ""
    hints: tuple[str, ...] = ()
    retry_after: Seconds | None = None
    circuit_open: bool = False
    target_answered: bool = False
    budget: str = ""
    needs: Mapping[str, int] = field(default_factory=dict)


class WorkResult(Value, kw_only=True):
    """The outcome of one stage. `data` is the stage's own: a brief, an answer, or a review."""

    stop_reason: StopReason
    data: Any = None
    text: str = ""
    artifacts: tuple[Artifact, ...] = ()
    error: Failure | None = None
    duration: Seconds = Seconds(0.0)
    model: str = ""
    template: str = ""
    resources_version: str = ""
    memory_ids: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """Whether the stage did its work: `completed` and nothing else."""
        return self.stop_reason is StopReason.COMPLETED
