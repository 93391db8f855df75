"""The wire: what may be asked, field by field. Checked here once; behind this border there are frozen values only.

Nothing here knows a rule of the domain: those are `work.validation` and `work.challenge`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StrictBool, StrictInt, ValidationError

from darumad.errors import Problem, did_you_mean
from darumad.names import Capability, ItemId, Millis, NanoUsd, Role, Seconds
from darumad.redaction import redact
from darumad.settings.units import parse_duration, parse_money
from darumad.work.states import WorkState

_NANO = 1_000_000_000
_MOST_NANO = 1 << 62
_LAST_MILLIS = 253_402_300_799_999
"""The last millisecond of the year 9999: no calendar shows a later one."""
_MOST_DIGITS = 20
LONGEST_WAIT = 300.0
"""Seconds that one request may wait for an item; a client asks again."""


def _seconds(value: Any) -> Any:
    """Seconds of `90s`, `5m`, or of a plain number of seconds."""
    if isinstance(value, str):
        return float(_in_range(value)) if _is_number(value) else parse_duration(value)
    return value


def _millis(value: Any) -> Any:
    """Wall milliseconds of an ISO 8601 time with its zone, or of a plain number of milliseconds."""
    if not isinstance(value, str):
        return _on_a_calendar(value)
    if _is_number(value):
        return _on_a_calendar(int(_in_range(value)))
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("a time with its zone, such as 2026-11-21T08:00:00Z, or milliseconds since 1970")
    return int(at.timestamp() * 1000)


def _on_a_calendar(value: Any) -> Any:
    if isinstance(value, int | float) and value > _LAST_MILLIS:
        raise ValueError("a time before the year 10000, in milliseconds since 1970")
    return value


def _nano_usd(value: Any) -> Any:
    """Nano-dollars of `2.50 USD`, or of a plain number of dollars, exactly."""
    if isinstance(value, str) and not _is_number(value):
        return parse_money(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("an amount in US dollars, such as 2.5 or 2.50 USD")  # noqa: TRY004 - pydantic tells ValueErrors
    nano = _in_range(str(value)) * _NANO
    if nano != int(nano) and (isinstance(value, str) or abs(nano) < 1):  # a float is seldom exact, and need not be
        raise ValueError("an amount of at most nine digits behind the point")
    if nano >= _MOST_NANO:
        raise ValueError(f"an amount below {_MOST_NANO // _NANO} US dollars")
    return int(nano)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _in_range(text: str) -> Decimal:
    """The number in `text`. One such as `1e999990` would take minutes as an integer, and its loop with it.

    Raises:
        ValueError: it is longer than anything that is counted here.
    """
    number = Decimal(text)
    if number.adjusted() > _MOST_DIGITS:
        raise ValueError(f"a number of at most {_MOST_DIGITS} digits")
    return number


Duration = Annotated[Seconds, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""A duration: seconds inside, `90s`, `5m` or a number outside."""
Instant = Annotated[Millis, BeforeValidator(_millis), Field(ge=0, lt=1 << 53)]
"""A moment: wall milliseconds inside, ISO 8601 with a zone or a number outside."""
Money = Annotated[NanoUsd, BeforeValidator(_nano_usd), Field(ge=0)]
"""An amount: nano-dollars inside, dollars outside."""
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
"""So many tokens or calls: what JSON carries exactly and no sum in the journal overflows."""
StageVerb = Literal["plan", "optimize", "execute", "review", "planning", "optimizing", "executing", "reviewing"]
"""A stage, as what is done in it or as the records name it."""
_ITEM, _SHA256, _LABEL = r"^[A-Za-z0-9._:-]+$", r"^[0-9a-f]{64}$", r"^[^=]+=.*$"
_SCOPE = r"^(all|agent:[a-z0-9-]{1,63}|provider:[a-z0-9-]{1,63}|item:[A-Za-z0-9._:-]{1,256})$"
_PROVIDER, _SECRET, _POSITION = r"^[a-z0-9][a-z0-9-]{0,62}$", r"^[a-z0-9][a-z0-9._-]{0,127}$", r"^\d{1,18}$"
_PATTERNS: Mapping[str, str] = {
    _ITEM: "may have letters without accents, digits and . _ : - only",
    _SHA256: "must be a sha256: 64 digits of 0-9 and a-f",
    _LABEL: "must be KEY=VALUE",
    _SCOPE: "must be all, agent:NAME, provider:NAME or item:ID",
    _PROVIDER: "must be 1 to 63 of a-z, 0-9 and dashes",
    _SECRET: "must be 1 to 128 of a-z, 0-9, dot, dash and underscore, and begin with a letter or a digit",
    _POSITION: "must be a position, such as `daruma status` shows",
}
"""What a pattern asks for: the pattern itself is nothing for people."""
_FORMS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a finite number"),
    **dict.fromkeys(("enum", "literal_error"), "must be one of {expected}"),
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
}
"""What each kind of pydantic's errors asks for, in words of JSON: who sends a request knows nothing of tuples."""
_UNSHOWN = frozenset({
    "missing", "string_pattern_mismatch", "string_too_short", "string_too_long", "too_short", "too_long",
})  # fmt: skip
"""The kinds of which what was sent says no more: it is not there, stands in the path, or is too long."""
_SHOWN = 80
"""Characters of what was sent that are told."""
_UNTOLD = object()
"""Stands for what was sent where it must not be told."""
Sha256 = Annotated[str, Field(pattern=_SHA256)]
ItemName = Annotated[ItemId, Field(min_length=1, max_length=256, pattern=_ITEM)]


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
    labels: dict[str, str] = Field(default_factory=dict)


