"""Roots: directories of the daemon's own machine below which its callers may name files by their path.

A path is followed to wherever it leads, and what was found is asked where it lies: a link that is put in its place
meanwhile leads nowhere else. What lies below a directory is found from that directory, one name at a time and no link
followed. Nothing is opened for reading before it is known to be a file or a directory. Blocking: never on the loop.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from darumad.archives import TAR, write_tar
from darumad.control import uploads
from darumad.control.routes import UPLOAD_LIMIT
from darumad.errors import Problem, Refused, pointer
from darumad.plural import listed
from darumad.values import Value, changed
from darumad.work.item import Input, WorkItem

_DEEPEST = 100
"""Directories within each other: each is held open while what lies in it is read."""
_NAMED = 5
"""So many of the names that are left out are told."""
_CHUNK = 1 << 20
_INSTEAD = "upload it instead (`--input`)"
_LOOK = os.O_PATH | os.O_CLOEXEC
"""Opened so, a device does nothing and a pipe waits for nobody."""


class Roots(Value, kw_only=True):
    """The directories themselves, and where what lies below them is kept: see `uploads.keep`."""

    directories: tuple[Path, ...]
    upload_dir: Path
    spare: int


class TakenIn(NamedTuple):
    """An item whose files are among the uploads, and a sentence for each of its directories that is not whole there."""

    item: WorkItem
    warnings: tuple[str, ...]


class _Unfit(Exception):  # noqa: N818 - it is said of the path
    """The path cannot be handed in; the message says why, and what to do."""


def take_in(item: WorkItem, roots: Roots, at: str) -> TakenIn:
    """`item` with a copy of each file that it names by its path among the uploads; a directory is a tar there.

    Raises:
        Refused: every path that cannot be had, by its JSON pointer; `at` is the item's own.
        Unavailable: `disk_full`.
    """
    inputs, warnings, problems = [], [], []
    for index, each in enumerate(item.inputs):
        left_out: list[str] = []
        try:
            inputs.append(_taken(each, roots, left_out) if each.path is not None else each)
        except _Unfit as unfit:
            problems.append(Problem(at + pointer("inputs", index, "path"), str(unfit)))
        warnings += [_not_whole(each.path, left_out)] if left_out else []
    if problems:
        raise Refused("the item is not valid", problems=problems)
    return TakenIn(changed(item, inputs=tuple(inputs)), tuple(warnings))


def _not_whole(path: str | None, left_out: Sequence[str]) -> str:
    said = f"not taken of {path}: {listed(left_out, _NAMED)} (links, and what is no file)"
    return f"{said}; {_INSTEAD} for the links in it"


def _taken(given: Input, roots: Roots, left_out: list[str]) -> Input:
    with _found(given.path or "", roots.directories) as found:
        is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
        try:
            sha256 = uploads.keep_written(
                lambda into: _write(found, into, left_out), roots.upload_dir, spare=roots.spare, limit=UPLOAD_LIMIT
            )
        except uploads.TooLarge:
            raise _Unfit(f"is larger than the {UPLOAD_LIMIT} bytes of an upload; hand in less of it") from None
    return changed(given, upload=sha256, media_type=TAR if is_directory else given.media_type)


@contextmanager
def _found(path: str, roots: Sequence[Path]) -> Iterator[int]:
    """A descriptor of what `path` leads to, which lies below one of `roots`. It cannot be read from, only looked at."""
    outside = _Unfit(_outside(roots))
    try:
        found = os.open(path, _LOOK)
    except OSError as error:
        # What is not there is told of what may be named alone: nobody learns here what else there is.
        raise _unreadable(error) if _is_below(Path(os.path.realpath(path)), roots) else outside from None
    try:
        if not _is_below(Path(f"/proc/self/fd/{found}").readlink(), roots):
            raise outside
        yield found
    finally:
        os.close(found)


def _is_below(place: Path, roots: Sequence[Path]) -> bool:
    return any(place.is_relative_to(os.path.realpath(root)) for root in roots)


def _outside(roots: Sequence[Path]) -> str:
    if not roots:
        return f"cannot be read: `item.input_roots` of the settings names no directory; {_INSTEAD}"
    allowed = ", ".join(map(str, roots))
    return f"lies below none of the directories that may be named: {allowed} (`item.input_roots`); {_INSTEAD}"


def _unreadable(error: OSError) -> _Unfit:
    return _Unfit(f"cannot be read by the daemon: {error.strerror}; correct it, or upload it (`--input`)")


def _write(found: int, into: IO[bytes], left_out: list[str]) -> None:
    try:
        if stat.S_ISDIR(os.fstat(found).st_mode):
            write_tar(into, _files(found, left_out))
            return
        with _opened(found) as content:
            shutil.copyfileobj(content, into, _CHUNK)
    except OSError as error:
        if error.errno is not None:
            raise
        raise _Unfit("became shorter while it was read; hand it in when nobody writes to it") from error


def _opened(found: int) -> IO[bytes]:
    """What was found, open for reading: that very file, whatever its path leads to by now."""
    status = os.fstat(found)
    if not stat.S_ISREG(status.st_mode):
        raise _Unfit("is neither a regular file nor a directory; name one")
    if status.st_size > UPLOAD_LIMIT:
        raise uploads.TooLarge
    return open(_reopened(found, os.O_RDONLY), "rb")


def _reopened(found: int, how: int) -> int:
    try:
        return os.open(f"/proc/self/fd/{found}", how | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error) from None


def _files(found: int, left_out: list[str], above: str = "", depth: int = 1) -> Iterator[tuple[str, IO[bytes]]]:
    """Every regular file below a directory, by its name from there and open; links and all else are `left_out`."""
    if depth > _DEEPEST:
        raise _Unfit(f"holds directories in more than {_DEEPEST} others; hand in less of it")
    directory = _reopened(found, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in sorted(os.listdir(directory)):  # noqa: PTH208 - a descriptor, and no path
            yield from _file_or_files(directory, name, left_out, above, depth)
    finally:
        os.close(directory)


def _file_or_files(
    directory: int, name: str, left_out: list[str], above: str, depth: int
) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        found = os.open(name, _LOOK | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return  # it is gone since the directory was read
    try:
        mode = os.fstat(found).st_mode
        if stat.S_ISDIR(mode):
            yield from _files(found, left_out, f"{above}{name}/", depth + 1)
        elif stat.S_ISREG(mode):
            yield f"{above}{name}", _opened(found)
        else:
            left_out.append(os.fsencode(f"{above}{name}").decode(errors="backslashreplace"))
    finally:
        os.close(found)
