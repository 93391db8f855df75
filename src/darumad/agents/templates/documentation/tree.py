"""A package as griffe sees it, built from its files: read and parsed, never imported, whatever is in them."""

import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import griffe  # noqa: TID251 - the door to griffe, with `reading` and `docstrings`

from darumad.agents.templates.documentation.finding import Module, files_of, shown
from darumad.agents.templates.documentation.inventory import Unread

LARGEST = 8 * 2**20
"""Bytes of one source file; a larger one is generated data and is named as not read."""

Member = griffe.Object | griffe.Alias


@dataclass(slots=True)
class Tree:
    """The modules by their dotted paths.

    griffe has one place for a submodule and for a name that is called alike; `shadowed` keeps such names, by path.
    """

    name: str
    modules: dict[str, griffe.Module] = field(default_factory=dict)
    shadowed: dict[str, Member] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)

    def members_of(self, module: griffe.Module) -> Iterator[tuple[str, Member]]:
        """The names of a module by name, its submodules left out."""
        for name, member in module.members.items():
            path = f"{module.path}.{name}"
            if path in self.shadowed:
                yield name, self.shadowed[path]
            elif path not in self.modules:
                yield name, member


def read_tree(name: str, root: Path) -> Tree:
    """The package `name`, whose files are at `root`. What is no module of it goes to `unread`; the others are read."""
    loader = griffe.GriffeLoader(
        modules_collection=griffe.ModulesCollection(),
        lines_collection=griffe.LinesCollection(),
        allow_inspection=False,
        search_paths=[],
    )
    found = list(files_of(root))
    growing = _Growing(Tree(name, unread=[each for each in found if isinstance(each, Unread)]), loader, root)
    modules = (each for each in found if isinstance(each, Module))
    for module in sorted(modules, key=lambda each: (each.parts, each.path.suffix)):
        growing.add(module.parts, module.path)
    top = growing.module_at(())
    loader.expand_exports(top)
    loader.expand_wildcards(top, external=False)
    loader.resolve_aliases(implicit=True, external=False)
    return growing.tree


class _Growing:
    """A tree that is given one file after the other, a package before what is in it."""

    def __init__(self, tree: Tree, loader: griffe.GriffeLoader, root: Path) -> None:
        self.tree = tree
        self._loader = loader
        self._root = root
        self._above = self._empty_parents(tree.name.split(".")[:-1])

    def add(self, parts: tuple[str, ...], path: Path) -> None:
        """Read one file to its place, or note why it cannot be read."""
        code, error = _source(path)
        module = None if error else self._visit(parts, path, code)
        if module is None:
            why = error or "it is nested too deeply to be read"
            self.tree.unread.append(Unread(shown(path, self._root), why))
            return
        earlier = self.tree.modules.get(self._dotted(parts))
        self._place(parts, griffe.merge_stubs(earlier, module) if earlier is not None else module)

    def module_at(self, parts: tuple[str, ...]) -> griffe.Module:
        """The module of this place; an empty one where its own file could not be read or is not there."""
        module = self.tree.modules.get(self._dotted(parts))
        if module is None:
            name = self._dotted(parts).rpartition(".")[2]
            module = self._empty(name, self._parent(parts))
            self._place(parts, module)
        return module

    def _parent(self, parts: tuple[str, ...]) -> griffe.Module | None:
        return self.module_at(parts[:-1]) if parts else self._above

    def _dotted(self, parts: tuple[str, ...]) -> str:
        return ".".join((self.tree.name, *parts))

    def _visit(self, parts: tuple[str, ...], path: Path, code: str) -> griffe.Module | None:
        try:
            return griffe.visit(
                self._dotted(parts).rpartition(".")[2],
                filepath=path,
                code=code,
                parent=self._parent(parts),
                lines_collection=self._loader.lines_collection,
                modules_collection=self._loader.modules_collection,
            )
        except RecursionError:
            return None

    def _place(self, parts: tuple[str, ...], module: griffe.Module) -> None:
        """Set the module where its path says, and keep a name that stands there already."""
        dotted, parent = self._dotted(parts), self._parent(parts)
        self.tree.modules[dotted] = module
        if parent is None:
            self._loader.modules_collection.set_member(module.name, module)
            return
        standing = parent.members.get(module.name)
        if standing is not None and (standing.is_alias or not standing.is_module):
            self.tree.shadowed[dotted] = standing
        parent.set_member(module.name, module)

    def _empty_parents(self, names: list[str]) -> griffe.Module | None:
        """Empty modules above a dotted name, so that every path is the one a user imports by."""
        parent: griffe.Module | None = None
        for name in names:
            module = self._empty(name, parent)
            if parent is None:
                self._loader.modules_collection.set_member(name, module)
            else:
                parent.set_member(name, module)
            parent = module
        return parent

    def _empty(self, name: str, parent: griffe.Module | None) -> griffe.Module:
        return griffe.Module(
            name,
            filepath=self._root / "__init__.py",
            parent=parent,
            lines_collection=self._loader.lines_collection,
            modules_collection=self._loader.modules_collection,
        )


def _source(path: Path) -> tuple[str, str]:
    """The text of a file, and what is wrong with it as Python; one of the two is empty."""
    try:
        if path.stat().st_size > LARGEST:
            return "", f"it is larger than {LARGEST // 2**20} MiB"
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        code = io.IncrementalNewlineDecoder(None, translate=True).decode(data.decode(encoding))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, path.name, "exec", dont_inherit=True, flags=_AST_ONLY)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        return "", f"{where}{error.msg}"
    except (ValueError, OSError, RecursionError, MemoryError) as error:
        return "", f"{type(error).__name__}: {str(error).replace(str(path), path.name)}"
    return code, ""


_AST_ONLY = 0x400
"""`ast.PyCF_ONLY_AST`: parse, make no code of it."""
