"""The matrix: every fault, on every adapter, streamed and whole, over the vendors' own clients and real sockets."""

import re
from collections import defaultdict

import pytest

from darumad.sim import Simulation
from darumad.sim.faults import FAULTS, VENDOR_FAULTS
from darumad.sim.spoiled import SPOILED
from darumad.work.kinds import KINDS
from tests.agents.providers.matrix import PATHS, matrix, rows

ROWS = rows()
GROUPS = 6
_IN_A_VENDOR_S_WORDS = re.compile(r" (type|error_code)=\w+")
"""What of a fault only one vendor says."""


@pytest.mark.parametrize("group", range(GROUPS))
async def test_every_fault_on_every_path_comes_to_what_the_page_says(sim: Simulation, group: int) -> None:
    named = ROWS[group::GROUPS]
    found = await matrix(sim, named)
    wrong = {
        (row.fault, path): (row.cell, found[row.fault, path])
        for row in named
        for path in row.paths
        if found[row.fault, path] != row.cell
    }
    assert not wrong, "\n".join(f"{cell}: {said} is {is_now}" for cell, (said, is_now) in wrong.items())


def test_the_page_has_every_fault_that_the_simulator_has() -> None:
    named = {row.fault.partition(" ")[0] for row in ROWS}
    assert {*FAULTS, *VENDOR_FAULTS, *SPOILED} <= named


def test_every_fault_has_a_cell_on_every_path() -> None:
    paths = defaultdict(set)
    for row in ROWS:
        paths[_IN_A_VENDOR_S_WORDS.sub("", row.fault)].update(row.paths)
    assert {fault: sorted(set(PATHS) - met) for fault, met in paths.items() if met != set(PATHS)} == {}


def test_no_cell_is_said_twice_and_every_kind_is_known() -> None:
    cells = [(row.fault, path) for row in ROWS for path in row.paths]
    assert len(cells) == len(set(cells))
    assert {path for _, path in cells} == set(PATHS)
    assert {row.cell.partition(" | ")[0] for row in ROWS} - set(KINDS) == {"ok"}
