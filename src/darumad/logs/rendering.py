"""What a line looks like: JSON, with the priority that systemd reads, or for people. Its clock is given."""

import json
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from darumad.clock import Clock

PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""What sd-daemon(3) calls each level."""

Fields = MutableMapping[str, Any]
Render = Callable[[Fields], str]


def as_json(fields: Fields) -> str:
    """One JSON object; what JSON does not know is written as its text. Never raises: a log call breaks nobody."""
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n"
    except orjson.JSONEncodeError:  # a lone surrogate, a huge number, a cycle, an object that cannot be printed
        return json.dumps({str(name): _plain(value) for name, value in fields.items()}) + "\n"


def _plain(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - it may be anything
        return f"<unprintable {type(value).__name__}>"


def with_priority(render: Render) -> Render:
    """As `render`, with the priority before each line that the journal of systemd reads (sd-daemon(3))."""

    def prefixed(fields: Fields) -> str:
        return f"<{PRIORITY.get(fields['level'], 6)}>{render(fields)}"

    return prefixed


def for_people(*, colors: bool) -> Render:
    """A console's lines: time, level, what happened, and the fields."""
    console = structlog.dev.ConsoleRenderer(colors=colors)

    def rendered(fields: Fields) -> str:
        return f"{console(None, '', dict(fields))}\n"

    return rendered


class Stamp:
    """Wall time as ISO 8601 in UTC with milliseconds; the part that changes once a second is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second: tuple[int, str] = (-1, "")

    def __call__(self) -> str:
        """Now."""
        seconds, millis = divmod(self._clock.wall(), 1000)
        known, text = self._second
        if seconds != known:
            text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (seconds, text)
        return f"{text}.{millis:03d}Z"
