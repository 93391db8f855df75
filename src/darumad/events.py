"""The event catalogue. Facts become rows in the transaction of the state they change; payloads are primitives.

The names are stable API: each has its heading in docs/reference/events.md. Signals of the supervision tree
(`child.*`, `supervisor.*`) are that room's own and pass over the bus only.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from darumad.values import Value, asdict


class Fact(Value):
    """Something that happened and is on disk. `subject` is the item, path or thing it is about."""

    name: ClassVar[str] = ""
    subject: str

    def data(self) -> Mapping[str, Any]:
        """The payload: every field but the subject, as primitives."""
        payload = asdict(self)
        del payload["subject"]
        return payload


# --- work -----------------------------------------------------------------------------------------------------------


class WorkSubmitted(Fact):
    """An item was accepted and can no longer be lost."""

    name: ClassVar[str] = "work.submitted"
    agent: str
    phase: str
    priority: int
    state: str


class WorkReady(Fact):
    """An item may be claimed: its time came, its dependencies succeeded, or somebody released it."""

    name: ClassVar[str] = "work.ready"
    why: str


class WorkAssigned(Fact):
    """An item was claimed: it is held under a new fence."""

    name: ClassVar[str] = "work.assigned"
    stage: str
    attempt: int
    holder: str


class WorkStageChanged(Fact):
    """A stage did its work and the item went on to the next."""

    name: ClassVar[str] = "work.stage_changed"
    stage: str
    attempt: int
    holder: str | None


class WorkRetried(Fact):
    """An attempt failed and another will follow, or an operator asked for one."""

    name: ClassVar[str] = "work.retried"
    reason: str
    attempt: int


class PlanCreated(Fact):
    """A goal was broken up into items, which were handed in as its sub-work in the same transaction."""

    name: ClassVar[str] = "plan.created"
    items: tuple[str, ...]


class WorkReviewFailed(Fact):
    """The review found faults; the item goes back with them."""

    name: ClassVar[str] = "work.review_failed"
    issues: tuple[str, ...]
    attempt: int


class WorkChallenged(Fact):
    """An item is too vague to spend money on; it waits for answers."""

    name: ClassVar[str] = "work.challenged"
    questions: tuple[str, ...]


class WorkAnswered(Fact):
    """Somebody answered what an item asked."""

    name: ClassVar[str] = "work.answered"
    by: str


class WorkParked(Fact):
    """An item needs somebody before it can go on."""

    name: ClassVar[str] = "work.parked"
    reason: str
    error: str | None


class WorkScheduled(Fact):
    """An item will be ready later. `run_at` is wall milliseconds."""

    name: ClassVar[str] = "work.scheduled"
    reason: str
    run_at: int
    error: str | None


class WorkInterrupted(Fact):
    """A running item was put back through no fault of its own."""

    name: ClassVar[str] = "work.interrupted"
    why: str


class WorkRescued(Fact):
    """An item whose holder was gone is ready again."""

    name: ClassVar[str] = "work.rescued"
    holder: str
    stage: str


class ContextCompacted(Fact):
    """A dialogue that was too long for its model went on without most of what tools had said earlier."""

    name: ClassVar[str] = "context.compacted"
    stage: str
    attempt: int
    characters_before: int
    characters_after: int


class WorkSucceeded(Fact):
    """An item is done, and its result stands."""

    name: ClassVar[str] = "work.succeeded"
    agent: str
    phase: str
    attempt: int
    model: str
    duration_ms: int


class WorkDead(Fact):
    """An item will not be tried again unless somebody asks for it: the dead letter."""

    name: ClassVar[str] = "work.dead"
    agent: str
    phase: str
    attempt: int
    error: str


class WorkExpired(Fact):
    """An item was not done by its `expires_at`; in place of `work.dead`."""

    name: ClassVar[str] = "work.expired"
    agent: str
    phase: str


class WorkCancelled(Fact):
    """Somebody cancelled an item, or the one whose sub-work it is ended without success."""

    name: ClassVar[str] = "work.cancelled"
    by: str
    reason: str


class WorkStopped(Fact):
    """Everything that ran for a cancelled item has stopped, or the grace is over and some has not."""

    name: ClassVar[str] = "work.stopped"
    stopped: tuple[str, ...]
    not_stopped: tuple[str, ...]
    after_ms: int


class WorkStaleResult(Fact):
    """An answer came under a fence that no longer holds. It changed nothing."""

    name: ClassVar[str] = "work.stale_result"
    stage: str
    what: str


class WorkRevived(Fact):
    """A dependent of a retried item lives again."""

    name: ClassVar[str] = "work.revived"
    by: str


class WorkEdited(Fact):
    """Somebody changed what was asked for. `fields` names what."""

    name: ClassVar[str] = "work.edited"
    by: str
    fields: tuple[str, ...]


class WorkPurged(Fact):
    """Everything that was kept of an item is gone, what its events said too."""

    name: ClassVar[str] = "work.purged"
    by: str


# --- agents ---------------------------------------------------------------------------------------------------------


class AgentStarted(Fact):
    """An instance's actor is up."""

    name: ClassVar[str] = "agent.started"
    agent: str
    incarnation: int


