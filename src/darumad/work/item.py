"""A work item: what a caller asked for, and the record that Daruma keeps of it. Values only; nothing here acts."""

from collections.abc import Mapping
from typing import Any

from darumad.names import AgentName, Attempt, Boot, Capability, Fence, ItemId, Millis, NanoUsd, Role, Seconds, Stage
from darumad.values import Value, field
from darumad.work.model import Message
from darumad.work.states import WorkState

PHASES: tuple[str, ...] = (
    "planning", "implementation", "review", "testing", "documentation", "deployment", "optimization", "analysis",
)  # fmt: skip


class Input(Value, kw_only=True):
    """One thing handed in with an item: text as such, or an upload by its sha256.

    `path` is where the daemon found it; what is accepted is the upload that was made of it then.
    """

    name: str
    media_type: str = "text/plain"
    text: str | None = None
    upload: str | None = None
    path: str | None = None


class Limits(Value, kw_only=True):
    """What an item may spend over all its attempts; None means no limit of its own."""

    nano_usd: NanoUsd | None = None
    tokens: int | None = None
    calls: int | None = None


NO_LIMITS = Limits()
"""It may spend what others leave."""


class WorkItem(Value, kw_only=True):
    """What was asked for. Never changed by Daruma: `description` is the original intent that reviews judge against.

    `timeout`, `idle_timeout` and `backoff` are None where the settings' defaults hold; `backoff` is the first
    delay before a retry, in seconds.
    """

    id: ItemId
    description: str
    phase: str = "implementation"
    priority: int = 5
    role: Role = Role.EXECUTOR
    agent: AgentName = AgentName("executor")
    stages: tuple[Stage, ...] = (Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING)
    input: Any = None
    messages: tuple[Message, ...] = ()
    conversation: ItemId | None = None
    parent: ItemId | None = None
    requires: tuple[Capability, ...] = ()
    lane: str = "default"
    depends_on: tuple[ItemId, ...] = ()
    requirements: tuple[str, ...] = ()
    success_criteria: str | None = None
    constraints: tuple[str, ...] = ()
    tech_stack: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    output_schema: Mapping[str, Any] | None = None
    timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
    backoff: Seconds | None = None
    max_attempts: int = 3
    max_reviews: int = 3
    run_at: Millis | None = None
    expires_at: Millis | None = None
    budget: Limits = NO_LIMITS
    challenge: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


class WorkRecord(Value, kw_only=True):
    """One item as the journal holds it: the caller's part, and everything that has become of it.

    `lineage` counts fresh workspaces: it goes up with each failure, so a retry after one starts in an empty directory.

    `unreadable` is None, or why the journal cannot tell what the caller's part is: of `item` then nothing holds but its
    id, agent, phase, priority, lane and expiry.
    """

    item: WorkItem
    state: WorkState
    stage: Stage
    reason: str | None = None
    rank: int = 0
    fence: Fence = Fence(0)
    attempt: Attempt = Attempt(0)
    attempt_open: bool = False
    boot: Boot | None = None
    holder: str | None = None
    failures: int = 0
    crashes: int = 0
    suspect: bool = False
    delays: int = 0
    parks: int = 0
    reviews: int = 0
    run_at: Millis | None = None
    created_at: Millis = Millis(0)
    ready_at: Millis | None = None
    started_at: Millis | None = None
    finished_at: Millis | None = None
    error: Mapping[str, Any] | None = None
    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    feedback: tuple[Mapping[str, Any], ...] = ()
    lineage: int = 0
    origin: str = "socket"
    submitted_by: str = ""
    correlation_id: str | None = None
    unreadable: str | None = None
