"""Uploads: files by their sha256. One is there whole, checked and on disk, or it is not there.

The daemon may run as another user than its callers, so it never reads a path of theirs: they stream it in.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from darumad.control.views import UploadReply
from darumad.errors import Problem, Refused

_FLUSH = 1 << 20


async def keep(chunks: AsyncIterator[bytes], sha256: str, directory: Path) -> UploadReply:
    """Stores what `chunks` bring as `directory/sha256`; what is there already is left as it is.

    Raises:
        Refused: `invalid`: the bytes have another digest. Nothing is kept then.
        OSError: the disk would not take it. Nothing is kept then.
    """
    await asyncio.to_thread(directory.mkdir, mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".incoming-", delete=False) as file:
        try:
            size, found = await _stream(chunks, file.file)
            if found != sha256:
                problem = Problem("/sha256", f"what was sent has the digest {found}")
                raise Refused("the upload is not what its digest says", problems=[problem])
            created = await asyncio.to_thread(_settle, Path(file.name), directory / sha256)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)  # noqa: PTH108 - one call on the loop; it is gone where it was settled
    return UploadReply(sha256=sha256, size=size, created=created)


async def _stream(chunks: AsyncIterator[bytes], file: IO[bytes]) -> tuple[int, str]:
    """Writes everything, off the loop a mebibyte at a time; the size and the digest of it."""
    digest, size, held = hashlib.sha256(), 0, bytearray()
    async for chunk in chunks:
        held += chunk
        size += len(chunk)
        if len(held) >= _FLUSH:
            await asyncio.to_thread(_write, file, digest, bytes(held))
            held.clear()
    await asyncio.to_thread(_write, file, digest, bytes(held))
    return size, digest.hexdigest()


def _write(file: IO[bytes], digest: "hashlib._Hash", held: bytes) -> None:
    digest.update(held)
    file.write(held)
    file.flush()


def _settle(incoming: Path, kept: Path) -> bool:
    """Makes `incoming` durable under its name; whether it was not there before."""
    if kept.exists():
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
