"""What may be asked of the journal's writer, and what it answers.

Values only: the writer runs all requests of one kind as one statement.

Every request of a running item's owner carries its fence and its stage; when they no longer hold, nothing is
changed, the outcome is `STALE`, and a `work.stale_result` is recorded in place of the request's own facts.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from darumad.events import Fact
from darumad.names import AgentName, Attempt, Fence, ItemId, Millis, Position, Stage
from darumad.values import Value, field
from darumad.work.budget import Account, Budget
from darumad.work.conversation import Exchange
from darumad.work.effects import Effect, EffectState
from darumad.work.ends import Next
from darumad.work.item import Limits, WorkItem, WorkRecord
from darumad.work.model import Message
from darumad.work.result import Usage, WorkResult
from darumad.work.states import WorkState


class Audit(Value, kw_only=True):
    """Who asked for a change, for the audit row in the same transaction.

    `by` is `uid:1000`, a token's id, or `daemon`.
    """

    by: str
    action: str
    target: str
    via: str = "socket"
    pid: int = 0
    request_id: str = ""


class Program(Value):
    """What a life of the daemon runs on: the program's version, and digests of its settings and of each definition."""

    version: str
    settings: str | None = None
    definitions: Mapping[AgentName, str] = field(default_factory=dict)


class NewItem(Value, kw_only=True):
    """An item to accept.

    `digest` is over the fields the caller sent, canonical JSON; it makes a repeated submit idempotent.

    `state` is the wished initial state; the journal makes it `waiting` while dependencies are unfinished.
    `correlation_id` is the caller's own name for what it belongs to.
    """

    item: WorkItem
    digest: str
    state: WorkState = WorkState.READY
    reason: str | None = None
    run_at: Millis | None = None
    questions: tuple[str, ...] = ()
    origin: str = "socket"
    submitted_by: str = ""
    correlation_id: str | None = None


class Accept(Value, kw_only=True):
    """Accept these items, all or none. Dependencies must exist or be in the same batch.

    Answer: `Accepted`, or a `Refused`/`Unavailable` error: `conflict` (same id, other body), `invalid` (an unknown
    or dead dependency, named), `cycle` (its members named), `queue_full`.
    """

    items: tuple[NewItem, ...]
    audit: Audit
    max_unfinished: int


class Accepted(Value):
    """The accepted items as they stand, in the order asked; `created` says which of them are new."""

    records: tuple[WorkRecord, ...]
    created: tuple[bool, ...]


class Slot(Value):
    """A free slot: the definition and the stage whose items it takes, and who would hold them (`path#incarnation`).

    `resources_version` is the state of the template that its agent was made of; None for one that has no template.
    """

    agent: AgentName
    stage: Stage
    holder: str
    resources_version: str | None = None


class Claim(Value, kw_only=True):
    """Give each slot the best ready item of its definition and stage: lowest rank first, then id. Answer: `Claimed`.

    For optimizing and reviewing every definition's items share the pools, so `agent` is then the item's own
    definition, or `*` for any. `first` bounds, per definition, how many items may begin their first stage now
    (a definition not named is not bounded). Of those in `gated` no item is claimed, of all those
    in `but_one` that share a circuit one.
    An item past its `expires_at` is made dead instead, in passing.
    """

    slots: tuple[Slot, ...]
    first: Mapping[AgentName, int] = field(default_factory=dict)
    gated: frozenset[AgentName] = frozenset()
    but_one: Mapping[AgentName, str] = field(default_factory=dict)


class Held(Value, kw_only=True):
    """A claimed item, everything its stage needs to begin or go on, and the steps already journalled for it.

    `effects` are those of all attempts, `steps` (seq, kind, input digest, output) of this attempt and stage.
    `turns` are the earlier ones of its conversation, the same for as long as its attempt lasts.
    `brief` is what this attempt's optimizing stage left, `work` the result of its executing one, if they are done.
    """

    record: WorkRecord
    slot: Slot
    steps: tuple[tuple[int, str, str, Any], ...] = ()
    effects: tuple[Effect, ...] = ()
    brief: Any = None
    work: WorkResult | None = None
    turns: tuple[Message, ...] = ()
    failed: tuple[Mapping[str, Any], ...] = ()


class Claimed(Value):
    """What a claim gave; fewer than the slots where there was not enough work.

    So many more were `unread`: the journal holds of them what cannot be read. They are dead, and there may be others.
    """

    held: tuple[Held, ...]
    unread: int = 0


