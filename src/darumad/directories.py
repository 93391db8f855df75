"""Directories, however deep they lie in each other: Python's own ways come to their end in a thousand of them.

What is removed may be what an agent left behind. What lies deep in it is brought up: a directory's own come to lie
beside it before it goes, so that no path is too long, and a few descriptors do. No link is followed, nor what is put in
a directory's place meanwhile.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Opened so, a directory's own mode does not matter."""
_OWN = 0o700


def make(place: Path) -> None:
    """Make the directory `place` and those that it lies in, where they are not there.

    Raises:
        OSError: one of them cannot be made, or is something else.
    """
    try:
        place.mkdir(exist_ok=True)
    except FileNotFoundError:
        for each in (*reversed(place.parents), place):
            each.mkdir(exist_ok=True)


def remove(place: Path) -> None:
    """Remove the directory `place` with all that is in it, whatever modes that has, as far as can be.

    Raises:
        OSError: what the first of all that is left in it is left for.
    """
    with _entered(place) as top:
        _refuse_left(_emptied(top))
    place.rmdir()


def _emptied(top: int) -> dict[str, OSError]:
    """Remove all that is in a directory; what was left, and why. Each is tried once."""
    tried, left = set[str](), dict[str, OSError]()
    while names := set(os.listdir(top)) - tried:
        tried |= names
        left |= _tried(lambda name: _taken(name, top), names)
    return left


def _taken(name: str, top: int) -> None:
    """Remove what lies in the directory `top`; the directories in it come to lie there in its place."""
    if _unlinked(name, top):
        return
    with _entered(name, top) as inner:
        _refuse_left(_tried(lambda each: _brought_up(each, inner, top), os.listdir(inner)))  # noqa: PTH208 - as above
    os.rmdir(name, dir_fd=top)


def _brought_up(name: str, inner: int, top: int) -> None:
    if not _unlinked(name, inner):
        with _entered(name, inner):  # who moves a directory must be allowed to write to it
            os.rename(name, os.urandom(8).hex(), src_dir_fd=inner, dst_dir_fd=top)


def _unlinked(name: str, directory: int) -> bool:
    """Remove what is no directory; whether it was none."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        return False
    return True


@contextmanager
def _entered(place: str | Path, directory: int | None = None) -> Iterator[int]:
    """A descriptor of the directory at `place`, which its owner may list and change from now on."""
    looked_at = os.open(place, _LOOK, dir_fd=directory)
    try:
        with suppress(OSError):  # where it is somebody else's, its mode may do
            Path(f"/proc/self/fd/{looked_at}").chmod(_OWN)
        entered = os.open(".", os.O_RDONLY | os.O_CLOEXEC, dir_fd=looked_at)
    finally:
        os.close(looked_at)
    try:
        yield entered
    finally:
        os.close(entered)


def _tried(do: Callable[[str], None], names: Iterable[str]) -> dict[str, OSError]:
    """Those of `names` with which it failed, and how. What is gone by itself is gone."""
    failed: dict[str, OSError] = {}
    for name in names:
        try:
            do(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed[name] = error
    return failed


def _refuse_left(left: Mapping[str, OSError]) -> None:
    for error in left.values():
        raise error
