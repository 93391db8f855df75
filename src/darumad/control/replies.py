"""The replies: what is answered, field by field. Within v1 fields are only added; clients skip those they do not know.

What is asked stands in `wire`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from darumad.values import Value


class Submitted(Value):
    """An accepted item. `created` is false for a repeat; `questions` are what it must be told before it runs."""

    id: str
    state: str
    created: bool
    reason: str | None = None
    questions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class SubmittedBatch(Value):
    """The accepted items, in the order asked."""

    items: tuple[Submitted, ...]


class WorkSummary(Value):
    """One line of the queue. Times are wall milliseconds. `unreadable` as in the view of the item."""

    id: str
    state: str
    reason: str | None
    stage: str
    agent: str
    phase: str
    priority: int
    attempt: int
    description: str | None
    created_at: int
    run_at: int | None
    finished_at: int | None
    unreadable: str | None = None


class WorkPage(Value):
    """Items, and where the next page begins; None on the last."""

    items: tuple[WorkSummary, ...]
    next: str | None = None


class AmountView(Value):
    """An amount in the three units of a budget; null where there is no limit, or a price is not known."""

    nano_usd: int | None
    tokens: int | None
    calls: int | None


class WorkView(Value, kw_only=True):
    """One item: what was asked for, and everything that has become of it. Times are wall milliseconds.

    `unreadable` says why the journal cannot tell what was asked for, and what to do about it: then only what stands in
    its row is there of that, all else is null. `cancelled` says by whom, and with what reason, as long as its event is
    kept. Where the item alone is shown, these are there too: `children`, the first hundred, None where it has none;
    `spent`, the milliseconds in each state, and while it ran in each stage, as far as its events are kept; `used`, what
    was booked for it.
    """

    id: str
    state: str
    stage: str
    reason: str | None
    attempt: int
    failures: int
    crashes: int
    suspect: bool
    delays: int
    parks: int
    reviews: int
    rank: int
    holder: str | None
    boot: int | None
    created_at: int
    ready_at: int | None
    started_at: int | None
    finished_at: int | None
    scheduled_for: int | None
    error: Mapping[str, Any] | None
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    feedback: tuple[Mapping[str, Any], ...]
    origin: str
    submitted_by: str
    correlation_id: str | None
    unreadable: str | None = None
    waits_for: str | None = None
    cancelled: Mapping[str, Any] | None = None
    children: tuple[Mapping[str, Any], ...] | None = None
    spent: Mapping[str, int] | None = None
    used: AmountView | None = None
    asked: Mapping[str, Any]
    attempts: tuple[Mapping[str, Any], ...] | None = None
    steps: tuple[Mapping[str, Any], ...] | None = None
    effects: tuple[Mapping[str, Any], ...] | None = None


class CancelReply(Value):
    """What a cancel reached: the items cancelled, what stopped and what did not within the grace.

    `died` are those that were to come after one of them.
    """

    id: str
    cancelled: tuple[str, ...]
    died: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    not_stopped: tuple[str, ...] = ()
    after_ms: int | None = None


class ReleaseReply(Value):
    """The items that are on their way again, revived dependents included."""

    id: str
    released: tuple[str, ...]


class ResultView(TypedDict):
    """The result of a succeeded item: with all that docs/reference/work-item.md says of a result."""

    item_id: str
    artifacts: Sequence[Mapping[str, Any]]


class UploadReply(Value):
    """An upload that is on disk. `created` is false when it was there before."""

    sha256: str
    size: int
    created: bool


class StatusView(Value):
    """The daemon on one screen.

    `held_back` says what waits, for what, since when, and what lets it go on; `amiss` what is wrong though nothing
    waits for it as yet. `needs_somebody`: not all of that ends by itself.
    """

    state: str
    settings_file: str | None
    state_dir: str
    version: str
    boot: int
    uptime_seconds: float
    healthy: bool
    vital_signs: Mapping[str, bool | str]
    draining: bool
    provider: Mapping[str, Any]
    queue: Mapping[str, int]
    oldest_ready_seconds: float | None
    agents: Mapping[str, int]
    position: str
    held_back: tuple[str, ...] = ()
    amiss: tuple[str, ...] = ()
    needs_somebody: bool = False


class TreeRowView(Value):
    """A place in the supervision tree."""

    path: str
    kind: str
    state: str
    incarnation: int
    restarts: int
    last_exit: str | None
    mailbox_depth: int
    errors_in_window: int
    last_error: str | None


class TreeView(Value):
    """The supervision tree, parents before their children."""

    items: tuple[TreeRowView, ...]


class AgentsView(Value):
    """The agents' instances and how they are. `asleep` are the definitions whose agents start with their first item."""

    items: tuple[Mapping[str, Any], ...]
    asleep: tuple[str, ...]


