"""Archives: a directory as a plain tar, the same bytes whenever its content is: names in order, no times, no owners."""

import os
import tarfile
from collections.abc import Iterable
from typing import IO

TAR = "application/x-tar"
RUNNABLE = 0o100
"""The bit of a file's mode that says that its owner may run it."""


def write_tar(into: IO[bytes], files: Iterable[tuple[str, IO[bytes]]]) -> None:
    """Write `files`, each open and by its name, in their order; each is closed once it is in.

    Raises:
        OSError: without an `errno` when a file became shorter meanwhile.
    """
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files:
            with content:
                tar.addfile(_entry(name, os.fstat(content.fileno())), content)


def _entry(name: str, status: os.stat_result) -> tarfile.TarInfo:
    """A file with whether it may be run, and with nothing that differs between two checkouts."""
    entry = tarfile.TarInfo(name)
    entry.size = status.st_size
    entry.mode = 0o755 if status.st_mode & RUNNABLE else 0o644
    return entry
