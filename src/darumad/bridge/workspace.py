"""A directory per item below the state directory, where its agents read what was uploaded and write what they make."""

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from darumad.journal.requests import Held
from darumad.work.item import Input, WorkItem

TAR = "application/x-tar"


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
        """The directory of all workspaces of one item."""
        return Path(self._home(item_id))

    def _home(self, item_id: str) -> str:
        return f"{self._root}/{item_id.replace(':', '_')}"  # one path is made of it, not one for each part

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


def _unpack(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    with tarfile.open(source) as archive:
        archive.extractall(target, filter="data")
