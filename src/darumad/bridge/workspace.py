"""A directory per item below the state directory, where its agents read what was uploaded and write what they make."""

import hashlib
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from darumad import directories
from darumad.bridge.unpacking import Unpacking, UnpackLimits
from darumad.logs import logger
from darumad.work.item import WorkItem, WorkRecord

log = logger(__name__)
LONGEST_NAME = 200
"""Characters of an id that is the name of its directory as it is; a file system takes 255."""


class Workspaces:
    """Lays out workspaces below `root` and fills them from the content-addressed `uploads`.

    Blocking: never call it on the loop.
    """

    def __init__(self, root: Path, uploads: Path, limits: UnpackLimits) -> None:
        self._root = root
        self._within = f"{root}/"
        self._uploads = uploads
        self._limits = limits

    def place(self, item_id: str, lineage: int) -> Path:
        """Where this item's files are. A failure starts a new lineage, so its retry finds an empty directory."""
        return _path(f"{self._within}{_name_of(item_id)}/{lineage}")

    def home_of(self, item_id: str) -> Path:
        """The directory of all workspaces of one item, and of no other item."""
        return Path(f"{self._within}{_name_of(item_id)}")

    def remove(self, home: Path) -> None:
        """Let go of `home` with all that is in it, if it is there; the log names one that stays, and why.

        Raises:
            ValueError: it lies elsewhere than in the directory of all workspaces. Nothing is removed then.
        """
        if home.resolve().parent != self._root.resolve():
            raise ValueError(f"{home} is no item's directory of workspaces")
        try:
            directories.remove(home)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("workspace_not_removed", path=str(home), error=str(error))

    def homes(self) -> list[Path]:
        """The directory of every item that ever had a workspace and still has it."""
        return [each for each in self._root.iterdir() if each.is_dir()] if self._root.is_dir() else []

    def of(self, record: WorkRecord) -> Path:
        """The workspace that an item works in, or that it made its result in."""
        return self.place(record.item.id, record.lineage)

    def fill(self, item: WorkItem, workspace: Path, stopped: threading.Event) -> Mapping[str, Path]:
        """Each upload of `item` by its name, laid out once per workspace. A tar becomes a directory, all else a file.

        Raises:
            Unfit: an upload or its name is at fault.
            OSError: the disk or the process has no room for it, or `stopped` was set.
        """
        unpacking = Unpacking(self._limits, stopped)
        placed: dict[str, Path] = {}
        for index, each in enumerate(item.inputs):
            if each.upload:
                placed[each.name] = target = workspace / "inputs" / each.name
                if not target.exists():
                    source, partial = self._uploads / each.upload, workspace / f".partial-{index}"
                    unpacking.lay_out(index, each, source, partial, target)
        return placed


@lru_cache(1024)
def _path(place: str) -> Path:
    """The stages of an item follow one another in one place, whose path is made once."""
    return Path(place)


def _name_of(item_id: str) -> str:
    """A directory's name for each id, never two for one: `+` and `=` are in no id, and none may be `.` or `..`."""
    if len(item_id) > LONGEST_NAME or item_id.startswith("."):
        return "=" + hashlib.sha256(item_id.encode()).hexdigest()
    return item_id.replace(":", "+")
