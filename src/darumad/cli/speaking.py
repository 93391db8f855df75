"""Speaking: how an answer is printed. Tables for people, JSON for programs."""

import json
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import click

from darumad.plural import counted, listed

Form = Literal["table", "json", "ndjson"]
Json = Mapping[str, Any]
_CONTROLS = frozenset({"Cc", "Cf", "Cs"})
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, and kept: scripts and emoji are written with them."""
_LAYOUT = _JOINERS | frozenset("\n\t")
_NAMED = 5
"""How many names a sentence has; of others it says how many there are."""
_NANO, _SMALL = 1_000_000_000, 1_000_000
"""Nano-USD of a dollar, and of a tenth of a cent."""
WIDEST = 80
"""How many characters of a cell a table shows at a terminal; what is piped is read by programs, and whole."""


def show(reply: Json, form: Form, lines: Callable[[Json], Iterable[str]]) -> None:
    """Prints `reply` as it came over the wire, or as `lines` has it for people."""
    if form == "json":
        _say_json(json.dumps(reply, indent=2, ensure_ascii=False))
    elif form == "ndjson":
        for each in reply["items"] if isinstance(reply.get("items"), list) else [reply]:
            line(each)
    else:
        for text in lines(reply):
            say(text)


def line(value: Any) -> None:
    """Prints one line of JSON, at once: somebody may be following."""
    _say_json(json.dumps(value, ensure_ascii=False))


def note(text: str) -> None:
    """Says something that is no data, on stderr."""
    click.echo(_harmless(text, _LAYOUT) if _is_terminal(sys.stderr) else text, err=True)


def say(text: str) -> None:
    """Prints it: at a terminal with its controls written out, and as it is where a program reads."""
    click.echo(_harmless(text, _LAYOUT) if _is_terminal(sys.stdout) else text)


def _say_json(text: str) -> None:
    click.echo(_harmless(text, _LAYOUT, _in_json) if _is_terminal(sys.stdout) else text)


def in_a_line(names: Sequence[str]) -> str:
    """The first of `names`, whatever characters they have, and how many more there are."""
    return listed([_text(name) for name in names], _NAMED)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Aligned columns under their headers; what is None is left blank, and what is long widens its own line only."""
    cells = [list(headers), *([_cell(each) for each in row] for row in rows)]
    widths = [min(WIDEST, max(len(row[index]) for row in cells)) for index in range(len(headers))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def pairs(values: Iterable[tuple[str, Any]]) -> list[str]:
    """A name and its value a line; what is None or empty is left out."""
    shown = [(name, _text(value)) for name, value in values if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in shown]


def moment(millis: int | None) -> str | None:
    """Wall milliseconds as a time in UTC; one that no calendar has stays the number that it is."""
    if millis is None:
        return None
    try:
        return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(millis)


def amount_words(amount: Json | None) -> str | None:
    """An amount in words; what is not limited, or not known, is left out."""
    if amount is None:
        return None
    usd = None if amount["nano_usd"] is None else f"{usd_words(amount['nano_usd'])} USD"
    counts = (counted(amount[f"{unit}s"], unit) for unit in ("token", "call") if amount[f"{unit}s"] is not None)
    return ", ".join([*([usd] if usd else []), *counts])


def usd_words(nano: int) -> str:
    """Nano-USD as USD to four places; what is less than a tenth of a cent to all that it has, and never as nothing."""
    usd = f"{nano / _NANO:.4f}"
    return usd if abs(nano) >= _SMALL else max(usd, f"{nano / _NANO:.9f}".rstrip("0"), key=len)


def span(seconds: float | None) -> str | None:
    """Seconds as people say them."""
    if seconds is None:
        return None
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {whole % 60}s" if minutes else f"{seconds:.1f}s"


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks; there is no stream at all where it was closed before the start."""
    return stream is not None and stream.isatty()


def is_cut(text: str) -> bool:
    """Whether a table shows only the beginning of `text`."""
    return len(text) > WIDEST and _is_terminal(sys.stdout)


def _cell(value: Any) -> str:
    text = _text(value)
    return f"{text[: WIDEST - 1]}…" if is_cut(text) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _harmless(" ".join(value.splitlines()) if isinstance(value, str) else _joined(value))


def _in_python(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _in_json(character: str) -> str:
    return json.dumps(character)[1:-1]


def _harmless(text: str, kept: Collection[str] = _JOINERS, written_out: Callable[[str], str] = _in_python) -> str:
    """`text` with its controls written out: what somebody submitted must not steer or mirror the terminal."""
    if text.isprintable():
        return text
    return "".join(each if each in kept or _is_shown(each) else written_out(each) for each in text)


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in _CONTROLS


def _joined(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
