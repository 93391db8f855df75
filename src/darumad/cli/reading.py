"""Reading: what a caller hands in as a file or on standard input, which `-` stands for, as text and as JSON.

Whatever is wrong with it is refused here, by the file's name and the line.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from darumad.control.exact import exact
from darumad.errors import Problem, Refused


def is_given() -> bool:
    """Whether standard input is anything but somebody at a terminal."""
    return sys.stdin is not None and not sys.stdin.isatty()


LARGEST = 32 << 20
"""Characters, more than any request may hold: what goes on behind them, perhaps for ever, is not read."""


def text_of(path: Path, at_most: int | None = None) -> str:
    """The text in the file at `path`; of a long one the first `at_most` characters, where that is given.

    Raises:
        Refused: it is no UTF-8 text, cannot be read, or is longer than anything that may be sent.
    """
    if str(path) == "-" and sys.stdin is None:
        raise refused(path, "cannot be read", "it is closed")
    try:
        with click.open_file(str(path), encoding="utf-8", errors="strict") as file:
            text = str(file.read(LARGEST + 1 if at_most is None else at_most))
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise refused(path, "is no text in UTF-8", where) from None
    except OSError as error:
        raise refused(path, "cannot be read", error.strerror or str(error)) from None
    if at_most is None and len(text) > LARGEST:
        raise refused(path, "is longer than a request may be", "hand it in as a file of its own: `--input PATH`")
    return text


def parsed(text: str, path: Path, line: int = 1) -> Any:
    """The JSON in `text`, which stands in the file at `path` from this `line` on.

    Raises:
        Refused: it is none; the line is told as the file counts it.
    """
    try:
        return exact(text)
    except json.JSONDecodeError as error:
        where = f"{error.msg}: line {line - 1 + error.lineno} column {error.colno}"
        raise refused(path, "is no JSON", where) from None
    except ValueError as error:
        raise refused(path, "is no JSON that can be taken", f"{error}: line {line}") from None
    except RecursionError:
        raise refused(path, "is nested too deep to be read", f"line {line}") from None


def refused(path: Path, why: str, where: str) -> Refused:
    """What is wrong with the file at `path`, and where in it or what it should be."""
    return Refused(f"{said_of(path)} {why}", problems=[Problem(said_of(path), where)])


def said_of(path: Path) -> str:
    """How people are told of the file at `path`."""
    return "standard input" if str(path) == "-" else click.format_filename(path)
