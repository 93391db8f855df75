"""The reference page names every public name, and every event with its fields."""

import re
from pathlib import Path

import pytest

import darumad.supervision as room

PAGE = (Path(__file__).parents[2] / "docs/reference/supervision.md").read_text()
SOURCE = "".join(path.read_text() for path in sorted(Path(room.__file__).parent.glob("*.py")))
EMITTED = {
    name for name in re.findall(r'"([a-z_]+(?:\.[a-z_]+)?)"', SOURCE) if re.match(r"child\.|supervisor\.|pause\.", name)
}
EVENTS = sorted(EMITTED | {"dead_letter", "stale.dropped"})


@pytest.mark.parametrize("name", room.__all__)
def test_every_public_name_is_on_the_page(name) -> None:
    assert f"`{name}`" in PAGE or f"`{name}." in PAGE


@pytest.mark.parametrize("name", room.__all__)
def test_every_public_class_says_what_it_is_for(name) -> None:
    kind = getattr(room, name)
    if isinstance(kind, type):
        assert (kind.__doc__ or "").strip()


def test_the_page_and_the_code_know_the_same_events() -> None:
    assert sorted(re.findall(r"^\| `([a-z_]+(?:\.[a-z_]+)?)` \|", PAGE, re.MULTILINE)) == EVENTS


def test_an_event_carries_the_fields_of_its_row(house) -> None:
    """One storm that makes most of them: each event's fields are those on the page."""
    told = {
        name: set(re.findall(r"`([a-z_]+)`", data))
        for name, data in re.findall(r"^\| `([a-z_.]+)` \| (.*?)\|", PAGE, re.MULTILINE)
    }
    budget = room.ErrorBudget(limit=2)
    backoff = room.Backoff(min=1.0, max=1.0, give_up_after=1)
    root = house.start(
        house.spec("a", error_budget=budget), house.spec("b", backoff=backoff), house.spec("c"), intensity=1
    )
    for _ in range(2):
        root.address("a").tell(ValueError())
    house.up("root/a", 2)
    house.crash(root, "b")
    house.clock.advance(1.0)
    house.crash(root, "b")
    root.address("b").tell("to nobody")
    root.address("c").tell(ValueError())
    assert root.wait(10)
    heard = {event.name for event in house.bus.events}
    assert {
        "child.benched",
        "child.error",
        "dead_letter",
        "supervisor.intensity_exceeded",
        "supervisor.exited",
    } <= heard
    for event in house.bus.events:
        assert set(event.data) <= told[event.name], event.name