class AgentErrorRecorded(Fact):
    """An error was counted against an instance."""

    name: ClassVar[str] = "agent.error_recorded"
    agent: str
    errors_in_window: int
    error: str


class AgentHealthDegraded(Fact):
    """Three counted errors stand in an instance's window, or its agent cannot be made."""

    name: ClassVar[str] = "agent.health_degraded"
    agent: str
    reason: str


class AgentHealthRestored(Fact):
    """An instance works again."""

    name: ClassVar[str] = "agent.health_restored"
    agent: str


class AgentRestarted(Fact):
    """An instance got up again: a new incarnation is ready."""

    name: ClassVar[str] = "agent.restarted"
    agent: str
    incarnation: int
    reason: str


class AgentBenched(Fact):
    """An instance kept failing and is tried only now and then."""

    name: ClassVar[str] = "agent.benched"
    agent: str
    reason: str


class AgentUnbenched(Fact):
    """A benched instance is up again."""

    name: ClassVar[str] = "agent.unbenched"
    agent: str


class AgentSpawnFailed(Fact):
    """The mind behind an instance could not be made; its items wait."""

    name: ClassVar[str] = "agent.spawn_failed"
    agent: str
    error: str


# --- providers ------------------------------------------------------------------------------------------------------


class ProviderCircuitOpened(Fact):
    """A model is not called for now: its calls fail. Told once, until it closes. The subject is `provider:model`."""

    name: ClassVar[str] = "provider.circuit_opened"
    kind: str
    half_opens_ms: int | None


class ProviderCircuitClosed(Fact):
    """A model whose circuit was open is called again: it has answered, or its provider has another key."""

    name: ClassVar[str] = "provider.circuit_closed"


class ProviderRateLimited(Fact):
    """A provider refused a call for its rate. Told once a minute at most; `times` says how often since it was told."""

    name: ClassVar[str] = "provider.rate_limited"
    wait_ms: int | None
    times: int


class ProviderFallback(Fact):
    """A call went on to the next provider of its chain. Told as sparingly as `provider.rate_limited`."""

    name: ClassVar[str] = "provider.fallback"
    to: str
    kind: str
    times: int


class ProviderUsageUnknown(Fact):
    """A model does not say what a call used, or what cannot be: it is booked at its estimate."""

    name: ClassVar[str] = "provider.usage_unknown"
    times: int


class ProviderUsageExceeded(Fact):
    """A model says that a call wrote more tokens than it was allowed to. It is booked as the model says."""

    name: ClassVar[str] = "provider.usage_exceeded"
    said: int
    allowed: int
    times: int


# --- money ----------------------------------------------------------------------------------------------------------


class BudgetThreshold(Fact):
    """Four fifths of a budget are spent. The subject is its scope; `unit` is `nano_usd`, `tokens` or `calls`."""

    name: ClassVar[str] = "budget.threshold"
    period: str
    unit: str
    spent: int
    limit: int


class BudgetExhausted(Fact):
    """A budget has no room for the call that was asked for. Its fields are as those of `budget.threshold`."""

    name: ClassVar[str] = "budget.exhausted"
    period: str
    unit: str
    spent: int
    limit: int


# --- the daemon -----------------------------------------------------------------------------------------------------


class DaemonStarting(Fact):
    """A boot began."""

    name: ClassVar[str] = "daemon.starting"
    boot: int
    version: str
    rescued: int


class DaemonReady(Fact):
    """The tree is up and the doors are open."""

    name: ClassVar[str] = "daemon.ready"
    provider: str


class DaemonDegraded(Fact):
    """A part of the daemon makes no progress: a vital sign turned red. Told once, until it is green again."""

    name: ClassVar[str] = "daemon.degraded"
    part: str
    why: str


class DaemonRestored(Fact):
    """A part of the daemon whose vital sign was red makes progress again."""

    name: ClassVar[str] = "daemon.restored"
    part: str


class DaemonDraining(Fact):
    """Submits are refused and nothing new is claimed."""

    name: ClassVar[str] = "daemon.draining"
    by: str


class DaemonResumed(Fact):
    """A drain or pause is over."""

    name: ClassVar[str] = "resumed"
    by: str


class DaemonPaused(Fact):
    """Nothing new is claimed until somebody resumes, also over a restart."""

    name: ClassVar[str] = "paused"
    by: str


class DaemonPanicked(Fact):
    """Everything that ran was stopped at once, and nothing new is claimed until somebody resumes."""

    name: ClassVar[str] = "panicked"
    by: str
    stopped: tuple[str, ...]
    not_stopped: tuple[str, ...]


class DaemonStopping(Fact):
    """The daemon is on its way down; running items are put back."""

    name: ClassVar[str] = "daemon.stopping"
    why: str


class DaemonClockJumped(Fact):
    """The wall clock was set, or the machine slept: by so many milliseconds. Limits go by another clock."""

    name: ClassVar[str] = "daemon.clock_jumped"
    by_ms: int


class DaemonSocketBound(Fact):
    """The daemon listens again, or at last, where nobody could reach it meanwhile."""

    name: ClassVar[str] = "daemon.socket_bound"
    path: str


class JournalChecked(Fact):
    """Every page of the journal was looked at; `wrong` says what is not as it was written."""

    name: ClassVar[str] = "journal.checked"
    wrong: tuple[str, ...]
    took_ms: int


class BridgeStalled(Fact):
    """The loop did not answer within its limit. `stack` is what it was doing."""

    name: ClassVar[str] = "bridge.stalled"
    late_ms: int
    stack: str


class BridgeReplaced(Fact):
    """One call held the loop for too long, or tasks of too many stages ignored their cancel: another took its place."""

    name: ClassVar[str] = "bridge.replaced"
    held_ms: int
    ignoring: int
    interrupted: int


CATALOGUE: tuple[type[Fact], ...] = (
    WorkSubmitted, WorkReady, WorkAssigned, WorkStageChanged, WorkRetried, WorkReviewFailed, PlanCreated,
    WorkChallenged,
    WorkAnswered, WorkParked, WorkScheduled, WorkInterrupted, WorkRescued, WorkSucceeded, WorkDead, WorkExpired,
    WorkCancelled, WorkStopped, WorkStaleResult, WorkRevived, WorkEdited, WorkPurged, ContextCompacted,
    AgentStarted, AgentErrorRecorded, AgentHealthDegraded, AgentHealthRestored, AgentRestarted, AgentBenched,
    AgentUnbenched, AgentSpawnFailed,
    ProviderCircuitOpened, ProviderCircuitClosed, ProviderRateLimited, ProviderFallback,
    ProviderUsageUnknown,
    ProviderUsageExceeded,
    BudgetThreshold, BudgetExhausted,
    DaemonStarting, DaemonReady, DaemonDegraded, DaemonRestored, DaemonDraining, DaemonResumed, DaemonPaused,
    DaemonPanicked, DaemonStopping, DaemonClockJumped, DaemonSocketBound, JournalChecked, BridgeStalled, BridgeReplaced,
)  # fmt: skip


class Recorded(Value):
    """A fact as the journal holds it, a row: with its sequence number and its wall time in milliseconds."""

    seq: int
    at: int
    type: str
    subject: str
    data: Mapping[str, Any]
