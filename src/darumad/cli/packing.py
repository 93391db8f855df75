"""Packing: a file or a directory of the caller's, ready to be streamed to the daemon under its digest.

A directory becomes a tar archive that is the same whenever its content is.
"""

import hashlib
import mimetypes
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from darumad.archives import TAR, write_tar
from darumad.errors import Problem, Refused
from darumad.values import Value

_CHUNK = 1 << 20


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
        Refused: there is nothing there, it cannot be read, or it is something else: a pipe or a device may never end,
            and is not even opened.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        problem = Problem("--input", "must be a file or a directory; write what comes from it into a file first")
        raise Refused(f"{path} is neither a file nor a directory", problems=[problem])
    try:
        with _open(path) as content:
            sha256, size = _digest(content)
            media_type = TAR if path.is_dir() else media_type_of(path.name)
            yield Packed(path.resolve().name, media_type, sha256, size, content)
    except OSError as error:
        problem = Problem("--input", f"{error.filename or path}: {error.strerror or error}")
        raise Refused(f"{path} cannot be read", problems=[problem]) from error


def _open(path: Path) -> IO[bytes]:
    if not path.is_dir():
        return path.open("rb")
    archive = tempfile.TemporaryFile(prefix="daruma-")  # noqa: SIM115 - it is closed by who asked for it
    files = (each for each in sorted(path.rglob("*")) if each.is_file() and not each.is_symlink())
    write_tar(archive, ((each.relative_to(path).as_posix(), each.open("rb")) for each in files))
    archive.seek(0)
    return archive


def _digest(content: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    content.seek(0)
    return digest.hexdigest(), size


def media_type_of(name: str) -> str:
    """What a file so called holds, as far as its name tells."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