class AgentView(Value):
    """One definition or instance: its definition, why no agent of it can be made, and its instances."""

    name: str
    template: str | None
    stages: tuple[str, ...]
    offers: tuple[str, ...]
    unmade: str | None
    instances: tuple[Mapping[str, Any], ...]


class RestartReply(Value):
    """The instances that were restarted, those that could not start with why, and the items that had waited for that.

    What could not start is tried again by its supervisor, as after a crash. `started` is a definition that had none.
    """

    restarted: tuple[str, ...]
    failed: Mapping[str, str]
    started: tuple[str, ...]
    released: tuple[str, ...]


class BudgetView(Value):
    """How one budget stands. `period` is a day or `ever`; `reserved` is what open calls may still come to.

    `left` is what neither is spent nor reserved.
    """

    scope: str
    period: str
    limit: AmountView
    spent: AmountView
    reserved: AmountView
    left: AmountView


class BudgetsView(Value):
    """The budgets that have a limit, and those of everything."""

    items: tuple[BudgetView, ...]


class BudgetChange(Value):
    """The budgets of a scope as they stand now, and the items that go on because of it."""

    items: tuple[BudgetView, ...]
    released: tuple[str, ...]


class EstimateView(Value):
    """What an item may use, before it runs.

    `model` is null where none is configured; `a_call` is the most that one call with the item's own words may use.
    `items` earlier ones of its agent came to `median`, nine of ten of them to at most `most`. `allowed` is what the
    limits leave for it.
    """

    agent: str
    provider: str | None
    model: str | None
    a_call: AmountView | None
    items: int
    median: AmountView | None
    most: AmountView | None
    allowed: AmountView
    warnings: tuple[str, ...] = ()


class ProviderView(Value):
    """A model provider: how it was found, and where its key came from, as in `environment: ANTHROPIC_API_KEY`.

    The others are `systemd`, `file` and `store`, each with the name of the credential, the file or the secret.
    `passes`: what is wrong may end by itself, for it is called again.
    """

    name: str
    kind: str
    model: str | None
    base_url: str | None
    key: str | None
    used: bool
    state: str
    reason: str
    checked_at: int | None
    passes: bool = False


class ProvidersView(Value):
    """Every provider there is."""

    items: tuple[ProviderView, ...]


class SecretView(Value):
    """A secret that is kept: its name, which key seals it, and why it cannot be opened, if so. Never its value."""

    name: str
    sealed_with: str
    unopened: str | None


class SecretsView(Value):
    """The secrets that are kept."""

    items: tuple[SecretView, ...]


class SecretChange(Value):
    """What was done to a secret, and the providers whose key is another because of it."""

    name: str
    done: str
    providers: tuple[str, ...] = ()


class SecretsRotated(Value):
    """How many secrets are sealed anew, and with which key."""

    secrets: int
    sealed_with: str


class SampleView(Value):
    """One value of a metric, as Prometheus names it: a histogram has one for each bucket, its sum and its count."""

    name: str
    labels: Mapping[str, str]
    value: float


class SamplesView(Value):
    """Every value of every metric."""

    items: tuple[SampleView, ...]


class HealthView(Value):
    """What lives and what does not; `ready` is also false while draining, and while the disk takes nothing new.

    `degraded`: some agent cannot be made, and its items wait, a provider in use is not called until somebody says that
    it is mended, the journal is not what was written, or its `disk` takes nothing new, which then says why. `agents` is
    True for those that can be made, and says why for those that cannot; so is `providers` of those in use. An outage
    that ends by itself is none of that. `journal` is what a child found that looked at all of it after the start, in
    sentences: none is well, null when none has looked yet. `held_back`, `amiss` and `needs_somebody` are as in the
    status; they change nothing of the others, for no restart mends what they name.
    """

    live: bool
    ready: bool
    degraded: bool
    vital_signs: Mapping[str, bool | str]
    agents: Mapping[str, bool | str]
    providers: Mapping[str, bool | str]
    journal: tuple[str, ...] | None
    disk: str | None = None
    held_back: tuple[str, ...] = ()
    amiss: tuple[str, ...] = ()
    needs_somebody: bool = False


class ManyReply(Value):
    """The items it was done to; those that could not be are left out. `died` are those that were to come after one."""

    items: tuple[str, ...]
    died: tuple[str, ...] = ()


class PanicReply(Value):
    """What was stopped, and what had not stopped when the grace was over."""

    state: str
    stopped: tuple[str, ...]
    not_stopped: tuple[str, ...]


class PurgeReply(Value):
    """What is gone, and where something of it may still be: uploads that others name too, the log, and backups."""

    id: str
    uploads_kept: tuple[str, ...]
    log_file: str | None


class StateReply(Value):
    """What the daemon is doing from now on: `running`, `paused`, `draining` or `stopping`."""

    state: str


class VersionView(Value):
    """What answers here."""

    version: str
    api: int
    boot: int
