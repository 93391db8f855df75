"""The room there is on the journal's disk: a mark below which nothing new is taken in, and a ballast to throw off.

A full disk must not keep what is finished from being written: the ballast is given up for that, once, and set aside
again when there is room.
"""

import os
from pathlib import Path

from darumad.journal.state_directory import LEAST, StateDirectory, free_on, make_private

_MIB = 1 << 20


class Room:
    """Used by the writer's thread, and by a boot before it. Sizes are in bytes; 0 does without."""

    def __init__(self, state: StateDirectory, *, ballast: int = 0, low_water: int = 0) -> None:
        self._directory = state.path
        self._ballast = ballast
        self._low_water = low_water
        self._set_aside = False

    @property
    def file(self) -> Path:
        """The ballast: room that is taken and never used."""
        return self._directory / "ballast"

    def scant(self) -> bool:
        """Whether not even a boot could be written."""
        return self._free() < LEAST

    def low(self) -> str | None:
        """Why nothing new is taken in for want of room; None while there is enough. From any thread."""
        free = self._free() if self._low_water else 0
        if free >= self._low_water:
            return None
        said = f"the disk of {self._directory} has {free // _MIB} MiB left, and with less than"
        return f"{said} {self._low_water // _MIB} MiB (`journal.low_water`) nothing new is taken in"

    def set_aside(self) -> None:
        """Take the ballast's room, where there is plenty; costs nothing once it is taken."""
        if self._set_aside or not self._ballast:
            return
        if self.file.exists() and self.file.stat().st_size == self._ballast:
            self._set_aside = True
        elif self._free() >= 2 * self._ballast + self._low_water:
            self._set_aside = self._take()

    def give_up(self) -> bool:
        """Throw the ballast off; False when there is none left."""
        self._set_aside = False
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        return True

    def _take(self) -> bool:
        self.file.unlink(missing_ok=True)
        try:
            make_private(self.file)
            with self.file.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, self._ballast)
        except OSError:  # somebody was faster with the room, or this filesystem cannot set any aside
            self.file.unlink(missing_ok=True)
            return False
        return True

    def _free(self) -> int:
        return free_on(self._directory)
