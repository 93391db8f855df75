"""The health of an agent's instance: a value, derived from what its keepers know. Nobody asks an actor for it."""

from enum import StrEnum

from darumad.names import Incarnation, Millis
from darumad.values import Value

DEGRADED_AT = 3
"""So many counted errors in the window mean degraded; at five the instance is restarted."""


class AgentState(StrEnum):
    """What an instance is doing."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DEGRADED = "degraded"
    PAUSED = "paused"
    RESTARTING = "restarting"
    BENCHED = "benched"
    STOPPED = "stopped"


class ActorState(StrEnum):
    """What the supervision tree says of an instance's actor."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    BENCHED = "benched"
    STOPPED = "stopped"


class Signs(Value, kw_only=True):
    """What is known of an instance, by counters and tables alone. Times are wall milliseconds.

    `agent_made`: its agent is there; `spawn_error` is why it cannot be made at present, `gated` why nothing is claimed
    for it; `errors_in_window` are counted errors only.
    """

    life: ActorState
    incarnation: Incarnation
    paused: bool = False
    agent_made: bool = True
    spawn_error: str | None = None
    gated: str | None = None
    errors_in_window: int = 0
    consecutive_errors: int = 0
    last_error: str | None = None
    last_error_at: Millis | None = None
    restarts: int = 0
    last_restart_at: Millis | None = None
    last_progress_at: Millis | None = None
    in_flight: int = 0
    mailbox_depth: int = 0


class AgentHealth(Value, kw_only=True):
    """How an instance is. `healthy`: it does its work, or would. `degraded`: it keeps failing, or lacks its means."""

    state: AgentState
    incarnation: Incarnation
    healthy: bool
    degraded: bool
    errors_in_window: int
    last_error: str | None
    last_error_at: Millis | None
    consecutive_errors: int
    restarts: int
    last_restart_at: Millis | None
    last_progress_at: Millis | None
    in_flight: int
    mailbox_depth: int


def health_of(signs: Signs) -> AgentHealth:
    """The health that `signs` add up to."""
    degraded = _degraded(signs)
    state = _state(signs, degraded=degraded)
    return AgentHealth(
        state=state,
        incarnation=signs.incarnation,
        healthy=state in {AgentState.IDLE, AgentState.BUSY, AgentState.PAUSED} and not degraded,
        degraded=degraded,
        errors_in_window=signs.errors_in_window,
        last_error=signs.spawn_error or signs.gated or signs.last_error,
        last_error_at=signs.last_error_at,
        consecutive_errors=signs.consecutive_errors,
        restarts=signs.restarts,
        last_restart_at=signs.last_restart_at,
        last_progress_at=signs.last_progress_at,
        in_flight=signs.in_flight,
        mailbox_depth=signs.mailbox_depth,
    )


def _degraded(signs: Signs) -> bool:
    lacking = signs.spawn_error is not None or signs.gated is not None
    return signs.life is ActorState.RUNNING and (lacking or signs.errors_in_window >= DEGRADED_AT)


def _state(signs: Signs, *, degraded: bool) -> AgentState:
    """What the actor's life says goes first, then what somebody ordered, then what is wrong, then what it does.

    An actor is up before its agent is made: meanwhile its instance is starting.
    """
    if signs.life is not ActorState.RUNNING:
        return AgentState(signs.life.value)
    if signs.paused:
        return AgentState.PAUSED
    if degraded:
        return AgentState.DEGRADED
    if not signs.agent_made:
        return AgentState.STARTING
    return AgentState.BUSY if signs.in_flight else AgentState.IDLE
