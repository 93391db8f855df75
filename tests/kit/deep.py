"""A directory that lies deeper than any path is long, as who copies a directory into itself leaves it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darumad import directories


@contextmanager
def dug(place: Path, *, depth: int = 3_000) -> Iterator[Path]:
    """`place` with so many directories in each other, a file and a link at the ground of them; gone afterwards."""
    place.mkdir(parents=True)
    try:
        _dig(place, depth)
        yield place
    finally:
        if place.exists():
            directories.remove(place)


def _dig(place: Path, depth: int) -> None:
    ground = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=ground)
        above, ground = ground, os.open("d", os.O_RDONLY, dir_fd=ground)
        os.close(above)
    os.close(os.open("file", os.O_CREAT, dir_fd=ground))
    os.symlink("/etc", "link", dir_fd=ground)
    os.close(ground)
