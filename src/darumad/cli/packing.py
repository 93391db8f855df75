"""Packing: a file or a directory of the caller's, ready to be streamed to the daemon under its digest.

A directory becomes a tar archive that is the same whenever its content is. A link in it is packed as what it leads to,
if that lies in the directory too; nothing outside is ever read.
"""

import hashlib
import mimetypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from darumad.archives import TAR, write_tar
from darumad.control.routes import UPLOAD_LIMIT
from darumad.errors import Problem, Refused
from darumad.values import Value

_CHUNK = 1 << 20


class Packed(Value):
    """Bytes to upload, what they are called and what they are; `size` in bytes.

    `left_out` are the names in a directory that are not among them.
    """

    name: str
    media_type: str
    sha256: str
    size: int
    content: IO[bytes]
    left_out: tuple[str, ...] = ()


@contextmanager
def packed(path: Path) -> Iterator[Packed]:
    """The file or directory at `path`, open at its beginning.

    Raises:
        Refused: there is nothing there, it cannot be read, or it is something else: a pipe or a device may never end,
            and is not even opened; `too_large`: no daemon takes so much of it.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        problem = Problem("--input", "must be a file or a directory; write what comes from it into a file first")
        raise Refused(f"{path} is neither a file nor a directory", problems=[problem])
    try:
        walk = _Walk(path.resolve())
        with _archive(walk) if path.is_dir() else path.open("rb") as content:
            _check_size(path, content)
            sha256, size = _digest(content)
            media_type = TAR if path.is_dir() else media_type_of(path.name)
            yield Packed(path.resolve().name, media_type, sha256, size, content, tuple(walk.left_out))
    except OSError as error:
        problem = Problem("--input", f"{error.filename or path}: {error.strerror or error}")
        raise Refused(f"{path} cannot be read", problems=[problem]) from error
    except RecursionError:
        problem = Problem("--input", f"{path}: its directories lie too deep in each other; hand in less of it")
        raise Refused(f"{path} cannot be read", problems=[problem]) from None


class _Walk:
    """The files in a directory, which is no link itself, and what in it is none: `left_out`, once they are walked."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.left_out: list[str] = []

    def files(self) -> Iterator[tuple[str, Path]]:
        """Each file by its name in the directory, in order, and where it is read from."""
        yield from self._files(self._top, "", is_linked=False)

    def _files(self, folder: Path, above: str, *, is_linked: bool) -> Iterator[tuple[str, Path]]:
        for each in sorted(folder.iterdir()):
            name = above + each.name
            place = self._led_to(each, is_linked=is_linked) if each.is_symlink() else each
            if place is not None and place.is_dir():
                yield from self._files(place, f"{name}/", is_linked=is_linked or place is not each)
            elif place is not None and place.is_file():
                yield name, place
            else:
                self.left_out.append(name)

    def _led_to(self, link: Path, *, is_linked: bool) -> Path | None:
        """What a link leads to; None where that is outside, nothing, or a directory that would be packed without end.

        So is one that holds the link; and one in a directory that was come to by a link already would double with each.
        """
        try:
            place = Path(os.path.realpath(link, strict=True))
        except OSError:
            return None
        is_endless = place.is_dir() and (is_linked or place in link.parents)
        return place if self._top in place.parents and not is_endless else None


@contextmanager
def _archive(walk: _Walk) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile(prefix="daruma-") as archive:
        write_tar(archive, ((name, place.open("rb")) for name, place in walk.files()))
        archive.seek(0)
        yield archive


def _check_size(path: Path, content: IO[bytes]) -> None:
    """That it may be uploaded at all: seen before a byte of it is read or sent."""
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    if size > UPLOAD_LIMIT:
        most = f"{path} has {size:,} bytes, and an upload has at most {UPLOAD_LIMIT:,}"
        raise Refused(f"{most}: hand in less of it, or in several parts", code="too_large")


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
