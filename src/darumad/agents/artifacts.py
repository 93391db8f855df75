"""Files that agents make: safe places below a workspace, what is on disk there, and the marks of unfinished work."""

import hashlib
import mimetypes
import re
from collections.abc import Iterable
from pathlib import Path

from darumad.work.result import Artifact

MARKERS = re.compile(r"\b(?:TODO|FIXME|HACK|XXX|NotImplemented(?:Error)?)\b|\b[Pp]laceholder\b|\bPLACEHOLDER\b")
"""What unfinished work is marked with."""
LARGEST = 2 * 2**20
"""Bytes of one artifact that are looked through; what is larger is no text that somebody wrote."""


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
    path = (root / name).resolve()
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


def unfinished(workspace: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Each mark of unfinished work in these files, as `name:line: mark`. Reads them: never call it on the loop."""
    return tuple(issue for name in names for issue in _unfinished(workspace, name))


def text_of(workspace: Path, name: str, *, most: int = LARGEST) -> str | None:
    """The text of a file, at most `most` bytes of it; None when it is missing or no text. Never call it on the loop."""
    try:
        with place(workspace, name).open("rb") as file:
            data = file.read(most)
    except (OSError, UnsafePath):
        return None
    return None if b"\0" in data else data.decode("utf-8", "ignore")


def _unfinished(workspace: Path, name: str) -> list[str]:
    text = text_of(workspace, name)
    if text is None:
        return []
    lines = enumerate(text.splitlines(), start=1)
    return [f"{name}:{number}: {mark.group()}" for number, line in lines if (mark := MARKERS.search(line))]


def _media_type(name: str) -> str:
    if name.endswith(".md"):
        return "text/markdown"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
