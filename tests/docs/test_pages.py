"""The pages hold what the code holds: events, words, the floors, and links that lead somewhere."""

import re
import tomllib
from pathlib import Path

import pytest

from darumad import events
from darumad.settings.loading import examine

ROOT = Path(__file__).parents[2]
EVENTS = (ROOT / "docs" / "reference" / "events.md").read_text()
WORDS = (
    "child spec", "restart intensity", "incarnation", "boot", "fence", "attempt", "mailbox", "dead letter", "drain",
    "bench", "slot", "lane", "park", "rescue", "suspect", "brief", "gate", "template", "definition", "instance",
    "journal", "step", "hold", "publisher", "bridge", "broker", "circuit breaker", "reservation", "settle", "READY",
    "error window", "abandon", "stale", "stage", "agent", "actor", "hint",
)  # fmt: skip
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("event", events.CATALOGUE, ids=lambda event: event.name)
def test_every_event_has_its_heading_its_sentence_and_its_fields(event: type[events.Fact]) -> None:
    section = re.search(rf"^## {re.escape(event.name)}\n(.*?)(?=^## |\Z)", EVENTS, re.MULTILINE | re.DOTALL)
    assert section, event.name
    assert (event.__doc__ or "").strip() in section[1]
    told = re.findall(r"^- `(\w+)`: \S", section[1], re.MULTILINE)
    assert told == [each for each in event.__struct_fields__ if each != "subject"]


def test_no_event_is_described_that_cannot_happen() -> None:
    assert re.findall(r"^## (.+)$", EVENTS, re.MULTILINE) == [event.name for event in events.CATALOGUE]


def test_the_glossary_has_the_fields_words_in_order() -> None:
    words = re.findall(r"^\*\*(.+?)\*\* - \S", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert set(WORDS) <= set(words)
    assert words == sorted(set(words), key=str.lower)


def test_every_term_that_a_page_puts_in_bold_is_in_the_glossary() -> None:
    """Bold and in small letters is a term where it is met; bold and with a capital is a heading within its line."""
    words = re.findall(r"^\*\*(.+?)\*\* - \S", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    for page in PAGES:
        for term in re.findall(r"\*\*([a-z]+(?: [a-z]+)?)\*\*", page.read_text()):
            assert term.startswith(tuple(words)), f"{term} in {page.name}"


def test_the_house_is_drawn_with_the_floors_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = [[room.strip() for room in layer.split("|")] for layer in contracts[0]["layers"]]
    drawing = (ROOT / "docs" / "explanation" / "the-house.md").read_text().split("```")[1]
    for number, rooms in enumerate(reversed(floors)):
        (line,) = re.findall(rf"^ {number}  (.+)$", drawing, re.MULTILINE)
        drawn = {each.strip().split(" ")[0] for each in line.split("|")}
        assert drawn == set(rooms), f"floor {number}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link, part in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if "://" in link:
            continue
        there = page.parent / link if link else page
        assert there.exists(), link
        assert not part or part in _parts(there.read_text()), f"{link}#{part}"


def _parts(text: str) -> set[str]:
    """What a link may name behind its `#`: a heading of a page as a reader's browser has it, a function of a file."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    return named | set(re.findall(r"def (\w+)\(", text))


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/how-to/*.md")), ids=lambda page: str(page.name))
def test_the_settings_that_a_page_shows_are_settings(page: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        (tmp_path / "daruma.yaml").write_text(block)
        assert not examine(tmp_path / "daruma.yaml", {"HOME": "/nonexistent"}).problems, block


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in ROOT.glob("docs/*/*.md"):
        assert f"({page.relative_to(ROOT / 'docs')})" in index, page.name