class Step(Value, kw_only=True):
    """One journalled step of a held item's stage. Answer: `APPLIED` or `STALE`.

    Accepted also while the item is ready by `interrupted` under the same fence: what was paid for is kept.
    `asked` is what a model was asked, beyond what it was asked in the step before.
    """

    item: ItemId
    fence: Fence
    attempt: Attempt
    stage: Stage
    seq: int
    kind: str
    input_digest: str
    output: Any
    asked: Mapping[str, Any] | None = None


class DropSteps(Value, kw_only=True):
    """A held item's stage takes another walk than was recorded: its steps from `seq` on, which is one, are deleted.

    Answer: `APPLIED` or `STALE`.
    """

    item: ItemId
    fence: Fence
    attempt: Attempt
    stage: Stage
    seq: int


class EffectStart(Value, kw_only=True):
    """A held item's tool is about to do something outside. Answer: `APPLIED`, or `STALE`: then it must not."""

    item: ItemId
    fence: Fence
    attempt: Attempt
    stage: Stage
    seq: int
    key: str
    tool: str
    arguments: Any
    idempotent: bool


class EffectEnd(Value, kw_only=True):
    """What came of a started effect: done with its output, or void. Answer: `APPLIED` or `STALE`."""

    item: ItemId
    fence: Fence
    attempt: Attempt
    stage: Stage
    key: str
    state: EffectState
    output: Any = None


class Move(Value, kw_only=True):
    """A decided move of a running item out of `from_stage` under `fence`. Answer: `Moved` or `STALE`.

    `follows` is what the rules decided, `holder` the slot that an item goes on in, and `resources_version` the state of
    the template there, as in `Slot`. `output` is the stage's own output
    (brief, work or review) kept for the next stage and for replay; `steps` ride in the same commit. `result` is the
    item's result and goes with SUCCEEDED only, as does `exchange`: what it leaves for the next of its conversation.
    `plan` are the items that it is broken up into, accepted with the move or not at all: where they are refused nothing
    is moved, and the answer says why.
    """

    item: ItemId
    fence: Fence
    attempt: Attempt
    from_stage: Stage
    follows: Next
    holder: str | None = None
    resources_version: str | None = None
    output: Any = None
    steps: tuple[Step, ...] = ()
    result: Mapping[str, Any] | None = None
    exchange: Exchange | None = None
    facts: tuple[Fact, ...] = ()
    plan: tuple[NewItem, ...] = ()


class Moved(Value):
    """A move that was applied, with the fence that holds now, and what it `settled`.

    That is: dependents that are ready or dead, and sub-work that is cancelled.
    """

    item: ItemId
    fence: Fence
    settled: tuple[ItemId, ...] = ()


class Cancel(Value, kw_only=True):
    """Cancel these items in any unfinished or dead state, with their sub-work, and their dependents dead of it.

    Answer: `Cancelled` or an error.

    `not_found` names an unknown id; `conflict` one that is finished already; `those_that_can` leaves these out.
    """

    items: tuple[ItemId, ...]
    reason: str
    audit: Audit
    those_that_can: bool = False


class Cancelled(Value):
    """What was cancelled, sub-work last; of what ran, who held it under which fence (the one before the cancel).

    `died` are those that came after one of them, and theirs.
    """

    items: tuple[ItemId, ...]
    running: tuple[tuple[ItemId, str, Fence], ...]
    died: tuple[ItemId, ...] = ()


class Release(Value, kw_only=True):
    """Make parked, scheduled or dead items ready (or waiting, with unsettled dependencies).

    Answer: `Released` or an error.

    A dead item gets fresh budgets and its dead dependents are revived. `answers` are appended for the agent
    to see; they are for `challenge` and its like. `those_that_can` leaves out what cannot be released.
    """

    items: tuple[ItemId, ...]
    audit: Audit
    answers: tuple[str, ...] = ()
    those_that_can: bool = False


class Released(Value):
    """What was released, dependents that were revived included."""

    items: tuple[ItemId, ...]


class ReleaseRepaired(Value, kw_only=True):
    """Make ready what is parked for its template, and was executed with another state of that. Answer: `Released`.

    `resources_version` is the state of `agent`'s template that an instance has now, as in `Slot`.
    """

    agent: AgentName
    resources_version: str
    audit: Audit


class Edit(Value, kw_only=True):
    """Put `item` in the place of `before`, which differs in `fields`. Answer: `APPLIED` or an error.

    `conflict`: it runs, is final, or is no longer as `before` says.
    """

    item: WorkItem
    before: WorkItem
    fields: tuple[str, ...]
    audit: Audit


