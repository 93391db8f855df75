"""The points at which the daemon is made to fail: found in its source, and not a trace of them in its bytecode."""

import subprocess
import sys

from tests.crash.__main__ import planned
from tests.crash.failpoints import WATCHED, points
from tests.crash.kills import NOT_SENT_FOR

LINES = {each.rpartition(" ")[0] for each in points()}


def test_every_watched_module_has_points_of_its_own() -> None:
    without = [each for each in WATCHED if not any(f"darumad.{line}".startswith(each) for line in LINES)]
    assert without == []


def test_a_point_has_a_name_of_its_own() -> None:
    assert len(points()) == len(set(points()))


def test_a_run_sends_a_death_to_every_line_but_those_that_say_why_not() -> None:
    sent = {plan.point.rpartition(" ")[0] for plans in planned(60, seed=1) for plan in plans if plan.point is not None}
    assert sent == LINES - NOT_SENT_FOR.keys()


def test_a_run_has_the_orchestrator_fail_alone_at_each_of_its_lines() -> None:
    failing = {
        plan.point.rpartition(" ")[0]
        for plans in planned(60, seed=1)
        for plan in plans
        if plan.deed == "raise" and plan.point
    }
    assert failing == {each for each in LINES if ".Orchestrator." in each} - NOT_SENT_FOR.keys()


def test_no_excuse_is_made_for_a_line_that_is_gone() -> None:
    assert NOT_SENT_FOR.keys() - LINES == set()


def test_a_long_run_dies_on_both_sides_of_a_line() -> None:
    sent = {plan.point for plans in planned(2_000, seed=1) for plan in plans}
    assert {each for each in points() if each.rpartition(" ")[0] not in NOT_SENT_FOR} <= sent


def test_a_house_that_was_imported_as_usual_has_no_points() -> None:
    code = (
        "import darumad.actors.orchestrator as house, darumad.journal.writer as other, types\n"
        "def names(code):\n"
        "    yield from code.co_names\n"
        "    for each in code.co_consts:\n"
        "        if isinstance(each, types.CodeType): yield from names(each)\n"
        "for each in (house.Orchestrator, other.Writer):\n"
        "    for method in vars(each).values():\n"
        "        assert not isinstance(method, types.FunctionType) or '__reached__' not in names(method.__code__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
