"""The reference of a package as one Markdown page. Same package, same bytes: no date, no path of this machine.

Every public name has exactly one *head*: a heading or a list entry that begins with its anchor. `audit` looks for them.
"""

from collections.abc import Iterable, Iterator, Mapping

from darumad.agents.templates.documentation.inventory import (
    Entry,
    EntryKind,
    ModuleEntry,
    Package,
    Row,
    Section,
    module_anchor,
)
from darumad.agents.templates.documentation.quoting import code, fenced, ours, plain, quoted
from darumad.plural import counted
from darumad.values import Value, field

SUMMARY_LENGTH = 160
"""Characters of a module's first sentence in the list of modules."""
DEEPEST = 6
"""The deepest heading that Markdown has."""

_HOW_TO_READ = """\
This page was made from the package's source, which was read and never run. **Modules** lists what can be imported.
Each module shows its public names in the order of its source: those of its `__all__`, or else those without a leading
underscore. A class shows its own members; what it inherits stands at its bases. A name that is only passed on links to
the place where it is described. **Index** has every name in alphabetical order."""


class Descriptions(Value):
    """What a model wrote about names that their source says nothing of, by path, and which model that was."""

    texts: Mapping[str, str] = field(default_factory=dict)
    author: str = ""


def render_page(package: Package, descriptions: Descriptions | None = None) -> str:
    """The whole page."""
    return _Page(package, descriptions or Descriptions()).text()


