"""Does the page on disk hold what the package offers now? Read line by line; how the page was made is not trusted."""

import re
from collections.abc import Iterator, Mapping

from darumad.agents.artifacts import MARKERS
from darumad.agents.templates.documentation.inventory import EntryKind, Package
from darumad.agents.templates.documentation.page import render_page
from darumad.agents.templates.documentation.quoting import FENCE, code, outside_code
from darumad.values import Value

_HEAD = re.compile(r'^(#{2,6}|-) <a id="([^"]+)"></a>[^`]*`([^`]+)`')
_LINK = re.compile(r"(?<!\\)\]\(#([^)]+)\)")
_LINKED = re.compile(r"\[`([^`]*)`\]")
_SPAN = re.compile(r"`[^`]*`")


class Audit(Value):
    """What is wrong with a page; all empty when nothing is.

    `missing` are names without an entry, `hollow` entries without their signature, `astray` links to what there is not
    even in the package, `unsaid` files that could not be read and that the page keeps quiet about, `marks` the marks of
    unfinished work that come from us and not from the package's own words.
    """

    names: int
    missing: tuple[str, ...] = ()
    hollow: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def audit(package: Package, page: str) -> Audit:
    """What is wrong with `page` as the reference of `package`."""
    anchors = package.anchors()
    heads = _heads(page, anchors)
    passed_on = {each.path for each in package.entries() if each.kind in {EntryKind.REEXPORT, EntryKind.DYNAMIC}}
    signed = {entry.path for entry in package.entries()} - passed_on
    return Audit(
        names=len(anchors),
        missing=tuple(name for anchor, name in sorted(anchors.items()) if anchor not in heads),
        hollow=tuple(anchor for anchor in sorted(signed) if heads.get(anchor) is False),
        astray=tuple(sorted(set(_links(page)) - set(heads) - set(anchors))),
        unsaid=tuple(each.file for each in package.unread if f"- {code(each.file)}: " not in page),
        marks=tuple(_marks(page, render_page(package))),
    )


def _heads(page: str, anchors: Mapping[str, str]) -> dict[str, bool]:
    """The anchors whose head names what they stand for, and whether a signature follows before anything else does."""
    lines = page.splitlines()
    heads: dict[str, bool] = {}
    for number, line in outside_code(lines):
        head = _HEAD.match(line)
        if head and anchors.get(head[2], "").removeprefix("module ") == head[3]:
            heads[head[2]] = _is_signed(lines[number + 1 : number + 3])
    return heads


def _is_signed(following: list[str]) -> bool:
    return any(FENCE.match(line) for line in following)


def _links(page: str) -> Iterator[str]:
    for _, line in outside_code(page.splitlines()):
        yield from _LINK.findall(_SPAN.sub("", _LINKED.sub(r"[\1]", line)))


def _marks(page: str, fresh: str) -> Iterator[str]:
    """Lines with a mark that a page made of the package's own words does not have."""
    quoted = {line for line in fresh.splitlines() if MARKERS.search(line)}
    for number, line in enumerate(page.splitlines(), start=1):
        if MARKERS.search(line) and line not in quoted:
            yield f"line {number}: {line.strip()[:120]}"
