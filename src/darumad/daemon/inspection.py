"""A look at every page of the journal, by a child: it takes long, and no thread that shares our locks may do it."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import orjson

from darumad.clock import Clock
from darumad.cores import any_core
from darumad.events import JournalChecked
from darumad.names import Seconds

MOMENT = Seconds(1.0)
"""Seconds that whoever asks may wait for it."""
_FAILED = "the check itself failed; it is tried again"


class Inspection:
    """Begun when it is made. Used by one thread. `failed`, once it is through: nobody knows how the journal is."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.failed = False
        command = [sys.executable, "-m", "darumad.journal.checking", str(directory)]
        with any_core():
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - our own program

    def found(self) -> JournalChecked | None:
        """What it found; None while it looks. Waits for a moment at most, and not once it is through."""
        try:
            said, _ = self._child.communicate(timeout=MOMENT)
        except subprocess.TimeoutExpired:
            return None
        wrong = None if self._child.returncode else _wrong_in(said)
        self.failed = wrong is None
        took_ms = round((self._clock.monotonic() - self._began) * 1000)
        return JournalChecked("journal", (_FAILED,) if wrong is None else wrong, took_ms)

    def end(self) -> None:
        """It is not waited for any more."""
        self._child.kill()
        with suppress(subprocess.TimeoutExpired):  # a disk that hangs holds it beyond its death
            self._child.communicate(timeout=MOMENT)


def _wrong_in(said: bytes) -> tuple[str, ...] | None:
    """What is wrong as the child says; None where it says nothing that can be read."""
    try:
        return tuple(orjson.loads(said)["wrong"])
    except (ValueError, LookupError, TypeError):
        return None
