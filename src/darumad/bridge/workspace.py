"""A directory per item below the state directory, where its agents read what was uploaded and write what they make."""

import hashlib
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from darumad.journal.requests import Held
from darumad.work.item import Input, WorkItem

TAR = "application/x-tar"
LONGEST_NAME = 200
"""Characters of an id that is the name of its directory as it is; a file system takes 255."""


class Workspaces:
    """Lays out workspaces below `root` and fills them from the content-addressed `uploads`.

    Blocking: never call it on the loop.
    """

    def __init__(self, root: Path, uploads: Path) -> None:
        self._root = root
        self._uploads = uploads

    def place(self, item_id: str, lineage: int) -> Path:
        """Where this item's files are. A failure starts a new lineage, so its retry finds an empty directory."""
        return Path(f"{self._home(item_id)}/{lineage}")

    def home_of(self, item_id: str) -> Path:
        """The directory of all workspaces of one item, and of no other item."""
        return Path(self._home(item_id))

    def _home(self, item_id: str) -> str:
        return f"{self._root}/{_name_of(item_id)}"  # one path is made of it, not one for each part

    def remove(self, home: Path) -> None:
        """Let go of `home` with all that is in it, if it is there.

        Raises:
            ValueError: it lies elsewhere than in the directory of all workspaces. Nothing is removed then.
        """
        if home.resolve().parent != self._root.resolve():
            raise ValueError(f"{home} is no item's directory of workspaces")
        if home.is_dir():
            shutil.rmtree(home, ignore_errors=True)

    def homes(self) -> list[Path]:
        """The directory of every item that ever had a workspace and still has it."""
        return [each for each in self._root.iterdir() if each.is_dir()] if self._root.is_dir() else []

    def of(self, held: Held) -> Path:
        """The workspace of a held item."""
        return self.place(held.record.item.id, held.lineage)

    def fill(self, item: WorkItem, workspace: Path) -> Mapping[str, Path]:
        """Each upload of `item` by its name, unpacked once per workspace.

        A tar becomes a directory, all else a file.
        """
        placed = workspace / "inputs"
        return {each.name: self._place(each, placed) for each in item.inputs if each.upload}

    def _place(self, given: Input, placed: Path) -> Path:
        target = placed / given.name
        if target.exists():
            return target
        placed.mkdir(parents=True, exist_ok=True)
        source = self._uploads / str(given.upload)
        partial = placed / f".{given.name}.partial"
        if partial.is_dir():
            shutil.rmtree(partial)
        if given.media_type == TAR:
            _unpack(source, partial)
        else:
            shutil.copyfile(source, partial)
        partial.rename(target)  # whole or not at all: a kill in between leaves no half directory that looks finished
        return target


def _name_of(item_id: str) -> str:
    """A directory's name for each id, never two for one: `+` and `=` are in no id, and none may be `.` or `..`."""
    if len(item_id) > LONGEST_NAME or item_id.startswith("."):
        return "=" + hashlib.sha256(item_id.encode()).hexdigest()
    return item_id.replace(":", "+")


def _unpack(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    with tarfile.open(source) as archive:
        archive.extractall(target, filter="data")
