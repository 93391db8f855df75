"""Files that agents make: safe places below a workspace, what is on disk there, and the marks of unfinished work."""

import codecs
import hashlib
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path

from darumad.values import Value
from darumad.work.result import Artifact

MARKERS = re.compile(r"\b(?:TODO|FIXME|HACK|XXX|NotImplemented(?:Error)?)\b|\b[Pp]laceholder\b|\bPLACEHOLDER\b")
"""What unfinished work is marked with."""
LARGEST = 2 * 2**20
"""Bytes of one artifact that are looked through; what is larger is no text that somebody wrote."""
_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""The texts with zero bytes in them, by how they begin."""


class Looked(Value):
    """How one file was looked through for marks of unfinished work, of which each is told as `name:line: mark`.

    `whole` where it is a text that was read to its end. Else `unread` says why it was not; it is None for what is no
    text and says of itself that it is none: nobody marks unfinished work there.
    """

    marks: tuple[str, ...] = ()
    whole: bool = False
    unread: str | None = None


class UnsafePath(ValueError):  # noqa: N818 - it reads as what it is
    """A path that leads out of the workspace."""


def place(workspace: Path, name: str) -> Path:
    """Where the file `name` of `workspace` is, links followed.

    Raises:
        UnsafePath: it would be outside the workspace, or is no relative path.
    """
    root = workspace.resolve()
    if not name or "\0" in name or Path(name).is_absolute():
        raise UnsafePath(f"{name!r} is no path below the workspace")
    try:
        path = (root / name).resolve()
    except RuntimeError:  # Python before 3.13 finds links that lead to each other so, and 3.13 follows none of them
        raise UnsafePath(f"{name!r} leads nowhere, by links without an end") from None
    if path == root or root not in path.parents:
        raise UnsafePath(f"{name!r} leads out of the workspace")
    return path


def artifact(workspace: Path, name: str) -> Artifact:
    """The file `name` as it is on disk now. Reads it whole: never call it on the loop.

    Raises:
        OSError: it cannot be read.
        UnsafePath: it is not below the workspace.
    """
    path = place(workspace, name)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
            size += len(block)
    return Artifact(name=name, media_type=_media_type(name), size=size, sha256=digest.hexdigest())


def look_through(workspace: Path, made: Artifact) -> Looked:
    """Look for marks of unfinished work in what was made. Reads it: never call it on the loop."""
    try:
        data = _read(workspace, made.name, LARGEST + 1)
    except UnsafePath as error:
        return Looked(unread=str(error))
    except OSError as error:
        return Looked(unread=f"{made.name}: {error.strerror}")
    text = _decoded(data[:LARGEST])
    if text is None:
        claimed = made.media_type.startswith("text/")
        return Looked(unread=f"{made.name}: it is said to be {made.media_type}, and is no text" if claimed else None)
    marks = tuple(_marks(made.name, text))
    if len(data) > LARGEST:
        return Looked(marks, unread=f"{made.name}: of its {made.size:,} bytes only {LARGEST:,} were read")
    return Looked(marks, whole=True)


def text_of(workspace: Path, name: str, *, most: int) -> str | None:
    """The text of a file, at most `most` bytes of it; None when it is missing or no text. Never call it on the loop."""
    try:
        return _decoded(_read(workspace, name, most))
    except (OSError, UnsafePath):
        return None


def _read(workspace: Path, name: str, most: int) -> bytes:
    with place(workspace, name).open("rb") as file:
        return file.read(most)


def _decoded(data: bytes) -> str | None:
    """The text that these bytes are, or begin; None where they are none."""
    wide = next((name for mark, name in _WIDE.items() if data.startswith(mark)), None)
    if wide is not None:
        return data.decode(wide, "ignore")
    return None if b"\0" in data else data.decode("utf-8", "ignore")


def _marks(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if mark := MARKERS.search(line):
            yield f"{name}:{number}: {mark.group()}"


def _media_type(name: str) -> str:
    if name.endswith(".md"):
        return "text/markdown"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
