"""A disk that remembers what was promised: from a record of changes, the states in which a power cut may leave it.

What was synced is there. Of what was not, each write is there, is gone, or is there in part; names that were made,
taken or changed since their folder was synced are there up to some point. Nothing of Daruma is imported here.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
_HEAD = struct.Struct("<QQIHcx")

Kind = Literal["C", "M", "W", "T", "S", "U", "R"]
"""File made, folder made, written, cut or lengthened, synced, unlinked, renamed."""
Keep = Literal["nothing", "everything", "some"]


@dataclass(frozen=True, slots=True)
class Change:
    """One record of `disk.c`: at monotonic nanoseconds, below the recorded root."""

    at: int
    kind: Kind
    path: str
    offset: int
    data: bytes


def changes(trace: Path) -> Iterator[Change]:
    """The records of a trace, in order; a process that was killed may have left half of the last."""
    content, at = trace.read_bytes(), 0
    while at + _HEAD.size <= len(content):
        when, offset, length, path, kind = _HEAD.unpack_from(content, at)
        start = at + _HEAD.size
        at = start + path + length
        if at <= len(content):
            yield Change(
                when, kind.decode(), content[start : start + path].decode(), offset, content[start + path : at]
            )


@dataclass(slots=True)
class _File:
    """What is synced of a file's content, and the writes and cuts since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Change] = field(default_factory=list)

    def sync(self) -> None:
        for each in self.since:
            _apply(self.synced, each)
        self.since.clear()

    def after(self, keep: Keep, rng: random.Random) -> bytearray:
        """What a cut leaves."""
        content = bytearray(self.synced)
        for each in self.since:
            if keep == "everything" or (keep == "some" and rng.random() < 0.5):
                _apply(content, each if keep == "everything" or rng.random() < 0.8 else _torn(each, rng))
        return content


@dataclass(slots=True)
class _Folder:
    """The names in a folder: those on disk, those to be seen now, and what changed them since the last sync."""

    synced: "dict[str, _File | _Folder]" = field(default_factory=dict)
    now: "dict[str, _File | _Folder]" = field(default_factory=dict)
    since: "list[dict[str, _File | _Folder]]" = field(default_factory=list)

    def change(self, name: str, to: "_File | _Folder | None") -> None:
        self.now = {each: node for each, node in self.now.items() if each != name} | ({name: to} if to else {})
        self.since.append(self.now)

    def sync(self) -> None:
        self.synced = self.now
        self.since.clear()

    def after(self, keep: Keep, rng: random.Random) -> "dict[str, _File | _Folder]":
        """Names change in order: a cut leaves those up to some change."""
        if keep == "nothing" or not self.since:
            return self.synced
        return self.now if keep == "everything" else rng.choice([self.synced, *self.since])


class Disk:
    """One folder over time: `play` changes, then `cut` as often as you like."""

    def __init__(self) -> None:
        self._root = _Folder()

    def play(self, change: Change) -> None:
        """What the process did next."""
        path = PurePosixPath(change.path)
        folder = self._folder(path.parent)
        match change.kind:
            case "C":
                folder.change(path.name, _File())
            case "M":
                folder.change(path.name, _Folder())
            case "U":
                folder.change(path.name, None)
            case "R":
                self._rename(folder, path.name, PurePosixPath(change.data.decode()))
            case "S":
                self._at(path).sync()
            case "W" | "T":
                node = self._at(path)
                assert isinstance(node, _File), f"{path} is a folder"
                node.since.append(change)

    def cut(self, to: Path, rng: random.Random) -> None:
        """Write into `to`, a new folder, a state that a power cut at this moment may leave."""
        _write(self._root, to, rng)

    def _rename(self, folder: _Folder, name: str, other: PurePosixPath) -> None:
        node = folder.now[name]
        self._folder(other.parent).change(other.name, node)
        folder.change(name, None)

    def _folder(self, path: PurePosixPath) -> _Folder:
        node = self._at(path)
        assert isinstance(node, _Folder), f"{path} is no folder"
        return node

    def _at(self, path: PurePosixPath) -> _File | _Folder:
        node: _File | _Folder = self._root
        for part in path.parts:
            if part != "/":
                assert isinstance(node, _Folder)
                node = node.now[part]
        return node


def _write(folder: _Folder, to: Path, rng: random.Random) -> None:
    to.mkdir(mode=0o700)
    names: Keep = rng.choice(("nothing", "everything", "some"))
    for name, node in folder.after(names, rng).items():
        if isinstance(node, _Folder):
            _write(node, to / name, rng)
        else:
            keep: Keep = rng.choice(("nothing", "everything", "some"))
            (to / name).write_bytes(node.after(keep, rng))


def _apply(content: bytearray, change: Change) -> None:
    if change.kind == "T":
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
    else:
        content.extend(bytes(max(0, change.offset - len(content))))
        content[change.offset : change.offset + len(change.data)] = change.data


def _torn(change: Change, rng: random.Random) -> Change:
    """The write up to the end of some sector; a cut of the file is not torn."""
    sectors = (change.offset + len(change.data)) // SECTOR - change.offset // SECTOR
    if change.kind == "T" or sectors < 1:
        return change
    end = (change.offset // SECTOR + rng.randint(1, sectors)) * SECTOR
    return Change(change.at, change.kind, change.path, change.offset, change.data[: end - change.offset])
