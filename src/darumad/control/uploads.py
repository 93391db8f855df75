"""Uploads: files by their sha256. One is there whole, checked and on disk, or it is not there.

The daemon may run as another user than its callers, so it never reads a path of theirs: they stream it in.
"""

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from darumad.control.views import UploadReply
from darumad.errors import Problem, Refused, Unavailable

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


async def _keep(chunks: AsyncIterator[bytes], sha256: str, directory: Path, spare: int) -> UploadReply:
    with tempfile.NamedTemporaryFile(dir=directory, prefix=_INCOMING, delete=False) as file:
        try:
            size, found = await _stream(chunks, file.file, spare)
            if found != sha256:
                problem = Problem("/sha256", f"what was sent has the digest {found}")
                raise Refused("the upload is not what its digest says", problems=[problem])
            created = await asyncio.to_thread(_settle, Path(file.name), directory / sha256)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)  # noqa: PTH108 - one call on the loop; it is gone where it was settled
    return UploadReply(sha256=sha256, size=size, created=created)


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
