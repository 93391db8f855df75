"""Durations as a command takes them. The daemon reads the same words; this one imports no setting for it."""

import re
from typing import Any

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}
_WORD = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")


class DurationType(click.ParamType[float]):
    """Seconds of `90s`, `5m`, `1h` or a plain number."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds. Click reports what is none."""
        if isinstance(value, float):
            return value
        match = _WORD.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no duration such as 90s, 5m or 1h", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


DURATION = DurationType()
