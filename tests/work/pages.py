"""The tables of docs/reference/work-item.md, as the code has them.

`python -m tests.work.pages` writes them into the page, each between its two markers; a test compares.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from darumad.work.causes import ENDS
from darumad.work.kinds import KINDS
from darumad.work.states import LEADS_TO
from darumad.work.validation import MAX_DESCRIPTION, MAX_ENTRIES, MAX_LABEL, MAX_LABEL_KEY, MAX_NAME_PART

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "work-item.md"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(heads), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def leads_to() -> str:
    rows = (
        (f"`{state}`", ", ".join(f"`{each}`" for each in sorted(after)) or "-") for state, after in LEADS_TO.items()
    )
    return table(("state", "leads to"), rows)


ENTRIES: Mapping[str, str] = {
    **dict.fromkeys(("requirements", "constraints", "tech_stack", "tests"), f"1 to {MAX_DESCRIPTION:,} characters"),
    "messages": f"a text of 1 to {MAX_DESCRIPTION:,} characters",
    "requires": "1 to 63 characters",
    "depends_on": "an `id`",
    "inputs": f"a name of parts of at most {MAX_NAME_PART} bytes",
    "labels": f"a key of 1 to {MAX_LABEL_KEY} characters, a text of at most {MAX_LABEL:,}",
}
"""How long each entry may be."""


def limits() -> str:
    return table(("field", "at most", "each"), ((f"`{f}`", f"{most:,}", ENTRIES[f]) for f, most in MAX_ENTRIES.items()))


def ends() -> str:
    rows = ((f"`{cause}`", f"`{end.stop_reason}`", end.course.value, end.counter or "-") for cause, end in ENDS.items())
    return table(("cause", "stop reason", "what follows", "counter"), rows)


def kinds() -> str:
    rows = (
        (f"`{each.name}`", each.comes_from, each.retry, each.fallback, each.breaker, COUNTS[each.counts])
        for each in KINDS.values()
    )
    return table(("kind", "comes from", "tried again", "next target", "circuit", "counts"), rows)


def advice() -> str:
    rows = ((f"`{each.name}`", " ".join(each.hints), " ".join(each.recovery)) for each in KINDS.values())
    return table(("kind", "what usually lies behind it", "what to do"), rows)


COUNTS: Mapping[str, str] = {
    "count": "yes",
    "while_closed": "while the circuit is closed",
    "ignore": "no",
    "crash": "restarts at once",
}
TABLES = {"limits": limits, "leads-to": leads_to, "ends": ends, "kinds": kinds, "advice": advice}


def written(page: str) -> str:
    """`page` with every table as the code has it."""
    for name, render in TABLES.items():
        before, rest = page.split(f"<!-- {name} -->\n")
        after = rest.split(f"<!-- /{name} -->")[1]
        page = f"{before}<!-- {name} -->\n{render()}\n<!-- /{name} -->{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
