"""The settings as people see them: in the file's own notation, and each with where it came from. Pure."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from darumad.names import NanoUsd, Seconds
from darumad.redaction import redact
from darumad.settings.model import Settings
from darumad.settings.reading import settable
from darumad.settings.units import Bytes, show_duration, show_money, show_size
from darumad.values import Value

_SHOWN: Mapping[Any, Any] = {Seconds: show_duration, Bytes: show_size, NanoUsd: show_money}


def as_written(settings: Any) -> dict[str, Any]:
    """`settings`, or a section of it, as a settings file would write it: plain values, units as text."""
    return {each.name: _shown(each.type, getattr(settings, each.name)) for each in settable(type(settings))}


def origins(settings: Settings) -> dict[str, str]:
    """Where each value came from, by its dotted key: `default`, `daruma.yaml line 3`, `$DARUMA_ITEM__TIMEOUT`."""
    return {key: settings.said.get(key, "default") for key in flat(as_written(settings))}


def flat(written: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """`written` with dotted keys, in its order; an empty mapping is a value."""
    values: dict[str, Any] = {}
    for name, value in written.items():
        dotted = f"{path}.{name}" if path else name
        if isinstance(value, Mapping) and value:
            values |= flat(value, dotted)
        else:
            values[dotted] = value
    return values


def _shown(hint: Any, value: Any) -> Any:
    if isinstance(value, Value):
        return as_written(value)
    if isinstance(value, Mapping):
        return {name: _shown(type(each), each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_shown(type(each), each) for each in value]
    if value is None:
        return None
    if isinstance(value, Path):
        return redact(str(value))
    kind = _not_none(hint)
    shown = _SHOWN.get(kind, lambda same: same)(value)
    return redact(shown) if isinstance(shown, str) else shown


def _not_none(hint: Any) -> Any:
    if get_origin(hint) is None or type(None) not in get_args(hint):
        return hint
    return next(each for each in get_args(hint) if each is not NoneType)
