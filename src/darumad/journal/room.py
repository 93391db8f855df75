"""The room there is on the journal's disk: a mark below which nothing new is taken in, and a ballast to throw off.

A full disk must not keep what is finished from being written: the ballast is given up for that, once, and set aside
again when there is room.
"""

import os
from pathlib import Path

from darumad.journal.place import Place, make_private

LEAST = 1 << 20
"""Bytes that a boot may need: for its rows, and for the log that it begins."""


class Room:
    """Used by the writer's thread, and by a boot before it. Sizes are in bytes; 0 does without."""

    def __init__(self, place: Place, *, ballast: int = 0, low_water: int = 0) -> None:
        self._directory = place.directory
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

    def low(self) -> bool:
        """Whether there is too little room to take anything new in."""
        return self._low_water > 0 and self._free() < self._low_water

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
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize
