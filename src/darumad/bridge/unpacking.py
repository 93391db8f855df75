"""Laying out what was uploaded: a file as it is, a tar as a directory, whole or not at all and within limits.

What a stranger sends is read here and nowhere else. A fault of it is `Unfit`; a fault of the machine stays an OSError.
"""

import errno
import io
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from darumad import directories
from darumad.archives import RUNNABLE, TAR
from darumad.errors import Problem
from darumad.values import Value
from darumad.work.item import Input

_BLOCK = 1 << 20
_OF_THE_NAMES = frozenset({
    errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.EILSEQ,
    errno.EINVAL, errno.ENOENT,
})  # fmt: skip
"""Errors of a file system that come of what a file is called, and so of what was uploaded."""


class UnpackLimits(Value, kw_only=True):
    """What the uploads of one item may take: `size` in bytes, and `files`, directories among them.

    `spare` are the bytes that must stay free on the disk.
    """

    size: int
    files: int
    spare: int


class Unfit(Exception):  # noqa: N818 - it is said of the upload
    """The uploads cannot be laid out as the item says; `problem` names the input."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.pointer} {problem.detail}")
        self.problem = problem


class _Source(io.FileIO):
    """An upload that is read no further once `stopped` is set, though a single file in it may be large."""

    def __init__(self, path: Path, stopped: threading.Event) -> None:
        super().__init__(path)
        self._stopped = stopped

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes.

        Raises:
            InterruptedError: nobody waits for them any more.
        """
        if self._stopped.is_set():
            raise InterruptedError(errno.EINTR, "nobody waits for it any more")
        return super().read(-1 if size is None else size)


class Unpacking:
    """Lays out the inputs of one item, one after the other, until `stopped` is set. Blocking."""

    def __init__(self, limits: UnpackLimits, stopped: threading.Event) -> None:
        self._limits = limits
        self._stopped = stopped
        self._size = 0
        self._files = 0

    def lay_out(self, index: int, given: Input, source: Path, partial: Path, target: Path) -> None:
        """Make `target` of `source`, the upload of the input at `index`. `partial` is its name until it is whole.

        Raises:
            Unfit: the upload or its name is at fault.
            OSError: the disk or the process has no room for it.
        """
        with _blamed_on(index):
            _clear(partial)
            directories.make(partial.parent)
            try:
                if given.media_type == TAR:
                    self._unpack(source, partial)
                else:
                    self._copy(source, partial)
                directories.make(target.parent)
                partial.rename(target)  # a kill before this leaves nothing that looks finished
            finally:
                _clear(partial)

    def _copy(self, source: Path, partial: Path) -> None:
        with _Source(source, self._stopped) as upload, partial.open("wb") as copy:
            size = source.stat().st_size
            self._count(size)
            self._check_room(size, partial.parent)
            shutil.copyfileobj(upload, copy, _BLOCK)

    def _unpack(self, source: Path, partial: Path) -> None:
        partial.mkdir()
        # Plain only: a small one that is compressed may hold anything.
        with _Source(source, self._stopped) as upload, tarfile.open(fileobj=upload, mode="r:") as archive:
            for member in archive:  # to the end, before anything of it is written: it may be too much as a whole
                self._count(member.size)
            for member in archive:
                self._check_room(member.size, partial)
                _lay_out(upload, member, partial.joinpath(*_parts(member.name)))

    def _count(self, size: int) -> None:
        """Take `size` bytes and one file of what there may be, before anything of it is written."""
        self._size, self._files = self._size + size, self._files + 1
        if self._size > self._limits.size:
            raise ValueError(f"unpacks to more than {self._limits.size:,} bytes (`item.unpacked_size`)")
        if self._files > self._limits.files:
            raise ValueError(f"unpacks to more than {self._limits.files:,} files (`item.unpacked_files`)")

    def _check_room(self, size: int, place: Path) -> None:
        disk = os.statvfs(place)
        if disk.f_bavail * disk.f_frsize < size + self._limits.spare:
            raise OSError(errno.ENOSPC, "there is too little room on the disk to lay it out")


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise ValueError(f"holds {name}, which would lie outside of it")
    return parts


def _lay_out(upload: _Source, member: tarfile.TarInfo, place: Path) -> None:
    """One entry of the archive `upload`, at `place`. No link is ever made: what is laid out lies where its name says.

    The filters of `tarfile` are not in every Python 3.11, and have let links lead out. Its own files read on for ever
    where reading is interrupted.
    """
    if member.isdir():
        directories.make(place)
        return
    if not member.isreg() or member.issparse():
        raise ValueError(f"holds {member.name}, which is {_kind(member)}")
    directories.make(place.parent)
    upload.seek(member.offset_data)
    left = member.size
    with place.open("wb") as copy:
        while left:
            block = upload.read(min(left, _BLOCK))
            if not block:
                raise ValueError(f"ends in the middle of {member.name}")
            left -= copy.write(block)
    if member.mode & RUNNABLE:
        place.chmod(0o755)


def _kind(member: tarfile.TarInfo) -> str:
    if member.islnk() or member.issym():
        return "a link; pack what it leads to, as `tar --dereference --hard-dereference` does"
    return "a sparse file; pack it whole" if member.issparse() else "neither a file nor a directory"


@contextmanager
def _blamed_on(index: int) -> Iterator[None]:
    """Makes what a stranger's bytes and names raise the fault of the input at `index`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_NAMES:
            raise
        raise Unfit(Problem(f"/inputs/{index}", f"cannot be laid out: {error.strerror}")) from error
    except tarfile.TarError as error:
        raise Unfit(Problem(f"/inputs/{index}", f"is no plain tar that can be unpacked: {error}")) from error
    except (ValueError, LookupError, ArithmeticError, EOFError) as error:
        raise Unfit(Problem(f"/inputs/{index}", str(error))) from error


def _clear(partial: Path) -> None:
    if partial.is_dir():
        with suppress(OSError):
            directories.remove(partial)
    else:
        partial.unlink(missing_ok=True)
