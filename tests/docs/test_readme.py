"""The README's rows are true: each bad night is linked to a test that is there, and each story that it shows."""

import re
import tomllib
from collections import defaultdict

import pytest

from darumad.cli.group import COMMANDS
from tests.examples.outputs import ROOT

README = (ROOT / "README.md").read_text()
NIGHTS = re.findall(r"^\| (.+?) \| (.+?) \| \[test\]\(([^)#]+)#(test_\w+)\) \|$", README, re.MULTILINE)


def test_there_are_ten_bad_nights() -> None:
    assert len(NIGHTS) == 10


@pytest.mark.parametrize("night", NIGHTS, ids=[night[0][:40] for night in NIGHTS])
def test_a_bad_night_is_linked_to_the_test_that_makes_it_happen(night: tuple[str, str, str, str]) -> None:
    *_, file, name = night
    assert file.startswith("tests/e2e/"), "it happens to the installed daemon"
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file} has no {name}"


def test_the_first_screen_has_a_sentence_a_picture_two_commands_and_what_is_needed() -> None:
    screen = README.splitlines()[:16]
    assert screen[2].startswith("**")
    assert "![" in screen[4]
    assert [line.split("#")[0].strip() for line in screen if line.startswith("make ")] == ["make demo", "make test"]
    assert any(line.startswith("Needed:") for line in screen)


@pytest.mark.parametrize("page", ["README.md", "docs/explanation/the-house.md"])
def test_the_map_of_the_house_has_the_floors_that_are_enforced(page: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {number: set(each.split(" | ")) for number, each in enumerate(reversed(contracts[0]["layers"]))}
    drawn: defaultdict[int, set[str]] = defaultdict(set)
    for number, rooms in re.findall(
        r"^ ?(\d)  ([a-z]+(?:(?:, | +\| +)[a-z]+)*)", (ROOT / page).read_text(), re.MULTILINE
    ):
        drawn[int(number)] |= set(re.findall(r"[a-z]+", rooms))
    assert drawn == floors


def test_what_is_not_there_yet_is_not_there() -> None:
    missing = README.partition("## What is not there yet")[2]
    assert [name for name in COMMANDS if f"`{name}`" in missing] == []
