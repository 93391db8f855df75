"""The rows and their tests, compared: none is missing, skipped or expected to fail."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.supervision.rows import ELSEWHERE, HERE, ON_THE_REAL_CLOCK, RACING

TESTS = Path(__file__).parents[1]
ROOM = sorted(Path(__file__).parent.glob("*.py"))
EXCUSES = {"skip", "skipif", "xfail", "importorskip"}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def functions(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    return {
        node.name: node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def row_of(test: str) -> str | None:
    found = re.match(r"test_([a-z]\d+)_", test)
    return found[1].upper() if found else None


def named_after(row: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for path in ROOM for name, node in functions(path).items() if row_of(name) == row]


def marks(node: ast.AST) -> set[str]:
    """Every name that decorates or is used in a test."""
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)} | {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name)
    }


@pytest.mark.parametrize("row", HERE)
def test_each_row_of_this_room_has_a_test_named_after_it(row) -> None:
    assert named_after(row), f"no test_{row.lower()}_... in tests/supervision"


def test_no_test_is_named_after_a_row_that_does_not_exist() -> None:
    named = {row_of(name) for path in ROOM for name in functions(path)} - {None}
    assert named - set(HERE) == set()


def test_nothing_in_this_room_is_skipped_or_expected_to_fail() -> None:
    found = {f"{path.name}: {name}" for path in ROOM for name in marks(parsed(path)) & EXCUSES}
    assert found == set()


@pytest.mark.parametrize("row", RACING)
def test_each_row_that_races_runs_with_threads_that_take_turns_all_the_time(row) -> None:
    assert any(marks(node) & {"SWITCHING", "switch_interval"} for node in named_after(row))


@pytest.mark.parametrize("row", ON_THE_REAL_CLOCK)
def test_each_row_about_time_runs_on_the_real_clock_beside_a_busy_thread(row) -> None:
    assert any("real_clock" in marks(node) for node in named_after(row))


@pytest.mark.parametrize(("row", "where"), [(row, each) for row, tests in ELSEWHERE.items() for each in tests])
def test_each_row_of_another_room_is_tested_there(row, where) -> None:
    file, _, name = where.partition("::")
    assert name in functions(TESTS / file)


def test_no_row_is_in_two_places() -> None:
    assert set(HERE) & set(ELSEWHERE) == {"G9", "L9"}, "only their last clauses are another room's"


def test_no_test_of_this_room_looks_inside() -> None:
    """A leading underscore is nobody's business but its owner's."""
    seen = []
    for path in ROOM:
        for node in ast.walk(parsed(path)):
            owned = (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in {"self", "cls"}
            )
            name = getattr(node, "attr", None) or (node.name if isinstance(node, ast.alias) else "")
            if re.match(r"_[^_]", name.rpartition(".")[2]) and not owned:
                seen.append(f"{path.name}: {name}")
    assert seen == []
