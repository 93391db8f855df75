"""What the control room needs of the daemon, as one value that the composition root fills.

Every callable here returns at once or is awaited on the control loop; none of them asks an actor.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from darumad.bus import Labels, Tally
from darumad.clock import Clock
from darumad.events import Recorded
from darumad.journal.requests import Outcome, Request
from darumad.names import AgentName, Boot, Capability, Fence, ItemId, Millis, Role, Seconds, Stage
from darumad.values import Value
from darumad.work.allowance import Allowance
from darumad.work.budget import Account, Budget
from darumad.work.estimate import CameTo, Quote
from darumad.work.item import WorkItem, WorkRecord
from darumad.work.lanes import Lane
from darumad.work.model import Message
from darumad.work.states import WorkState


class Alike(Protocol):
    """Items that wait for the same: the first of them, how many there are, and since when the first waits."""

    @property
    def first(self) -> ItemId: ...  # noqa: D102 - the class says it
    @property
    def items(self) -> int: ...  # noqa: D102
    @property
    def since(self) -> Millis: ...  # noqa: D102


Running = tuple[ItemId, str, Fence]
"""An item that was held when it was cancelled: by whom, and under which fence."""


class TreeRow(Protocol):
    """A place in the supervision tree, as the ownership table has it."""

    @property
    def path(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def incarnation(self) -> int: ...  # noqa: D102
    @property
    def restarts(self) -> int: ...  # noqa: D102
    @property
    def last_exit(self) -> str | None: ...  # noqa: D102
    @property
    def mailbox_depth(self) -> int: ...  # noqa: D102
    @property
    def errors_in_window(self) -> int: ...  # noqa: D102
    @property
    def last_error(self) -> str | None: ...  # noqa: D102


class Definition(Protocol):
    """An agent definition, as far as accepting an item needs it. `complete_by_form`: its items need no challenge.

    `stages` are none where nobody knows them yet.
    """

    @property
    def name(self) -> AgentName: ...  # noqa: D102 - the class says it
    @property
    def role(self) -> Role: ...  # noqa: D102
    @property
    def stages(self) -> tuple[Stage, ...]: ...  # noqa: D102
    @property
    def template(self) -> str | None: ...  # noqa: D102
    @property
    def version(self) -> str | None: ...  # noqa: D102
    @property
    def complete_by_form(self) -> bool: ...  # noqa: D102
    @property
    def offers(self) -> frozenset[Capability]: ...  # noqa: D102


class Journal(Protocol):
    """The journal's writing side."""

    def post(self, request: Request, reply: Callable[[Sequence[Outcome]], None] | None = None) -> None:
        """Queue `request`; its outcome is given to `reply` after COMMIT, on the writer's thread."""


class Reader(Protocol):
    """The journal's reading side; any thread may use it."""

    def record(self, item: ItemId) -> WorkRecord | None: ...  # noqa: D102 - the journal's reader says it
    def records(  # noqa: D102, PLR0913
        self,
        *,
        state: WorkState | None = None,
        reason: str | None = None,
        agent: AgentName | None = None,
        label: tuple[str, str] | None = None,
        conversation: ItemId | None = None,
        parent: ItemId | None = None,
        after: ItemId | None = None,
        limit: int = 100,
    ) -> Sequence[WorkRecord]: ...
    def each_record(self, **wanted: Any) -> Iterable[WorkRecord]: ...  # noqa: D102
    def result(self, item: ItemId) -> Mapping[str, Any] | None: ...  # noqa: D102
    def attempts(self, item: ItemId) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    def steps(self, item: ItemId) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    def mentioned_uploads(self, item: ItemId) -> Collection[str]: ...  # noqa: D102
    def names_upload(self, sha256: str) -> bool: ...  # noqa: D102
    def children(self, item: ItemId) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    def turns(self, conversation: ItemId) -> Sequence[Message]: ...  # noqa: D102
    def lanes_in_line(self) -> Collection[str]: ...  # noqa: D102
    def in_lane(self, lane: str, most: int) -> Sequence[tuple[ItemId, str, str | None]]: ...  # noqa: D102
    def effects(self, item: ItemId) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    def events(  # noqa: D102
        self,
        since: int,
        limit: int = 500,
        item: ItemId | None = None,
        type: str | None = None,  # noqa: A002
    ) -> Sequence[Recorded]: ...
    def counts(self) -> Mapping[WorkState, int]: ...  # noqa: D102
    def suspects(self) -> Sequence[ItemId]: ...  # noqa: D102
    def alike(self) -> Sequence[Alike]: ...  # noqa: D102
    def oldest_ready_at(self) -> Millis | None: ...  # noqa: D102
    def last_position(self) -> int: ...  # noqa: D102
    def position_before(self, at: Millis) -> int: ...  # noqa: D102
    def accounts(self, budgets: Iterable[Budget]) -> Mapping[Budget, Account]: ...  # noqa: D102
    def came_to(self, agent: AgentName, limit: int = 100) -> Sequence[CameTo]: ...  # noqa: D102
    def settings(self, prefix: str) -> Mapping[str, str]: ...  # noqa: D102


