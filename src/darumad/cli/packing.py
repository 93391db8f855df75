"""Packing: a file or a directory of the caller's, ready to be streamed to the daemon under its digest.

A directory becomes a tar archive that is the same whenever its content is: names in order, no times, no owners.
"""

import hashlib
import mimetypes
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from darumad.errors import Problem, Refused
from darumad.values import Value

TAR = "application/x-tar"
_CHUNK = 1 << 20
_RUNNABLE = 0o100


class Packed(Value):
    """Bytes to upload, what they are called and what they are; `size` in bytes."""

    name: str
    media_type: str
    sha256: str
    size: int
    content: IO[bytes]


@contextmanager
def packed(path: Path) -> Iterator[Packed]:
    """The file or directory at `path`, open at its beginning.

    Raises:
        Refused: there is nothing there, or it cannot be read.
    """
    try:
        with _open(path) as content:
            sha256, size = _digest(content)
            yield Packed(path.resolve().name, _media_type(path), sha256, size, content)
    except OSError as error:
        problem = Problem("--input", f"{error.filename or path}: {error.strerror or error}")
        raise Refused(f"{path} cannot be read", problems=[problem]) from error


def _open(path: Path) -> IO[bytes]:
    if not path.is_dir():
        return path.open("rb")
    archive = tempfile.TemporaryFile(prefix="daruma-")  # noqa: SIM115 - it is closed by who asked for it
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in sorted(path.rglob("*")):
            if each.is_file() and not each.is_symlink():
                _add(tar, each, each.relative_to(path).as_posix())
    archive.seek(0)
    return archive


def _add(tar: tarfile.TarFile, file: Path, name: str) -> None:
    """Adds a file with its content and whether it may be run, and with nothing that differs between two checkouts."""
    status = file.stat()
    entry = tarfile.TarInfo(name)
    entry.size = status.st_size
    entry.mode = 0o755 if status.st_mode & _RUNNABLE else 0o644
    with file.open("rb") as content:
        tar.addfile(entry, content)


def _digest(content: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    content.seek(0)
    return digest.hexdigest(), size


def _media_type(path: Path) -> str:
    if path.is_dir():
        return TAR
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"
