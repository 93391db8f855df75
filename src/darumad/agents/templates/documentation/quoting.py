"""Somebody else's text inside our page.

It keeps its words, and can neither make headings, anchors and links of ours nor leave a code block open.
"""

import re
from collections.abc import Callable, Iterable, Iterator

FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
"""How a code block begins and ends."""
_SPAN = re.compile(r"(`+[^`]*`+)")
_RULER = re.compile(r"^\s*([-=*_#~^\"'.])\1{2,}\s*$")
_ROLE = re.compile(r":(?:[a-z]+:)?(?:class|func|meth|attr|exc|data|mod|obj|const|ref|doc|term):`([^`]+)`")
_DOCTEST = re.compile(r"^\s*>>> ")

Link = Callable[[str], str]
"""From a name in a text to its Markdown: a link where it is known, code where it is not."""


def quoted(text: str, link: Link) -> str:
    """`text` as Markdown that stays what it is. Names in the roles of reStructuredText become links by `link`."""
    return "\n".join(_lines(_with_doctests_fenced(text.expandtabs(4).splitlines()), link)).strip("\n")


def fenced(text: str, language: str) -> str:
    """`text` in a code block that nothing in it can close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * max(longest + 1, 3)
    lines = "\n".join(text.splitlines())  # whatever else Python holds for the end of a line is one here, too
    return f"{fence}{language}\n{lines}\n{fence}"


def code(text: str) -> str:
    """`text` as a span of code on one line."""
    line = " ".join(text.split())
    return f"`{line}`" if "`" not in line else f"`` {line} ``"


def plain(text: str) -> str:
    """One line of prose for a list: no markup of its own."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


def outside_code(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines of a page that are in no code block, with their numbers from 0."""
    return ((number, line) for number, (line, free, _) in enumerate(_tracked(lines)) if free)


def _tracked(lines: Iterable[str]) -> Iterator[tuple[str, bool, str]]:
    """Each line, whether it is in no code block, and the fence that is open behind it."""
    fence = ""
    for line in lines:
        mark = FENCE.match(line)
        free = not fence and mark is None
        if fence and mark and mark[1].startswith(fence) and line.strip() == mark[1]:
            fence = ""
        elif not fence and mark:
            fence = mark[1]
        yield line, free, fence


def _lines(lines: list[str], link: Link) -> Iterator[str]:
    fence = ""
    for line, free, fence in _tracked(lines):  # noqa: B007 - the last fence is looked at behind the loop
        yield _prose(line, link) if free else line
    if fence:
        yield fence


def _prose(line: str, link: Link) -> str:
    if _RULER.match(line):
        return f"\\{line.strip()}"
    line = _ROLE.sub(lambda role: link(role[1]), line)
    parts = _SPAN.split(line)
    safe = "".join(part if index % 2 else _defused(part) for index, part in enumerate(parts))
    return re.sub(r"^(\s*)#", r"\1\\#", safe)


def _defused(text: str) -> str:
    """No raw HTML, and no links into this page but our own, which stand in `link`'s parentheses of their own."""
    return text.replace("<", "&lt;").replace("](#", "]\\(#").replace("]\\(#" + _OURS, "](#")


_OURS = "\0"
"""Marks a link as ours while a text is being quoted; it is in no source, for Python refuses it."""


def ours(name: str, anchor: str) -> str:
    """A link of ours to `anchor` of this page, for use inside a quoted text."""
    return f"[`{name}`](#{_OURS}{anchor})"


def _with_doctests_fenced(lines: list[str]) -> list[str]:
    """Sessions that begin with `>>>` outside a code block become code blocks; they end with an empty line."""
    free = {number for number, _ in outside_code(lines)}
    done: list[str] = []
    inside = False
    for number, line in enumerate(lines):
        if not inside and number in free and _DOCTEST.match(line):
            done += ["", "```pycon"]
            inside = True
        elif inside and not line.strip():
            done.append("```")
            inside = False
        done.append(line)
    return [*done, "```"] if inside else done
