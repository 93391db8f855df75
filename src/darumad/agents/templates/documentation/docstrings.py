"""Docstrings, in whatever style they are written, as sections of plain values."""

from collections.abc import Sequence
from typing import Any

import griffe  # noqa: TID251 - the door to griffe, with `tree` and `reading`

from darumad.agents.templates.documentation.inventory import Row, Section

_TITLES = {
    "parameters": "Parameters",
    "other parameters": "Other parameters",
    "type parameters": "Type parameters",
    "raises": "Raises",
    "warns": "Warns",
    "returns": "Returns",
    "yields": "Yields",
    "receives": "Receives",
    "attributes": "Attributes",
    "functions": "Functions",
    "classes": "Classes",
    "type aliases": "Type aliases",
    "modules": "Modules",
}


def sections_of(member: griffe.Object) -> tuple[Section, ...]:
    """The sections of a docstring, in their order; none when there is none."""
    docstring = member.docstring
    if docstring is None or not docstring.value.strip():
        return ()
    try:
        parsed = docstring.parse("auto")
    except Exception:  # noqa: BLE001 - a docstring that a parser stumbles over is shown as it is written
        return (Section(text=docstring.value),)
    return tuple(section for each in parsed for section in _sections(each))


def _sections(section: griffe.DocstringSection) -> Sequence[Section]:
    kind, value, title = section.kind.value, section.value, section.title or ""
    if kind == "text":
        return [Section(title, str(value))] if str(value).strip() else []
    if kind == "examples":
        parts = [Section(text=text, code=each.value == "examples") for each, text in value]
        return [Section(title or "Examples"), *parts]
    if kind == "deprecated":
        return [Section(f"Deprecated since {value.version}", value.description)]
    if kind == "admonition":
        return [Section(title or str(value.kind).capitalize(), value.contents)]
    return [Section(title or _TITLES.get(kind, kind.capitalize()), rows=tuple(_row(each) for each in value))]


def _row(element: Any) -> Row:
    return Row(
        name=getattr(element, "name", "") or "",
        annotation=_text(element.annotation),
        default=_text(getattr(element, "default", None)),
        text=element.description or "",
    )


def _text(expression: Any) -> str:
    return "" if expression is None else " ".join(str(expression).split())
