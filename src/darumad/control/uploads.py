"""Uploads: files by their sha256. One is there whole, checked and on disk, or it is not there.

The daemon may run as another user than its callers, so they stream it in; for what lies below a root see `roots`.
"""

import asyncio
import errno
import hashlib
import io
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from darumad.control.replies import UploadReply
from darumad.errors import Problem, Refused, Unavailable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_FLUSH = 1 << 20
_INCOMING = ".incoming-"
"""How the name of a file begins that is still being streamed in."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def sweep(directory: Path) -> None:
    """Removes what an earlier life of the daemon was sent and never had whole; before anybody sends anything."""
    for each in directory.glob(f"{_INCOMING}*"):
        each.unlink(missing_ok=True)


def is_here(directory: Path, sha256: str) -> bool:
    """Whether this upload is here. Whoever asks is about to name it: it is kept as long as one that was just sent."""
    try:
        os.utime(directory / sha256)
    except FileNotFoundError:
        return False
    return True


async def keep(chunks: AsyncIterator[bytes], sha256: str, directory: Path, spare: int) -> UploadReply:
    """Stores what `chunks` bring as `directory/sha256`; what is there already is left as it is.

    `spare` are the bytes that must stay free on the disk.

    Raises:
        Refused: `invalid`: the bytes have another digest. Nothing is kept then.
        Unavailable: `disk_full`. Nothing is kept then.
        OSError: the disk would not take it for another reason. Nothing is kept then.
    """
    with _full_disk_told():
        await asyncio.to_thread(directory.mkdir, mode=0o700, parents=True, exist_ok=True)
        return await _keep(chunks, sha256, directory, spare)


class TooLarge(Exception):  # noqa: N818 - it is said of the file
    """There is more of it than an upload may have."""


def keep_written(write: Callable[[IO[bytes]], None], directory: Path, *, spare: int, limit: int) -> str:
    """Stores what `write` writes, at most `limit` bytes, under its sha256, which is returned. Blocking.

    Raises:
        TooLarge: it is more. Nothing is kept then, nor when `write` raises.
        Unavailable, OSError: as `keep`.
    """
    with _full_disk_told():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _incoming(directory) as file:
            incoming = _Counted(file.file, spare, limit)
            write(cast("IO[bytes]", incoming))
            sha256 = incoming.digest.hexdigest()
            _settle(Path(file.name), directory / sha256)
    return sha256


async def _keep(chunks: AsyncIterator[bytes], sha256: str, directory: Path, spare: int) -> UploadReply:
    with _incoming(directory) as file:
        size, found = await _stream(chunks, file.file, spare)
        if found != sha256:
            problem = Problem("/sha256", f"what was sent has the digest {found}")
            raise Refused("the upload is not what its digest says", problems=[problem])
        created = await asyncio.to_thread(_settle, Path(file.name), directory / sha256)
    return UploadReply(sha256=sha256, size=size, created=created)


@contextmanager
def _incoming(directory: Path) -> Iterator["tempfile._TemporaryFileWrapper[bytes]"]:
    """A file to be filled and settled; whatever was not settled is gone."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=_INCOMING, delete=False) as file:
        try:
            yield file
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)  # noqa: PTH108 - one call on the loop; it is gone where it was settled


class _Counted(io.RawIOBase):
    """A file on its way in, counted and digested as it is written."""

    def __init__(self, file: IO[bytes], spare: int, limit: int) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self._file, self._spare, self._left = file, spare, limit

    def write(self, held: "ReadableBuffer") -> int:
        """Takes all of it, or raises."""
        taken = bytes(held)
        self._left -= len(taken)
        if self._left < 0:
            raise TooLarge
        _write(self._file, self.digest, taken, self._spare)
        return len(taken)

    def tell(self) -> int:
        """How much was written."""
        return self._file.tell()


async def _stream(chunks: AsyncIterator[bytes], file: IO[bytes], spare: int) -> tuple[int, str]:
    """Writes everything, off the loop a mebibyte at a time; the size and the digest of it."""
    digest, size, held = hashlib.sha256(), 0, bytearray()
    async for chunk in chunks:
        held += chunk
        size += len(chunk)
        if len(held) >= _FLUSH:
            await asyncio.to_thread(_write, file, digest, bytes(held), spare)
            held.clear()
    await asyncio.to_thread(_write, file, digest, bytes(held), spare)
    return size, digest.hexdigest()


@contextmanager
def _full_disk_told() -> Iterator[None]:
    """Turns the error of a full disk into what its caller may wait out."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unavailable("there is too little room on the disk to take the upload in", code="disk_full") from error


def _write(file: IO[bytes], digest: "hashlib._Hash", held: bytes, spare: int) -> None:
    disk = os.fstatvfs(file.fileno())
    if disk.f_bavail * disk.f_frsize < len(held) + spare:
        raise OSError(errno.ENOSPC, "the rest is the journal's")
    digest.update(held)
    file.write(held)
    file.flush()


def _settle(incoming: Path, kept: Path) -> bool:
    """Makes `incoming` durable under its name; whether it was not there before."""
    if is_here(kept.parent, kept.name):
        return False
    _sync(incoming)
    incoming.rename(kept)
    _sync(kept.parent)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
