"""What a package offers to those who use it, as plain values: modules, entries, the sections of their docstrings."""

from collections.abc import Iterator
from enum import StrEnum

from darumad.values import Value


class EntryKind(StrEnum):
    """What a public name stands for. The value is what a reader sees."""

    CLASS = "class"
    FUNCTION = "function"
    METHOD = "method"
    PROPERTY = "property"
    ATTRIBUTE = "attribute"
    TYPE_ALIAS = "type alias"
    REEXPORT = "re-export"
    DYNAMIC = "name"


def module_anchor(path: str) -> str:
    """The anchor of a module's entry."""
    return f"module-{path}"


class Row(Value):
    """One line of a section: a parameter, an exception, a returned value. What is not said is empty."""

    name: str
    annotation: str = ""
    default: str = ""
    text: str = ""


class Section(Value):
    """One part of a docstring: running text, rows, or both, under a title that is empty for plain text.

    `code` says that the text is an example session and no prose.
    """

    title: str = ""
    text: str = ""
    rows: tuple[Row, ...] = ()
    code: bool = False


class Entry(Value, kw_only=True):
    """One public name, under the path by which a user imports it.

    `canonical` is where it is defined. `signatures` has more than one line for overloads. `target` is what a
    re-export stands for. `excerpt` is the beginning of its source, for those who would describe it.
    """

    path: str
    canonical: str
    kind: EntryKind
    signatures: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    target: str = ""
    excerpt: str = ""
    members: tuple["Entry", ...] = ()

    @property
    def wants_description(self) -> bool:
        """Whether its source owes a word on it and has none; special methods are described by the language."""
        special = self.path.rpartition(".")[2].startswith("__")
        return self.kind in _DESCRIBED and not self.sections and not special

    def walk(self) -> Iterator["Entry"]:
        """This entry and all below it, in the order they are shown."""
        yield self
        for member in self.members:
            yield from member.walk()


_DESCRIBED = frozenset({EntryKind.CLASS, EntryKind.FUNCTION, EntryKind.METHOD, EntryKind.PROPERTY})


class ModuleEntry(Value, kw_only=True):
    """One public module and what it offers, in the order of its source."""

    path: str
    sections: tuple[Section, ...] = ()
    entries: tuple[Entry, ...] = ()


class Unread(Value):
    """A file that could not be read as Python, or what is no module at all: its path below the package, and why."""

    file: str
    error: str


class Package(Value, kw_only=True):
    """All of it: the public modules in the order of their paths, and the files that could not be read."""

    name: str
    modules: tuple[ModuleEntry, ...]
    unread: tuple[Unread, ...] = ()

    def entries(self) -> Iterator[Entry]:
        """Every entry of every module."""
        for module in self.modules:
            for entry in module.entries:
                yield from entry.walk()

    def anchors(self) -> dict[str, str]:
        """Everything that must have its entry: by anchor, what it is called.

        A module and a name of its parent may be called alike, so a module's anchor says that it is one.
        """
        modules = {module_anchor(module.path): f"module {module.path}" for module in self.modules}
        return modules | {entry.path: entry.path for entry in self.entries()}

    def undescribed(self) -> list[Entry]:
        """The classes, functions, methods and properties whose source says nothing of them."""
        return [entry for entry in self.entries() if entry.wants_description]
