"""The fields of a request: how each kind is written outside, and what it is inside.

A pattern's words stand beside it: who is refused is told what it asks for, and never the pattern.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt

from darumad.names import SECRET, SECRET_NAMES, SLUG, ItemId, Millis, NanoUsd, Seconds
from darumad.settings.units import LONGEST, MOST_NANO, TOO_FINE, TOO_MUCH, parse_duration, parse_money

_NANO = 1_000_000_000
_LAST_MILLIS = 253_402_300_799_999
"""The last millisecond of the year 9999: no calendar shows a later one."""
_MOST_DIGITS = 20
_A_TIME = "a time with its zone, such as 2026-11-21T08:00:00Z, or a number of milliseconds since 1970"


def _seconds(value: Any) -> Any:
    """Seconds of `90s`, `5m`, or of a number of seconds."""
    if isinstance(value, bool):
        raise ValueError("a duration such as 90s or 5m, or a number of seconds")  # noqa: TRY004 - pydantic tells ValueErrors
    return parse_duration(value) if isinstance(value, str) else value


def _seconds_in_address(value: Any) -> Any:
    """The same where everything is text: a plain number of seconds too."""
    return float(_in_range(value)) if isinstance(value, str) and _is_number(value) else _seconds(value)


def _millis(value: Any) -> Any:
    """Wall milliseconds of an ISO 8601 time with its zone, or of a number of milliseconds."""
    if not isinstance(value, str):
        return _on_a_calendar(value)
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(_A_TIME)
    return int(at.timestamp() * 1000)


def _on_a_calendar(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(_A_TIME)  # noqa: TRY004 - pydantic tells ValueErrors
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
        raise ValueError(TOO_FINE)
    if nano >= MOST_NANO:
        raise ValueError(TOO_MUCH)
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


Duration = Annotated[Seconds, BeforeValidator(_seconds), Field(gt=0, le=LONGEST, allow_inf_nan=False)]
"""A duration: seconds inside, `90s`, `5m` or a number outside."""
Span = Annotated[Seconds, BeforeValidator(_seconds_in_address), Field(gt=0, allow_inf_nan=False)]
"""A duration that stands in an address."""
Patience = Annotated[Seconds, BeforeValidator(_seconds_in_address), Field(ge=0, allow_inf_nan=False)]
"""The same where it may be none at all."""
Instant = Annotated[Millis, BeforeValidator(_millis), Field(ge=0, lt=1 << 53)]
"""A moment: wall milliseconds inside, ISO 8601 with a zone or a number outside."""
Money = Annotated[NanoUsd, BeforeValidator(_nano_usd), Field(ge=0)]
"""An amount: nano-dollars inside, dollars outside."""
NoLimit = Literal["none"]
"""Stands for an amount where there is to be no limit."""
Count = Annotated[StrictInt, Field(ge=0, lt=1 << 53)]
"""So many tokens or calls: what JSON carries exactly and no sum in the journal overflows."""
StageVerb = Literal["plan", "optimize", "execute", "review", "planning", "optimizing", "executing", "reviewing"]
"""A stage, as what is done in it or as the records name it."""

_ITEM, _SHA256, _LABEL = r"^[A-Za-z0-9._:-]+$", r"^[0-9a-f]{64}$", r"^[^=]+=(?s:.*)$"
_LABEL_KEY = r"^[^=]+$"
_SCOPE = r"^(all|agent:[a-z0-9-]{1,63}|provider:[a-z0-9-]{1,63}|item:[A-Za-z0-9._:-]{1,256})$"
_PROVIDER, _SECRET, _POSITION = rf"^{SLUG.pattern}$", rf"^{SECRET.pattern}$", r"^\d{1,18}$"
PATTERNS: Mapping[str, str] = {
    _ITEM: "may have letters without accents, digits and . _ : - only",
    _SHA256: "must be a sha256: 64 digits of 0-9 and a-f",
    _LABEL: "must be KEY=VALUE",
    _LABEL_KEY: "must have a key of at least one character and without =, which no --label KEY=VALUE would find",
    _SCOPE: "must be all, agent:NAME, provider:NAME or item:ID",
    _PROVIDER: "must be 1 to 63 of a-z, 0-9 and dashes",
    _SECRET: f"must be {SECRET_NAMES}",
    _POSITION: "must be a position, such as `daruma status` shows",
}
"""What a pattern asks for: the pattern itself is nothing for people."""

ItemName = Annotated[ItemId, Field(min_length=1, max_length=256, pattern=_ITEM)]
AgentAsked = Annotated[str, Field(min_length=1, max_length=255)]
"""An agent by its name. An empty one comes of a variable that is unset, and is never silence."""
Sha256 = Annotated[str, Field(pattern=_SHA256)]
Label = Annotated[str, Field(pattern=_LABEL)]
"""One label and its value: `key=value`."""
Labels = dict[Annotated[str, Field(pattern=_LABEL_KEY)], str]
"""Labels by their keys."""
Scope = Annotated[str, Field(pattern=_SCOPE)]
"""Whose budget: `all`, `agent:NAME`, `provider:NAME` or `item:ID`."""
ProviderName = Annotated[str, Field(pattern=_PROVIDER)]
SecretName = Annotated[str, Field(pattern=_SECRET)]
Position = Annotated[str, Field(pattern=_POSITION)]
"""A place in the stream of events."""
