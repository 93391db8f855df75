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
    """One life of one slot: which agent sits behind it, and who hears what of it.

    `tell` reaches its actor: that its agent is there or not, and what goes wrong with its work. `report` reaches
    whoever hands work out: all that ended here, in batches.
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

    Stands on the handle before the task is cancelled, since every cancel looks alike. CANCELLED: the journal has
    cancelled the item already; REVOKED: somebody stops what runs, and where the item goes is still to be decided;
    STALLED: the loop it ran on was replaced; HELD_THE_LOOP: and it was this task that held it up.
    """

    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle_timeout"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    REVOKED = "revoked"
    STALLED = "stalled"
    HELD_THE_LOOP = "held_the_loop"


class Spawned(Value):
    """The agent behind this seat is there: it can take work."""


class SpawnFailed(Value):
    """The agent could not be made; it will be tried again in `retry_in` seconds."""

    error: str
    retry_in: float


class Done(Value):
    """The task of a stage that ran at `holder` has ended, for whatever reason.

    `abandoned` tasks ignored their cancel and may still run, revoked. `steps` are committed with its end; `stepped` if
    there were new ones before. `brief` is what the next stage is shown where an optimizer failed and its item goes on
    without its help.
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
"""Why an item is put back that was held, or handed out, for a life that was over by then."""


def put_back(holder: str, held: Held, why: str) -> Done:
    """The end of a stage whose slot is gone, which is not held against its item."""
    return Done(holder, held, _interrupted("interrupted", why))


def handler_crashed(done: Done, error: Exception) -> Done:
    """`done`, of which our own handler raised `error`. What came with it may be what it raised on, and is left."""
    why = f"{type(error).__name__}: {error}"
    return Done(done.holder, done.held, _interrupted("handler_crashed", why), stepped=done.stepped)


def _interrupted(kind: str, why: str) -> WorkResult:
    return WorkResult(stop_reason=StopReason.INTERRUPTED, error=Failure(kind=kind, message=why))


class Ended(Value):
    """What ended in one turn of the loop, in order: one message, however many agents end at once."""

    dones: tuple[Done, ...]


class Stopped(Value):
    """What a cancel stopped, and what did not end within the grace; how long that took, in milliseconds."""

    stopped: tuple[ItemId, ...]
    not_stopped: tuple[ItemId, ...]
    after_ms: int