class Publisher(Protocol):
    """What is committed, as it is committed."""

    def after(self, position: int) -> tuple[Sequence[bytes], bool]:
        """The rendered events behind `position` that the ring holds, and whether these are all there are."""

    def forget(self, subject: str) -> None:
        """The ring no longer tells what the events about `subject` say."""

    @property
    def position(self) -> int:
        """The last position the ring has heard of."""

    def subscribe(self, listener: Callable[[Sequence[Recorded]], None]) -> Callable[[], None]:
        """Hands every committed batch to `listener`, on the publisher's thread; the returned call ends it."""


class Treasury(Protocol):
    """What may be spent, by whom."""

    @property
    def allowance(self) -> Allowance:
        """The limits that hold."""

    @property
    def today(self) -> str:
        """The day that a call made now is booked on."""

    def review(self, scope: str | None = None) -> Sequence[ItemId]:
        """Heed what the journal was told of limits, and release what has room now, of what `scope` holds up or of all.

        It reads: call it off the loop.
        """

    def day_with_room(self, record: WorkRecord) -> datetime | None:
        """When the day begins that lets an item go on which is parked for a budget, in the time zone of the budgets.

        None where no day does so by itself. It reads: call it off the loop.
        """


class Vault(Protocol):
    """Seals secrets."""

    @property
    def newest(self) -> str: ...  # noqa: D102 - the vault says it
    def seal(self, secret: str) -> str: ...  # noqa: D102
    def open(self, sealed: str) -> str: ...  # noqa: D102
    def renew(self, in_use: Collection[str]) -> None: ...  # noqa: D102
    def drop_old(self) -> None: ...  # noqa: D102


class Keys(Protocol):
    """The providers' keys."""

    @property
    def vault(self) -> Vault:
        """Seals those that are kept in the journal."""

    def refresh(self) -> Sequence[str]:
        """Heed what changed; whose key is another now. It reads: call it off the loop."""

    def mended(self, providers: Collection[str]) -> None:
        """Ask those again that refused their calls, and let go on what is parked for that. As `refresh`."""


class Providers(Protocol):
    """The model providers."""

    def shown(self) -> Sequence[Mapping[str, Any]]:
        """Each, how it was found, and where its key came from."""

    def asked_for(self, agent: str) -> Sequence[str]:
        """Those that are asked for `agent`, in order."""

    def standing(self) -> Mapping[str, bool | str]:
        """Of those in use: True, or why no call is made until somebody says that what it refused is mended."""

    def uncalled(self) -> Collection[str]:
        """Of those in use the ones that are not called now: one waits, or somebody has to say that they are mended."""

    def vouch_for(self, agents: Iterable[str]) -> None:
        """Who is asked for these is well, their operator says: called, whatever calls have met. Changes memory only."""

    async def check(self, provider: str) -> bool:
        """Ask one now; whether it can be used."""

    def quote(self, item: WorkItem, turns: tuple[Message, ...]) -> Quote:
        """Who would be asked for `item` behind these turns, and what its first call may come to."""