class BatchRequest(Asked):
    """Items that are accepted all or none."""

    items: tuple[SubmitRequest, ...] = Field(min_length=1, max_length=10_000)


class Nothing(Asked):
    """A request without parameters."""


class ListRequest(Asked):
    """Which items to list. `label` is `key=value`; `after` is the `next` of the page before."""

    state: WorkState | None = None
    agent: str | None = None
    label: str | None = Field(default=None, pattern=_LABEL)
    conversation: ItemName | None = None
    parent: ItemName | None = None
    after: str | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class ShowRequest(Asked):
    """Which item to show, and with how much of its history."""

    id: ItemName
    attempts: bool = False
    steps: bool = False


class WaitRequest(Asked):
    """Which item to wait for until it is finished or parked, and for how long."""

    id: ItemName
    timeout: Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)] = 60.0


class CancelRequest(Asked):
    """Which item to cancel. `wait` answers once what ran has stopped; without it, once the item is cancelled."""

    id: ItemName
    reason: str = Field(default="", max_length=1000)
    wait: bool = True


class EditRequest(Asked):
    """What is to be different of an item; what is left out stays as it is. An `expires_at` of null takes it off."""

    id: ItemName
    description: str | None = None
    input: Any = None
    priority: int | None = None
    expires_at: Instant | None = None
    timeout: Duration | None = None
    idle_timeout: Duration | None = None
    backoff: Duration | None = None
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    max_reviews: int | None = Field(default=None, ge=0, le=1000)
    budget: BudgetAsked | None = None
    requirements: tuple[str, ...] | None = None
    success_criteria: str | None = None
    constraints: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None


class ManyRequest(Asked):
    """Which items, all that fit: at least one of these must be said. `label` is `key=value`."""

    label: str | None = Field(default=None, pattern=_LABEL)
    state: WorkState | None = None
    agent: str | None = None
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

    name: str = Field(min_length=1, max_length=255)


Scope = Annotated[str, Field(pattern=_SCOPE)]
"""Whose budget: `all`, `agent:NAME`, `provider:NAME` or `item:ID`."""
NoLimit = Literal["none"]


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

    name: str = Field(pattern=_PROVIDER)


SecretName = Annotated[str, Field(pattern=_SECRET)]


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

    since: str | None = Field(default=None, pattern=_POSITION)
    within: Duration | None = None
    type: str | None = None
    item: str | None = None
    follow: bool | None = None


def problems_of(error: ValidationError, model: type[BaseModel], sent: Any) -> tuple[Problem, ...]:
    """What is wrong with a request, each with a JSON pointer; for an unknown field what was perhaps meant.

    What was `sent` is told, where it is short and no secret.
    """
    found: dict[str, Problem] = {}
    sent = _UNTOLD if any(each.annotation is SecretStr for each in model.model_fields.values()) else sent
    for each in error.errors(include_url=False, include_input=False):
        if each["type"] == "too_short" and _written(sent, each["loc"]):
            continue  # its entries were refused, each by itself
        problem = _problem(each, model, sent)
        found.setdefault(problem.pointer, problem)
    return tuple(found.values())


def _problem(each: Mapping[str, Any], model: type[BaseModel], sent: Any) -> Problem:
    where = _field(tuple(each["loc"]), model)
    if each["type"] == "extra_forbidden":
        return Problem(pointer(*where), _unknown(str(where[-1]), _at(model, where[:-1])))
    said = _in_words(each["type"], each)
    return Problem(pointer(*where), said if each["type"] in _UNSHOWN else f"{said}{_shown(_written(sent, where))}")


def _in_words(kind: str, each: Mapping[str, Any]) -> str:
    said = each.get("ctx", {})
    form = _PATTERNS.get(said["pattern"]) if kind == "string_pattern_mismatch" else _FORMS.get(kind)
    if form:
        return form.format(**said)
    told = str(each["msg"]).removeprefix("Value error, ")
    return f"must be {told}" if told.startswith(("a ", "an ")) else told


def _written(sent: Any, where: tuple[str | int, ...]) -> Any:
    for part in where:
        sent = _UNTOLD if sent is _UNTOLD else sent[part]
    return sent


def _shown(written: Any) -> str:
    """What was sent, to be said behind what it must be: a list or an object is not told."""
    if written is not None and not isinstance(written, str | int | float):
        return ""
    return f", not {redact(repr(written) if isinstance(written, str) else json.dumps(written))[:_SHOWN]}"


def _field(where: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str | int, ...]:
    """Where a reader finds it: a field that may also be `none` is one place, however its value was tried to be read."""
    field = model.model_fields.get(str(where[0])) if where else None
    return where[:1] if field is not None and NoLimit in get_args(field.annotation) else where


def pointer(*where: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place in a request."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where)


def _unknown(name: str, model: type[BaseModel]) -> str:
    return f"is no field of this request{did_you_mean(name, model.model_fields)}"


_NESTED: Mapping[str, type[BaseModel]] = {
    "inputs": InputAsked,
    "messages": MessageAsked,
    "budget": BudgetAsked,
    "items": SubmitRequest,
}


def _at(model: type[BaseModel], where: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that stands at `where` in a request of `model`."""
    for part in where:
        model = _NESTED.get(str(part), model)
    return model
