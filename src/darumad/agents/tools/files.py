"""Reading, listing and writing files of one workspace. No name leads out of it: no `..`, no absolute path, no link."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from darumad.agents.artifacts import UnsafePath, artifact, place
from darumad.agents.step_loop import BadArguments, Tool
from darumad.agents.template import ToolFailed
from darumad.work.model import ToolCall, ToolSpec
from darumad.work.result import Artifact

READ_AT_MOST = 1_000_000
"""Bytes of a file that are read at once."""
WRITE_AT_MOST = 4_000_000
"""Bytes of a file that may be written."""
LISTED = 500
"""Files that are listed at most."""


class WorkspaceFiles:
    """The file tools of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def tools(self) -> tuple[Tool, ...]:
        """The tools, as a model may call them."""
        return (
            Tool(_spec("read_file", "Read a text file.", path=_PATH), self._read),
            Tool(
                _spec("list_files", "List the files below a folder; `.` is the whole workspace.", path=_PATH),
                self._list,
            ),
            Tool(
                _spec("write_file", "Write a text file, whole, over what is there.", path=_PATH, text=_TEXT),
                self._write,
            ),
        )

    async def _read(self, arguments: Mapping[str, Any]) -> str:
        return await _told(_read, self._place(arguments["path"]))

    async def _list(self, arguments: Mapping[str, Any]) -> str:
        path = arguments["path"]
        folder = self._workspace.resolve() if path in {".", "", "./"} else self._place(path)
        return await _told(_list, folder, self._workspace.resolve())

    async def _write(self, arguments: Mapping[str, Any]) -> str:
        return await _told(_write, self._place(arguments["path"]), arguments["text"])

    def written(self, calls: Iterable[ToolCall]) -> tuple[Artifact, ...]:
        """The files that these calls wrote, as they are on disk now. Reads them: never call it on the loop.

        Raises:
            ToolFailed: one is gone, so what was done in an earlier life is lost.
        """
        root = self._workspace.resolve()
        places = [_safe(root, call.arguments["path"]) for call in calls if call.name == "write_file"]
        names = sorted({place.relative_to(root).as_posix() for place in places if place is not None})
        try:
            return tuple(artifact(self._workspace, name) for name in names)
        except OSError as error:
            raise ToolFailed(f"a file that was written is gone: {error.filename}") from error

    def _place(self, name: str) -> Path:
        try:
            return place(self._workspace, name)
        except UnsafePath as error:
            raise BadArguments(f"{error}; name a file below the workspace, such as notes/plan.md") from error


def _safe(root: Path, name: str) -> Path | None:
    try:
        return place(root, name)
    except UnsafePath:
        return None


async def _told(do: Callable[..., str], *arguments: Any) -> str:
    """What `do` says, from a thread beside the loop; what the file system refuses is told to the model."""
    try:
        return await asyncio.to_thread(do, *arguments)
    except OSError as error:
        raise BadArguments(os.strerror(error.errno) if error.errno else "the file cannot be used") from error
    except RecursionError:
        raise BadArguments("its folders lie too deep in each other: name one further in") from None


def _read(path: Path) -> str:
    if not path.is_file():
        raise BadArguments("no such file")
    with path.open("rb") as file:
        data = file.read(READ_AT_MOST)
        unread = os.fstat(file.fileno()).st_size - len(data)
    if b"\0" in data:
        raise BadArguments("it is no text file")
    text = data.decode("utf-8", "replace")
    return f"{text}\n... {unread} more bytes of this file are not read" if unread > 0 else text


def _list(folder: Path, root: Path) -> str:
    if not folder.is_dir():
        raise BadArguments("no such folder")
    found = sorted(
        Path(base, name).relative_to(root).as_posix() for base, _, names in os.walk(folder) for name in names
    )
    more = [f"... and {len(found) - LISTED} more"] if len(found) > LISTED else []
    listed = "\n".join([*found[:LISTED], *more])
    listed = listed.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # a name on disk need not be a text
    return listed or "(no files)"


def _write(path: Path, text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) > WRITE_AT_MOST:
        raise BadArguments(f"it is longer than {WRITE_AT_MOST} bytes: write several files")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f"written: {len(data)} bytes"


def _spec(name: str, says: str, **properties: Any) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return ToolSpec(name=name, says=says, schema=schema)


_PATH = {"type": "string", "description": "A path below the workspace.", "maxLength": 1_000}
_TEXT = {"type": "string", "description": "The file's whole text."}