Revoked = tuple[Sequence[str], Sequence[str], int]
"""What a revocation stopped, what it could not stop within its grace, and how many milliseconds that took."""


class Daemon(Value, kw_only=True):
    """The daemon as the control room sees it: its parts, what it can be asked, and what it can be told to do."""

    clock: Clock
    tally: Tally
    journal: Journal
    reader: Reader
    publisher: Publisher
    treasury: Treasury
    keys: Keys
    providers: Providers

    boot: Boot
    version: str
    started_at: Millis
    settings_file: Path | None
    state_dir: Path
    log_file: Path | None
    upload_dir: Path
    """Made by the operations when it is missing."""
    input_roots: tuple[Path, ...]
    """Below these directories a caller may name files by their path."""
    low_water: int
    """Bytes that an upload leaves free on the disk."""
    head_timeout: Seconds
    body_timeout: Seconds
    """What a request may take to come, its head and its body, as the settings describe it."""
    max_unfinished: int
    """So many unfinished items are taken in; one more is refused."""
    unfinished: Callable[[], int]
    remember: Seconds
    """How long the id of an item that is gone is remembered."""
    lanes: Mapping[str, Lane]
    """The lanes that the settings give a weight or a limit."""
    new_id: Callable[[], str]
    report: Callable[[str, BaseException, str | None], None]
    """Told of an operation that broke: its name, its error, and the trace-id of its request if there is one."""

    tree: Callable[[], Sequence[TreeRow]]
    agents: Callable[[], Sequence[Mapping[str, Any]]]
    """Each instance: the fields of its health, its `path`, and its definition as `agent`."""
    definitions: Callable[[], Mapping[AgentName, Definition]]
    unmade: Callable[[], Mapping[AgentName, str]]
    """The definitions of which no agent can be made, each with the reason."""
    shut: Callable[[AgentName], bool]
    """Whether no provider may be asked for this definition now."""
    held: Callable[[], frozenset[AgentName]]
    """The definitions whose template is held."""
    unplaced: Callable[[], frozenset[AgentName]]
    """The definitions that have work, but no agents, since those of as many others as may be there are."""
    chosen_provider: Callable[[], Mapping[str, Any]]
    vital_signs: Callable[[], Mapping[str, bool | str]]
    """Each part of the daemon: True is green, anything else is red and may say why."""
    journal_wrong: Callable[[], Sequence[str] | None]
    """What the last check of the journal found, in sentences; None before there was one."""
    no_room: Callable[[], str | None]
    """Why the disk takes nothing new; None while it does."""
    gauges: Callable[[], Mapping[tuple[str, Labels], float]]
    """The values that only the daemon knows, under their names in the metrics table."""

    hint: Callable[[Mapping[tuple[AgentName, Stage], int] | None], None]
    """Tells the orchestrator where how much work became ready; None is somewhere."""
    revoke: Callable[[Sequence[Running], str, bool], Awaitable[Revoked]]
    """Stops what runs for these items; told why, and whether the journal has cancelled them.

    It answers when all of it has stopped, at the latest after its grace.
    """
    restart_instances: Callable[[Collection[str]], Mapping[str, str | None]]
    wake: Callable[[AgentName], None]
    """Has the agents of a definition start of which none is there."""
    drain: Callable[[str], None]
    draining: Callable[[], bool]
    pause: Callable[[str], None]
    paused: Callable[[], bool]
    resume: Callable[[str], None]
    stop: Callable[[str], None]
    """`drain`, `pause`, `resume` and `stop` are told who asks and return at once: the operation has recorded it."""
    workspace_of: Callable[[WorkRecord], Path]
    remove_workspaces: Callable[[str], None]
    """Removes all that this item wrote."""