class _Page:
    def __init__(self, package: Package, descriptions: Descriptions) -> None:
        self._package = package
        self._descriptions = descriptions
        self._anchors = {entry.path: entry.path for entry in package.entries()}
        for module in package.modules:
            self._anchors.setdefault(module.path, module_anchor(module.path))
        self._homes = {
            entry.canonical: entry.path for entry in package.entries() if entry.kind is not EntryKind.REEXPORT
        }
        self._last_parts = _by_last_part(self._anchors)

    def text(self) -> str:
        lines = [*self._opening(), *self._unread()]
        for module in self._package.modules:
            lines += self._module(module)
        text = "\n".join([*lines, *self._index()]).rstrip() + "\n"
        return text.encode("utf-8", "replace").decode()  # a docstring may hold half a surrogate; a page may not

    def _opening(self) -> Iterator[str]:
        package = self._package
        entries = sum(1 for _ in package.entries())
        yield f"# `{package.name}`: reference"
        yield ""
        yield f"{counted(len(package.modules), 'module')}, {counted(entries, 'public name')}."
        yield from ("", "## How to read this page", "", _HOW_TO_READ, "", "## Modules", "")
        for module in package.modules:
            summary = _summary(module.sections)
            yield f"- [`{module.path}`](#{module_anchor(module.path)})" + (f": {summary}" if summary else "")
        yield ""

    def _unread(self) -> Iterator[str]:
        if not self._package.unread:
            return
        yield from ("## Files that could not be read", "", "What is in them is not on this page.", "")
        for each in self._package.unread:
            yield f"- {code(each.file)}: {plain(each.error)}"
        yield ""

    def _module(self, module: ModuleEntry) -> Iterator[str]:
        yield from (f'## <a id="{module_anchor(module.path)}"></a>module `{module.path}`', "")
        yield from self._sections(module.sections, module.path)
        passed_on = [each for each in module.entries if each.kind in {EntryKind.REEXPORT, EntryKind.DYNAMIC}]
        for entry in passed_on:
            yield f'- <a id="{entry.path}"></a>`{entry.path}`: {self._stands_for(entry)}'
        if passed_on:
            yield ""
        for entry in module.entries:
            if entry not in passed_on:
                yield from self._entry(entry, 3)

    def _stands_for(self, entry: Entry) -> str:
        if entry.kind is EntryKind.DYNAMIC:
            return "promised by `__all__`; the source shows no definition of it here"
        return f"the same as {self._reference(entry.target)}"

    def _reference(self, path: str) -> str:
        """A link to `path` if it is on this page, also where it is described under another name; else its name."""
        home = self._anchors.get(path) or self._homes.get(path)
        return f"[`{path}`](#{home})" if home else f"`{path}`"

    def _entry(self, entry: Entry, level: int) -> Iterator[str]:
        words = " ".join((*entry.labels, entry.kind.value))
        yield from (f'{"#" * min(level, DEEPEST)} <a id="{entry.path}"></a>{words} `{entry.path}`', "")
        yield from (fenced("\n".join(entry.signatures), "python"), "")
        if entry.bases:
            yield from ("Bases: " + ", ".join(self._reference(base) for base in entry.bases), "")
        if entry.canonical != entry.path:
            yield from (f"Defined as {code(entry.canonical)}.", "")
        yield from self._sections(entry.sections, entry.path)
        yield from self._description(entry)
        for member in entry.members:
            yield from self._entry(member, level + 1)

    def _description(self, entry: Entry) -> Iterator[str]:
        """What a model wrote, marked as such; where nobody says anything, that is said."""
        text = self._descriptions.texts.get(entry.path)
        if text and not entry.sections:
            yield from (quoted(text, code), "", f"*Described by {plain(self._descriptions.author)}.*", "")
        elif entry.wants_description:
            yield from ("*Its source does not describe it.*", "")

    def _sections(self, sections: tuple[Section, ...], path: str) -> Iterator[str]:
        def link(name: str) -> str:
            return self._link(name, path)

        for section in sections:
            if section.title:
                yield from (f"**{plain(section.title)}**", "")
            if section.text.strip():
                yield from (fenced(section.text, "pycon") if section.code else quoted(section.text, link), "")
            for row in section.rows:
                yield from _row(row, quoted(row.text, link))
            if section.rows:
                yield ""

    def _link(self, said: str, path: str) -> str:
        """The Markdown for a name that a docstring refers to, looked up from where it is said outwards."""
        name = said.partition("<")[2].rstrip("> ") or said
        shown = name.lstrip("~!.").removesuffix("()").strip()
        scope = path
        while scope:
            if f"{scope}.{shown}" in self._anchors:
                return ours(shown, self._anchors[f"{scope}.{shown}"])
            scope = scope.rpartition(".")[0]
        home = self._anchors.get(shown) or self._homes.get(shown)
        fitting = self._last_parts.get(shown.rpartition(".")[2], ())
        alike = [each for each in fitting if each.endswith(f".{shown}")]
        if home or len(alike) == 1:
            return ours(shown, home or self._anchors[alike[0]])
        return code(shown)

    def _index(self) -> Iterator[str]:
        yield from ("## Index", "")
        listed = [(module.path, module_anchor(module.path), "module") for module in self._package.modules]
        listed += [(entry.path, entry.path, entry.kind.value) for entry in self._package.entries()]
        for path, anchor, kind in sorted(listed, key=lambda each: (each[0].rpartition(".")[2].lower(), each)):
            yield f"- [`{path.rpartition('.')[2]}`](#{anchor}): {kind} `{path}`"


def _row(row: Row, text: str) -> Iterator[str]:
    head = [f"**{plain(row.name)}**"] if row.name else []
    head += [code(row.annotation)] if row.annotation else []
    head += [f"= {code(row.default)}"] if row.default else []
    lines = text.splitlines()
    if not lines:
        yield f"- {' '.join(head)}"
    elif lines[0].lstrip().startswith(("```", "~~~", "-", "*", "+")):
        yield f"- {' '.join(head)}"
        yield from (f"  {line}".rstrip() for line in lines)
    else:
        yield f"- {' '.join(head)}: {lines[0].strip()}" if head else f"- {lines[0].strip()}"
        yield from (f"  {line}".rstrip() for line in lines[1:])


def _summary(sections: tuple[Section, ...]) -> str:
    """The first sentence of the first text, on one line."""
    text = next((each.text for each in sections if each.text.strip()), "")
    first = " ".join(text.strip().partition("\n\n")[0].split())
    sentence = first.partition(". ")[0]
    return plain(sentence if len(sentence) <= SUMMARY_LENGTH else sentence[: SUMMARY_LENGTH - 3] + "...")


def _by_last_part(names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(name.rpartition(".")[2], []).append(name)
    return {part: tuple(paths) for part, paths in found.items()}
