"""House: all that the control room needs of the daemon, as one value that the composition root fills.

Every callable here returns at once or is awaited on the control loop; none of them asks an actor.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
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
    """An agent definition, as far as accepting an item needs it. `complete_by_form`: its items need no challenge."""

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
    def suspects(self) -> int: ...  # noqa: D102
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

    async def check(self, provider: str) -> bool:
        """Ask one now; whether it can be used."""

    def quote(self, item: WorkItem, turns: tuple[Message, ...]) -> Quote:
        """Who would be asked for `item` behind these turns, and what its first call may come to."""


Revoked = tuple[Sequence[str], Sequence[str], int]
"""What a revocation stopped, what it could not stop within its grace, and how many milliseconds that took."""


class House(Value, kw_only=True):
    """The daemon as the control room sees it.

    `journal`, `reader`, `publisher`, `tally` and `clock` are the daemon's own. `drain`, `resume` and `stop` only set
    going: the operation has recorded who asked. `remove_workspaces` removes all that an item wrote; the id of one that
    is gone is remembered for `remember` seconds. `revoke` is told who wants it and why, and whether the journal has
    cancelled the items; it answers when what ran has stopped, at the latest after its grace. `vital_signs` is green
    where a value is True; anything else is red and may say why. `upload_dir` is made by the operations when it is
    missing; an upload leaves `low_water` bytes free. Below `input_roots` a caller may name files by their path.
    `head_timeout` and `body_timeout` are what a request may take to come, as the settings describe them. `gauges` are
    values that only the daemon knows, under the names of the metrics table. An agent's mapping has the fields of its
    health, its `path`, and the definition it is of as `agent`. `unmade` says of each definition none of whose agents
    can be made why; `shut`, whether no provider may be asked for it now; `held` are those whose template is. `lanes`
    are those that are more than a name. `journal_wrong` says, in sentences, what is not as it was written, None before
    anybody has looked; `no_room`, why the disk takes nothing new, else None. `unfinished` counts the items that are not
    at their end, of which `max_unfinished` are taken in.
    """

    clock: Clock
    tally: Tally
    journal: Journal
    reader: Reader
    publisher: Publisher
    tree: Callable[[], Sequence[TreeRow]]
    agents: Callable[[], Sequence[Mapping[str, Any]]]
    unmade: Callable[[], Mapping[AgentName, str]]
    shut: Callable[[AgentName], bool]
    held: Callable[[], frozenset[AgentName]]
    lanes: Mapping[str, Lane]
    vital_signs: Callable[[], Mapping[str, bool | str]]
    journal_wrong: Callable[[], Sequence[str] | None]
    no_room: Callable[[], str | None]
    hint: Callable[[Mapping[tuple[AgentName, Stage], int] | None], None]
    revoke: Callable[[Sequence[Running], str, bool], Awaitable[Revoked]]
    restart_instances: Callable[[Collection[str]], Sequence[str]]
    drain: Callable[[str], None]
    pause: Callable[[str], None]
    paused: Callable[[], bool]
    resume: Callable[[str], None]
    stop: Callable[[str], None]
    draining: Callable[[], bool]
    chosen_provider: Callable[[], Mapping[str, Any]]
    definitions: Callable[[], Mapping[AgentName, Definition]]
    settings_file: Path | None
    upload_dir: Path
    input_roots: tuple[Path, ...]
    low_water: int
    head_timeout: Seconds
    body_timeout: Seconds
    workspace_of: Callable[[WorkRecord], Path]
    remove_workspaces: Callable[[str], None]
    remember: Seconds
    log_file: Path | None
    new_id: Callable[[], str]
    report: Callable[[str, BaseException, str | None], None]
    boot: Boot
    version: str
    started_at: Millis
    max_unfinished: int
    unfinished: Callable[[], int]
    treasury: Treasury
    keys: Keys
    providers: Providers
    gauges: Callable[[], Mapping[tuple[str, Labels], float]]
