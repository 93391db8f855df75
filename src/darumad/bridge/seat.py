"""What crosses the bridge: who sits where, and the messages that come back to the actor. Values only."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from darumad.agents import AgentDefinition
from darumad.journal.requests import Held, Step
from darumad.names import ActorPath, Incarnation, ItemId, Role
from darumad.values import Value
from darumad.work.blame import after_step
from darumad.work.item import WorkRecord
from darumad.work.result import Failure, StopReason, WorkResult


class Seat(Value, kw_only=True):
    """One life of one slot: which agent serves it, and who is told what.

    `tell` reaches its actor, which hears whether its agent is there, and of errors and recoveries. `report` reaches the
    orchestrator, which hears of every stage that ended, in batches.
    """

    path: ActorPath
    incarnation: Incarnation
    role: Role
    definition: AgentDefinition
    tell: Callable[[object], None]
    report: Callable[["Ended"], None]

    @property
    def holder(self) -> str:
        """Who holds an item that runs here, as the journal writes it."""
        return f"{self.path}#{self.incarnation}"


class Limit(StrEnum):
    """Why the bridge ended a task.

    It is written down before the task is cancelled, for asyncio's cancels all look alike.

    CANCELLED: the journal has cancelled the item already. REVOKED: somebody stops what runs, and where the item goes is
    still to be decided. STALLED: the loop that it ran on was replaced. HELD_THE_LOOP: so it was, and this task is what
    held it up.
    """

    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle_timeout"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    REVOKED = "revoked"
    STALLED = "stalled"
    HELD_THE_LOOP = "held_the_loop"


class Spawned(Value):
    """The agent behind this seat is there: it can take work. See `Agent.resources_version`."""

    resources_version: str | None = None


class SpawnFailed(Value):
    """The agent could not be made; it will be tried again in `retry_in` seconds."""

    error: str
    retry_in: float


class Done(Value):
    """The task of a stage that ran at `holder` has ended, for whatever reason.

    An `abandoned` task ignored its cancel and may run on, but it is revoked. `steps` are to be committed with this end;
    `stepped` says that others were committed before. `brief` is what the executor is shown where the optimizer failed
    and the item goes on without it.
    """

    holder: str
    held: Held
    result: WorkResult
    abandoned: bool = False
    steps: tuple[Step, ...] = ()
    stepped: bool = False
    brief: Mapping[str, object] | None = None

    @property
    def record(self) -> WorkRecord:
        """The record as it stands at this end: a new step has cleared what was held against the item."""
        record = self.held.record
        return after_step(record) if self.stepped or self.steps else record


SLOT_ENDED = "its slot had ended"
"""Why an item is put back whose slot's life was over when it was handed out, or ended while it was held."""


def put_back(holder: str, held: Held, why: str) -> Done:
    """The end of a stage whose slot is gone. It is not held against the item."""
    return Done(holder, held, _interrupted("interrupted", why))


def handler_crashed(done: Done, error: Exception) -> Done:
    """The end to report instead of `done`, because our own handling of that raised `error`.

    Its steps and its result are left out: they may be what it raised on.
    """
    result = _interrupted("handler_crashed", f"{type(error).__name__}: {error}")
    return Done(done.holder, done.held, result, stepped=done.stepped)


def _interrupted(kind: str, why: str) -> WorkResult:
    return WorkResult(stop_reason=StopReason.INTERRUPTED, error=Failure(kind=kind, message=why))


class Ended(Value):
    """The stages that ended in one turn of the loop, in order: one message, however many end at once."""

    dones: tuple[Done, ...]


class Stopped(Value):
    """What a cancel stopped, and what did not end within the grace; how long that took, in milliseconds."""

    stopped: tuple[ItemId, ...]
    not_stopped: tuple[ItemId, ...]
    after_ms: int