class Rescue(Value, kw_only=True):
    """Put back every running item that nobody works on. Answer: `Rescued`.

    `live` are those that somebody does, each under its fence. Whoever is in `taken` (`path#incarnation`) may have been
    given one by an answer that is on its way.
    """

    live: frozenset[tuple[ItemId, Fence]]
    taken: frozenset[str] = frozenset()


class Rescued(Value):
    """The items put back."""

    items: tuple[ItemId, ...]


class PromoteDue(Value, kw_only=True):
    """Make scheduled items whose time has come ready, and expired ones dead. Answer: `Promoted`."""


class Demand(Value):
    """Which definitions something is ready for, in whatever stage. Answer: `Demanded`. Nothing is changed."""


class Demanded(Value):
    """The definitions that items which are ready belong to."""

    agents: frozenset[AgentName]


class SetBack(Value, kw_only=True):
    """The wall clock was set back by `by_ms`, which was seen `at` what it says now. Answer: `APPLIED`.

    What waits out a backoff or an outage since before then goes back with it; a moment that somebody named stays. Up to
    the position `right` the clock was right, behind `wrong` it was not; of what was written between the two, all that
    is of a time ahead of `at` came before.
    """

    by_ms: int
    at: Millis
    right: Position
    wrong: Position


class Promoted(Value):
    """How many became ready, and when the next one is due (wall milliseconds), if any is scheduled."""

    ready: int
    next_due: Millis | None


class Note(Value, kw_only=True):
    """Facts without a change of an item's state: of agents, budgets and the daemon. Answer: `APPLIED`."""

    facts: tuple[Fact, ...]
    audit: Audit | None = None


class Reserve(Value, kw_only=True):
    """Reserve `estimate` under every budget that this call falls under, each within its limits.

    `fence` is the claim that it is made under, whose attempt it will be booked on; `day` the day it is booked on
    (`2026-11-21`). Answer: `APPLIED` or `OverBudget`.
    """

    id: str
    item: ItemId
    fence: Fence
    agent: str
    provider: str
    day: str
    estimate: Usage
    limits: Mapping[Budget, Limits]


class OverBudget(Value, kw_only=True):
    """A call was not let through: this budget has no room for it, or none while other calls are open (`waits`)."""

    budget: Budget
    limits: Limits
    account: Account
    waits: bool


class Settle(Value, kw_only=True):
    """Book what a reserved call used, on its budgets and its attempt; once, and never fenced. Answer: `APPLIED`.

    `limits` are those it was reserved under, for whom a threshold has to be told.
    """

    id: str
    usage: Usage
    limits: Mapping[Budget, Limits] = field(default_factory=dict)


PAUSED = "paused"
"""The key of the switch that keeps anything new from being claimed: `yes` or `no`."""


class Setting(Value, kw_only=True):
    """What survives a restart, such as the switch `paused`: values by their keys, all or none. Answer: `APPLIED`."""

    values: Mapping[str, str]
    facts: tuple[Fact, ...] = ()
    audits: tuple[Audit, ...] = ()


class Prune(Value, kw_only=True):
    """Let go of a bite of what is older than these moments (wall milliseconds). Answer: `Pruned`.

    `behind` is where the last bite ended. `remember_ms` is for how long the id of an item outlives it.
    """

    steps: Millis
    events: Millis
    items: Millis
    remember_ms: int
    behind: int = 0


class Pruned(Value):
    """The items that are gone, how many events are, and behind what there may be more; None when there is not."""

    items: tuple[ItemId, ...]
    events: int
    behind: int | None


class Purge(Value, kw_only=True):
    """Let go of a finished item now, and of what its events say. Answer: `Purged` or an error."""

    item: ItemId
    remember_ms: int
    audit: Audit


class Purged(Value):
    """The item that is gone; only its id and how it ended are still known."""

    item: ItemId


class Said(Enum):
    """The answers that carry nothing more."""

    APPLIED = "applied"
    STALE = "stale"


APPLIED, STALE = Said.APPLIED, Said.STALE

Request = (
    Accept | Claim | Step | DropSteps | EffectStart | EffectEnd | Move | Cancel | Release | ReleaseRepaired | Rescue
    | PromoteDue | Demand | Note | Reserve | Settle | Setting | Prune | Purge | Edit | SetBack
)  # fmt: skip
Answer = (
    Accepted
    | Claimed
    | Demanded
    | Moved
    | Cancelled
    | Released
    | Rescued
    | Promoted
    | Pruned
    | Purged
    | OverBudget
    | Said
    | Exception
)


class Outcome(NamedTuple):
    """One request and its answer, after COMMIT (or its error, after ROLLBACK)."""

    request: Request
    answer: Answer
