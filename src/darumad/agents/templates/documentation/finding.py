"""Where a package's files are, by looking at directories only: no import system is asked, so nothing is imported."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from darumad.agents.templates.documentation.inventory import Unread
from darumad.values import Value

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""A package's dotted name."""
SUFFIXES = (".py", ".pyi")
"""Sources before stubs: a stub stands alone only where there is no source."""

_HAND_IN = "`--input DIR` names the directory of a Python package, or one `.py` file"
_NO_IDENTIFIER = "its name is no Python identifier"


class Module(Value):
    """A Python file, and its module's name parts below the package; `()` is the package itself."""

    parts: tuple[str, ...]
    path: Path


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


def find_uploaded(said: str | None, called: str, upload: Path) -> tuple[str, Path]:
    """The package in an upload that is called `called`: its name, and its directory or file.

    Where nobody said its name it is the upload itself, what is called like it below it or its `src`, or else the only
    package there.

    Raises:
        NotFound: there is no Python source, or nothing tells which package is meant.
    """
    name = said or called
    if upload.is_file():
        if upload.suffix in {*SUFFIXES, ""}:
            return name, upload
        raise NotFound(f"the upload {upload.name} is no Python module: {_HAND_IN}")
    is_name = NAME.fullmatch(name) is not None
    if name == called and _is_package(upload):
        if is_name:
            return name, upload
        raise NotFound(
            f"{called!r} is a package whose name Python cannot import: hand it in under the name it has there"
        )
    place = _called_like(name, upload) if is_name else None
    if place is not None:
        return name, place
    inside = _packages_in(upload) if said is None else []
    if len(inside) > 1:
        named = ", ".join(f"{called}/{each.relative_to(upload).as_posix()}" for each in inside)
        raise NotFound(f"the upload {called} holds several packages: hand in one with `--input`: {named}")
    if inside:
        return inside[0].name, inside[0]
    if is_name and _has_sources(upload):
        return name, upload
    below = name.replace(".", "/")
    raise NotFound(f"the upload holds no package {name}: neither {below}/ nor Python modules of its own; {_HAND_IN}")


def _called_like(name: str, upload: Path) -> Path | None:
    parts = name.split(".")
    places = (upload.joinpath(*parts), upload.joinpath("src", *parts), upload / parts[-1])
    return next((found for place in places if (found := _at(place)) is not None), None)


def _packages_in(upload: Path) -> list[Path]:
    folders = [each for place in (upload, upload / "src") if place.is_dir() for each in sorted(place.iterdir())]
    return [each for each in folders if each.name.isidentifier() and each.is_dir() and _is_package(each)]


def files_of(root: Path) -> Iterator[Module | Unread]:
    """Each module of the package at `root`, and each Python file or link in it that is none, with why.

    A folder without an `__init__` is a part of it all the same: Python imports it as a namespace package.
    """
    if root.is_file():
        yield Module((), root)
        return
    for found in _files(root, root.resolve(), ()):
        yield found if isinstance(found, Module) else Unread(shown(found[0], root), found[1])


def shown(path: Path, root: Path) -> str:
    """How `path` is called below `root`, whatever bytes its name is made of."""
    below = path.relative_to(root) if path != root else Path(path.name)
    return os.fsencode(below.as_posix()).decode("utf-8", "backslashreplace")


def _files(folder: Path, root: Path, parts: tuple[str, ...]) -> Iterator[Module | tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            why = _why_no_package(path)
            if why is None:
                yield from _files(path, root, (*parts, path.name))
            elif path.is_symlink() or _holds_python(path):
                yield path, why
        elif path.suffix in SUFFIXES:
            why = _why_no_module(path, root)
            yield (path, why) if why else Module(parts if path.stem == "__init__" else (*parts, path.stem), path)


def _why_no_package(folder: Path) -> str | None:
    if folder.is_symlink():
        return "it is a link to a folder, which is not followed"
    if not folder.name.isidentifier():
        return f"what is in it cannot be imported: {_NO_IDENTIFIER}"
    if not _is_package(folder) and folder.with_name(f"{folder.name}.py").is_file():
        return f"what is in it cannot be imported: {folder.name}.py is imported in its place"
    return None


def _why_no_module(path: Path, root: Path) -> str | None:
    if path.is_symlink() and root not in Path(os.path.realpath(path)).parents:
        return "it is a link out of the package, which is not followed"
    if not path.stem.isidentifier():
        return f"it cannot be imported: {_NO_IDENTIFIER}"
    return None if path.is_file() else "it is no file"


def _holds_python(folder: Path) -> bool:
    return any(each.suffix in SUFFIXES for each in folder.rglob("*"))


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
