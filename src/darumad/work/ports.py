"""Ports: what a room needs of a sibling, as protocols.

An agent sees nothing but these, so the same agent runs in the daemon, in a child process and in a test.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from darumad.names import Attempt, ItemId, Stage
from darumad.values import Value, field
from darumad.work.effects import Effect, Indoors
from darumad.work.gates import Review
from darumad.work.item import WorkItem
from darumad.work.model import Embeddings, Message, ModelReply, ModelRequest
from darumad.work.result import Usage, WorkResult


class Owner(NamedTuple):
    """On whose behalf something outside happens: an item under one fence. A revoked owner gets no further call."""

    item: ItemId
    fence: int


class Complete(Protocol):
    """One model call."""

    async def __call__(self, request: ModelRequest) -> ModelReply:
        """The model's answer.

        Raises:
            ModelFailed: no whole answer came; its kind says why.
        """
        ...

    @property
    def model(self) -> str | None:
        """The model's name, `provider:model`: who is asked first, and after a call who answered; None without one."""
        ...

    def elsewhere(self, kind: str, /) -> "Complete | None":
        """Who is asked from now on, where the answers were of no use in the end (`kind` says how); None for nobody."""
        ...


class Embed(Protocol):
    """Vectors of texts."""

    def __call__(self, texts: Sequence[str]) -> Awaitable[Embeddings]:
        """One vector for each text, in order.

        Raises:
            ModelFailed: none came; its kind says why.
        """
        ...


class StepLog(Protocol):
    """The journalled steps of one stage of one attempt, numbered as they are asked for."""

    async def once(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """What `run` gave (JSON) the first time this step ran on these inputs; on disk before it is returned.

        A step with other inputs than the recorded one's ends the replay: from there everything runs live. One that has
        no record, because it was broken off or failed beside others, runs and ends nothing.
        """
        ...

    async def last(self, kind: str, inputs: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """As `once`, for a stage's last step: it rides in the stage's own commit."""
        ...


class EffectLog(Protocol):
    """What the tools of one stage do outside the house, with what earlier holders and attempts did there."""

    @property
    def unknown(self) -> tuple[Effect, ...]:
        """Effects that may have happened and may not be repeated. With any, the stage must not begin."""
        ...

    @property
    def done(self) -> tuple[Effect, ...]:
        """What earlier attempts did for good."""
        ...

    async def once(
        self, tool: str, arguments: Any, run: Callable[[str], Awaitable[Any]], *, idempotent: bool, repeatable: bool
    ) -> Any:
        """What `run` gave (JSON); it is handed the idempotency key, each call its own.

        On disk as started before `run` begins and as done after it. What was done before is not done again: the
        recorded output is returned. An `idempotent` tool whose outcome is unknown is run again under its first key.
        A `repeatable` one is done anew in each attempt. Raised out of `run`, `NothingDone` makes the effect void; any
        other exception leaves it started: nobody knows.
        """
        ...


class Ledger(Protocol):
    """Money and tokens: reserved before a call, settled once after it, whoever owns the item by then."""

    async def reserve(self, owner: Owner, *, agent: str, provider: str, model: str, estimate: Usage) -> str:
        """An open reservation's id. `estimate` is the most that the call can use; its price is None when unknown.

        Waits while only the reservations of other calls stand in its way. Who is cancelled meanwhile has reserved
        nothing: what was on its way is given back.

        Raises:
            ModelFailed: kind `budget_exhausted`: what is spent and this estimate exceed a limit; `price_unknown`:
                calls of unknown price are not allowed; `local_saturation`: other calls kept the room for too long.
        """
        ...

    def settle(self, reservation: str, usage: Usage) -> None:
        """Book what the call really used. Posted; never fenced."""
        ...


class Cancelled(Protocol):
    """Whether a stage is to end, or has ended; any thread may ask.

    A cancel ends what is awaited. What computes in a thread of its own is ended by nobody, so it has to ask.
    """

    def __call__(self) -> bool:
        """True from then on, and for good."""
        ...


class Context(Value, kw_only=True):
    """Everything that an agent sees beside the item: its attempt, what earlier stages made, and what it can do."""

    stage: Stage
    attempt: Attempt
    place: Path
    """Where `workspace` is, or would be: most items need none."""
    steps: StepLog
    complete: Complete
    progress: Callable[[], None]
    """Called when the work got on: the stage's idle timeout starts anew."""
    cancelled: Cancelled = lambda: False
    """Whether the stage is to end: what runs in a thread of its own stops when it is."""
    compacted: Callable[[int, int], None] = lambda _before, _after: None
    """Told that a dialogue was shortened: from how many characters to how many."""
    tool_begins: Callable[[str], Callable[[str], None]] = lambda _tool: lambda _outcome: None
    """Told which tool begins; what it returns is told how that ended: `ok`, `refused`, `failed` or `cancelled`."""
    effects: EffectLog = field(default_factory=Indoors)
    brief: Any = None
    """What the optimizer prepared."""
    work: WorkResult | None = None
    """The executor's result, when it is reviewed."""
    turns: tuple[Message, ...] = ()
    """The earlier turns of the item's conversation, the oldest first."""
    feedback: tuple[Mapping[str, Any], ...] = ()
    """The reviews that sent the item back, the oldest first."""
    failures: tuple[Mapping[str, Any], ...] = ()
    """The errors of earlier attempts, in their compact form."""
    answers: tuple[str, ...] = ()
    """What was answered to the item's questions."""
    uploads: Mapping[str, Path] = field(default_factory=dict)
    """Where the uploaded inputs lie, by their names."""

    @property
    def workspace(self) -> Path:
        """A directory of the item's own. Asking for it makes it."""
        self.place.mkdir(parents=True, exist_ok=True)
        return self.place


class Agent(Protocol):
    """What thinks behind an actor: asynchronous, a stranger to threads, one item at a time."""

    @property
    def resources_version(self) -> str | None:
        """Which state of its template it was made of; None for an agent that has no template."""
        ...

    async def execute_work(self, item: WorkItem, context: Context) -> WorkResult:
        """Do this stage of the item. Failures come back as results; what is raised is a crash of the agent."""
        ...


class Check(Protocol):
    """A template's own deterministic review of produced files; never of prose."""

    async def __call__(self, item: WorkItem, context: Context) -> Review:
        """What the gates found that can be judged without a model; all others stay unknown."""
        ...
