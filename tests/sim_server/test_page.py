"""The page of the scenario holds what the simulator reads, and its help names every fault."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from darumad.sim import Attempt, Fault, Quota, Server, ToolUse, main
from darumad.sim.faults import FAULTS, UNHEARD, VENDOR_FAULTS
from darumad.sim.parameters import HEEDED
from darumad.sim.reading import TURN, WHEN
from darumad.sim.spoiled import SPOILED

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "scenario.md").read_text()


def rows(heading: str) -> list[tuple[list[str], list[str]]]:
    """What stands in backticks in the first cell of each row of a section, and in the second before a colon."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \| ?(.*) ?\|$", section, re.MULTILINE)
    return [
        (re.findall(r"`(\w+)`", first), re.findall(r"`(\w+)`", second.partition(":")[0])) for first, second in cells
    ]


def names(heading: str) -> list[str]:
    return [name for first, _ in rows(heading) for name in first]


def test_every_key_of_a_when_a_reply_and_a_tool_call_has_its_row() -> None:
    assert set(names("When")) == set(WHEN)
    assert set(names("Reply")) == TURN
    assert names("Tool calls") == [each.name for each in fields(ToolUse)]


def test_every_key_of_a_quota_and_a_server_has_its_row() -> None:
    assert names("Quotas") == [each.name for each in fields(Quota)]
    assert names("Servers") == [each.name for each in fields(Server)]


def test_every_fault_and_every_parameter_has_its_row() -> None:
    assert sorted(names("Faults")) == sorted({*FAULTS, *VENDOR_FAULTS, *SPOILED})
    parameters = {each.name for each in fields(Fault)} - {"name"}
    assert set(names("Parameters")) == parameters
    heeded = {fault: {*second} & parameters for first, second in rows("Faults") for fault in first}
    assert heeded == {fault: {*HEEDED.get(fault, ())} for fault in heeded}
    assert set().union(*heeded.values()) == parameters, "a parameter that no fault heeds"


def test_the_page_names_the_faults_that_leave_nothing_of_a_reply() -> None:
    told = PAGE.partition("beside\n")[2].partition(" it would never be heard")[0]
    assert set(re.findall(r"`(\w+)`", told)) == UNHEARD


def test_every_field_of_the_log_has_its_row() -> None:
    assert sorted(names("The log")) == sorted(each.name for each in fields(Attempt))


def test_the_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out.split()
    assert {*FAULTS, *VENDOR_FAULTS, *SPOILED, "tool_calls", "prompt_re"} <= {each.strip(",:;.") for each in said}
