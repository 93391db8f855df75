"""Where a package's files are, by looking at directories only: no import system is asked, so nothing is imported."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""A package's dotted name."""
SUFFIXES = (".py", ".pyi")
"""Sources before stubs: a stub stands alone only where there is no source."""

_HAND_IN = "`--input DIR` names the directory of a Python package, or one `.py` file"


class NotFound(Exception):  # noqa: N818 - it reads as what it is
    """No package of this name is where it was looked for."""


def find_installed(name: str, search_path: Iterable[str]) -> Path:
    """The directory or file of the package `name` in the first entry of `search_path` that has it.

    Raises:
        NotFound: none has it, or it has no Python source (a compiled module).
    """
    for entry in search_path:
        found = _at(Path(entry).joinpath(*name.split("."))) if entry else None
        if found is not None:
            return found
    raise NotFound(f"no package {name} with Python sources is installed in the daemon's environment")


def find_uploaded(name: str, upload: Path) -> Path:
    """The directory or file of the package `name` in what was uploaded: below it, below its `src`, or all of it.

    Raises:
        NotFound: there is no Python source.
    """
    if upload.is_file():
        if upload.suffix in {*SUFFIXES, ""}:
            return upload
        raise NotFound(f"the upload {upload.name} is no Python module: {_HAND_IN}")
    parts = name.split(".")
    for place in (upload.joinpath(*parts), upload.joinpath("src", *parts), upload / parts[-1]):
        found = _at(place)
        if found is not None:
            return found
    if _has_sources(upload):
        return upload
    below = name.replace(".", "/")
    raise NotFound(f"the upload holds no package {name}: neither {below}/ nor Python modules of its own; {_HAND_IN}")


def files_of(root: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Each Python file below the package at `root`, with its module's name parts; `()` is the package itself.

    Folders without an `__init__` are no part of a package; links to folders and out of it are not followed.
    """
    if root.is_file():
        yield (), root
        return
    yield from _files(root, root.resolve(), ())


def _files(folder: Path, root: Path, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Path]]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and (path.is_dir() or root not in path.resolve().parents):
            continue
        if path.is_dir():
            if path.name.isidentifier() and _is_package(path):
                yield from _files(path, root, (*parts, path.name))
        elif _is_module(path):
            yield (parts if path.stem == "__init__" else (*parts, path.stem)), path


def _at(place: Path) -> Path | None:
    if place.is_dir() and _has_sources(place):
        return place
    return next((file for suffix in SUFFIXES if (file := place.with_name(place.name + suffix)).is_file()), None)


def _is_package(folder: Path) -> bool:
    return any((folder / f"__init__{suffix}").is_file() for suffix in SUFFIXES)


def _has_sources(folder: Path) -> bool:
    return any(_is_module(each) or (each.is_dir() and _is_package(each)) for each in folder.iterdir())


def _is_module(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.stem.isidentifier() and path.is_file()
