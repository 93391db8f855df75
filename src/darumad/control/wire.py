"""The wire: what may be asked, request by request. Checked here once; behind this border there are frozen values only.

Nothing here knows a rule of the domain: those are `work.validation` and `work.challenge`. What a single field may hold
stands in `fields`, and what is said of one that may not in `wording`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, StrictInt

from darumad.control.fields import (
    AgentAsked,
    Count,
    Duration,
    Instant,
    ItemName,
    Label,
    Labels,
    Money,
    NoLimit,
    Patience,
    Position,
    ProviderName,
    Scope,
    SecretName,
    Sha256,
    Span,
    StageVerb,
)
from darumad.names import Capability, Role, Seconds
from darumad.work.states import WorkState


class Asked(BaseModel):
    """What every request shares: nothing unknown is let through, nothing is changed after it was checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class InputAsked(Asked):
    """One thing handed in: text as such, an upload by its digest, or a file of the daemon's machine by its path."""

    name: str = Field(min_length=1, max_length=255)
    media_type: str = "text/plain"
    text: str | None = None
    upload: Sha256 | None = None
    path: str | None = Field(default=None, min_length=1, max_length=4095)


class MessageAsked(Asked):
    """One turn of the dialogue that the description goes on with."""

    role: Literal["user", "assistant"]
    text: str


class BudgetAsked(Asked):
    """What an item may spend over all its attempts."""

    usd: Money | None = None
    tokens: Count | None = None
    calls: Count | None = None


class SubmitRequest(Asked):
    """One item of work. docs/reference/work-item.md says what each field means."""

    id: ItemName | None = None
    description: str
    phase: str = "implementation"
    priority: StrictInt = 5
    role: Role = Role.EXECUTOR
    agent: str | None = None
    stages: tuple[StageVerb, ...] | None = None
    input: Any = None
    messages: tuple[MessageAsked, ...] = ()
    conversation: ItemName | None = None
    parent: ItemName | None = None
    requires: tuple[Capability, ...] = ()
    lane: str = Field(default="default", min_length=1, max_length=255)
    depends_on: tuple[ItemName, ...] = ()
    requirements: tuple[str, ...] = ()
    success_criteria: str | None = None
    constraints: tuple[str, ...] = ()
    tech_stack: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    inputs: tuple[InputAsked, ...] = ()
    output_schema: dict[str, Any] | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None
    backoff: Duration | None = None
    max_attempts: StrictInt = Field(default=3, ge=1, le=1000)
    max_reviews: StrictInt = Field(default=3, ge=0, le=1000)
    run_at: Instant | None = None
    expires_at: Instant | None = None
    budget: BudgetAsked = BudgetAsked()
    challenge: StrictBool = True
    labels: Labels = Field(default_factory=dict)


class BatchRequest(Asked):
    """Items that are accepted all or none."""

    items: tuple[SubmitRequest, ...] = Field(min_length=1, max_length=10_000)


class Nothing(Asked):
    """A request without parameters."""


class ListRequest(Asked):
    """Which items to list. `label` is `key=value`; `after` is the `next` of the page before."""

    state: WorkState | None = None
    agent: AgentAsked | None = None
    label: Label | None = None
    conversation: ItemName | None = None
    parent: ItemName | None = None
    after: ItemName | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class ShowRequest(Asked):
    """Which item to show, and with how much of its history."""

    id: ItemName
    attempts: bool = False
    steps: bool = False


class WaitRequest(Asked):
    """Which item to wait for until it is finished or parked, and for how long."""

    id: ItemName
    timeout: Patience = Seconds(60.0)


class CancelRequest(Asked):
    """Which item to cancel. `wait` answers once what ran has stopped; without it, once the item is cancelled."""

    id: ItemName
    reason: str = Field(default="", max_length=1000)
    wait: bool = True


class EditRequest(Asked):
    """What is to be different of an item; what is left out stays as it is.

    A null takes off what an item may do without; nothing else may be null. No default is ever read: which fields were
    said is in `model_fields_set`.
    """

    id: ItemName
    description: str = ""
    input: Any = None
    priority: StrictInt = 5
    expires_at: Instant | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None
    backoff: Duration | None = None
    max_attempts: StrictInt = Field(default=3, ge=1, le=1000)
    max_reviews: StrictInt = Field(default=3, ge=0, le=1000)
    budget: BudgetAsked = BudgetAsked()
    requirements: tuple[str, ...] = ()
    success_criteria: str | None = None
    constraints: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=dict)


class ManyRequest(Asked):
    """Which items, all that fit: at least one of these must be said. `label` is `key=value`."""

    label: Label | None = None
    state: WorkState | None = None
    agent: AgentAsked | None = None
    reason: str = Field(default="", max_length=1000)


class ItemRequest(Asked):
    """An item by its id."""

    id: ItemName


class AnswerRequest(Asked):
    """Answers to what a parked item asked."""

    id: ItemName
    answers: tuple[Annotated[str, Field(min_length=1, max_length=50_000)], ...] = Field(min_length=1, max_length=100)


class ArtifactRequest(Asked):
    """One file of an item's result."""

    id: ItemName
    name: str = Field(min_length=1)


class UploadRequest(Asked):
    """The digest that the uploaded bytes must have."""

    sha256: Sha256


class AgentRequest(Asked):
    """An agent definition, or one instance by its path or `name/number`."""

    name: AgentAsked


class BudgetsRequest(Asked):
    """Whose budgets to show; without a scope, every one that has a limit."""

    scope: Scope | None = None


class BudgetRequest(Asked):
    """Whose budgets."""

    scope: Scope


class BudgetSetRequest(Asked):
    """Which limits to set, over those of the settings, until they are reset. `none` lifts one."""

    scope: Scope
    daily: Money | NoLimit | None = None
    daily_tokens: Count | NoLimit | None = None
    daily_calls: Count | NoLimit | None = None
    total: Money | NoLimit | None = None
    total_tokens: Count | NoLimit | None = None
    total_calls: Count | NoLimit | None = None


class ProviderRequest(Asked):
    """A provider by its name."""

    name: ProviderName


class SecretRequest(Asked):
    """A secret by its name."""

    name: SecretName


class SecretSetRequest(Asked):
    """A secret to keep. Its value is never told back."""

    name: SecretName
    value: SecretStr


class EventsRequest(Asked):
    """Which events, from behind which position. Without `follow` the stream ends where the present begins.

    `within` begins with what happened so long ago, by the times that the events bear; a position goes before it.
    """

    since: Position | None = None
    within: Span | None = None
    type: str | None = None
    item: str | None = Field(default=None, min_length=1)
    follow: bool | None = None
