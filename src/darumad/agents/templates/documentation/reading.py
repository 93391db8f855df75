"""From the tree of a package to what it offers: which names are public, where each is at home, how it is called."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import griffe  # noqa: TID251 - the door to griffe, with `tree` and `docstrings`

from darumad.agents.templates.documentation.docstrings import sections_of
from darumad.agents.templates.documentation.inventory import Entry, EntryKind, ModuleEntry, Package
from darumad.agents.templates.documentation.tree import Member, Tree, read_tree

EXCERPT = 1_200
"""Characters of an entry's source that are kept for those who would describe it."""
LONGEST_VALUE = 160
"""Characters of a value in a signature; a longer one is cut."""
_LABELS = ("abstractmethod", "async", "cached", "classmethod", "dataclass", "final", "staticmethod", "writable")


def read_package(name: str, root: Path) -> Package:
    """Everything the package `name` at `root` offers. Its files are parsed; nothing of it is ever imported."""
    return _Reader(read_tree(name, root)).package()


class _Reader:
    """Walks a tree once. `homes` says under which public path each thing in the package is described in full."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._public = {
            path: dict(_public_names(tree, module))
            for path, module in sorted(tree.modules.items())
            if _is_public_module(tree.name, path)
        }
        self._homes = _homes(self._public)

    def package(self) -> Package:
        modules = tuple(
            ModuleEntry(
                path=path,
                sections=sections_of(self._tree.modules[path]),
                entries=tuple(self._entry(f"{path}.{name}", member) for name, member in names.items()),
            )
            for path, names in self._public.items()
        )
        return Package(name=self._tree.name, modules=modules, unread=tuple(self._tree.unread))

    def _entry(self, path: str, member: Member | None) -> Entry:
        if member is None:
            return Entry(path=path, canonical=path, kind=EntryKind.DYNAMIC)
        target = _resolved(member)
        if target is None or self._homes.get(id(target), path) != path:
            return self._reexport(path, member, target)
        if target.is_module or (member.is_alias and id(target) not in self._homes):
            return self._reexport(path, member, target)
        return _described(path, target)

    def _reexport(self, path: str, member: Member, target: griffe.Object | None) -> Entry:
        stands_for = member.target_path if isinstance(member, griffe.Alias) else path
        if target is not None:
            stands_for = self._homes.get(id(target), target.path)
        return Entry(path=path, canonical=stands_for, kind=EntryKind.REEXPORT, target=stands_for)


def _is_public_module(package: str, path: str) -> bool:
    return not any(part.startswith("_") for part in path.removeprefix(package).split("."))


def _public_names(tree: Tree, module: griffe.Module) -> Iterator[tuple[str, Member | None]]:
    """A module's public names in the order of its source: those of its `__all__`, or else by the underscore.

    None stands for a name that `__all__` promises and that no source defines: it is made when it is asked for.
    """
    members: dict[str, Member] = {name: overloads[-1] for name, overloads in _overloads_alone(module)}
    members.update(tree.members_of(module))
    chosen: dict[str, Member | None]
    if module.exports is None:
        chosen = {name: member for name, member in members.items() if _is_public(tree, module, name, member)}
    else:
        promised = [each for each in module.exports if isinstance(each, str) and each.isidentifier()]
        modules = {name for name in promised if f"{module.path}.{name}" in tree.modules and name not in members}
        chosen = {name: members.get(name) for name in dict.fromkeys(promised) if name not in modules}
    yield from sorted(chosen.items(), key=lambda each: (_line(each[1]), each[0]))


def _is_public(tree: Tree, module: griffe.Module, name: str, member: Member) -> bool:
    if name.startswith("_"):
        return False
    if not isinstance(member, griffe.Alias):
        return not member.is_module
    if member.wildcard or not member.runtime or not module.is_init_module:
        return False
    top = tree.name.partition(".")[0]
    inside = member.target_path == top or member.target_path.startswith(f"{top}.")
    return inside and member.target_path not in tree.modules


def _homes(public: Mapping[str, Mapping[str, Member | None]]) -> dict[int, str]:
    """By a thing's identity, the public path it is described under: its own if that is public, else its shortest."""
    top = next(iter(public), "").partition(".")[0]
    places = [(f"{module}.{name}", member) for module, names in public.items() for name, member in names.items()]
    homes: dict[int, str] = {}
    for path, member in places:
        if member is not None and not member.is_alias:
            homes[id(member)] = path
    for path, member in sorted(places, key=lambda each: (each[0].count("."), each[0])):
        target = _resolved(member) if member is not None and member.is_alias else None
        if target is not None and not target.is_module and target.path.partition(".")[0] == top:
            homes.setdefault(id(target), path)
    return homes


def _resolved(member: Member) -> griffe.Object | None:
    """What stands behind a name; None when that is outside the package or cannot be told."""
    if not isinstance(member, griffe.Alias):
        return member
    try:
        target = member.final_target
    except (griffe.AliasResolutionError, griffe.CyclicAliasError, KeyError):
        return None
    return target


# --- one entry ------------------------------------------------------------------------------------------------------


def _described(path: str, member: griffe.Object) -> Entry:
    members = _members(path, member) if isinstance(member, griffe.Class) else ()
    sections = sections_of(member)
    init = member.members.get("__init__") if isinstance(member, griffe.Class) else None
    if isinstance(init, griffe.Function):
        sections += sections_of(init)
    return Entry(
        path=path,
        canonical=member.path,
        kind=_kind(member),
        signatures=_signatures(member, init),
        labels=tuple(label for label in _LABELS if label in member.labels),
        bases=tuple(_base(each) for each in member.bases) if isinstance(member, griffe.Class) else (),
        sections=sections,
        excerpt=_excerpt(member),
        members=members,
    )


def _members(path: str, owner: griffe.Class) -> tuple[Entry, ...]:
    """A class's own public members. What it inherits is told by its bases."""
    alone = {name: overloads[-1] for name, overloads in _overloads_alone(owner)}
    found = {**alone, **{name: each for name, each in owner.members.items() if isinstance(each, griffe.Object)}}
    shown = {name: member for name, member in found.items() if _is_member(name, member)}
    ordered = sorted(shown.items(), key=lambda each: (_line(each[1]), each[0]))
    return tuple(_described(f"{path}.{name}", member) for name, member in ordered)


def _is_member(name: str, member: griffe.Object) -> bool:
    if not name.startswith("_"):
        return True
    return member.is_function and name.startswith("__") and name.endswith("__") and name != "__init__"


def _overloads_alone(owner: griffe.Module | griffe.Class) -> list[tuple[str, list[griffe.Function]]]:
    """Functions that are nothing but overloads, as stubs and protocols have them."""
    return [(name, list(each)) for name, each in owner.overloads.items() if each and name not in owner.members]


def _kind(member: griffe.Object) -> EntryKind:
    if member.is_class:
        return EntryKind.CLASS
    if member.is_function:
        return EntryKind.METHOD if member.parent is not None and member.parent.is_class else EntryKind.FUNCTION
    if "property" in member.labels:
        return EntryKind.PROPERTY
    return EntryKind.TYPE_ALIAS if member.is_type_alias else EntryKind.ATTRIBUTE


def _signatures(member: griffe.Object, init: griffe.Object | griffe.Alias | None) -> tuple[str, ...]:
    if isinstance(member, griffe.Class):
        head = f"class {member.name}" + (f"({', '.join(map(_line_of, member.bases))})" if member.bases else "")
        return (head, *(_calls(init, member.name) if isinstance(init, griffe.Function) else ()))
    if isinstance(member, griffe.Function):
        return tuple(f"{_def(member)} {each}" for each in _calls(member, member.name))
    if isinstance(member, griffe.TypeAlias):
        return (f"type {member.name} = {_line_of(member.value)}",)
    assert isinstance(member, griffe.Attribute)
    annotation = f": {_line_of(member.annotation)}" if member.annotation is not None else ""
    value = f" = {_cut(_line_of(member.value))}" if member.value is not None else ""
    return (f"{member.name}{annotation}{value}",)


def _def(function: griffe.Function) -> str:
    return "async def" if "async" in function.labels else "def"


def _calls(function: griffe.Function, name: str) -> tuple[str, ...]:
    """How it is called: each overload, or the one signature there is."""
    overloads = function.overloads or []
    owner = function.parent
    if not overloads and isinstance(owner, griffe.Class | griffe.Module) and function.name not in owner.members:
        overloads = list(owner.overloads.get(function.name) or [])
    return tuple(_line_of(each.signature(name=name)) for each in overloads or [function])


def _base(base: griffe.Expr | str) -> str:
    return _line_of(base.canonical_path if isinstance(base, griffe.ExprName | griffe.ExprAttribute) else base)


def _excerpt(member: griffe.Object) -> str:
    try:
        return member.source[:EXCERPT]
    except (KeyError, ValueError, AttributeError, griffe.BuiltinModuleError):
        return ""


def _line(member: Member | None) -> int:
    if member is None:
        return 0
    line = member.alias_lineno if isinstance(member, griffe.Alias) else member.lineno
    return line or 0


def _line_of(expression: object) -> str:
    try:
        return " ".join(str(expression).split())
    except RecursionError:
        return "..."


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
