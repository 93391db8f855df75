"""The rows of `bench` measure the house as it is now; how fast it is stands in their output, never in a test."""

import json
import subprocess
import sys

import pytest

from bench import cli, hung, journal, providers, supervision
from bench.journal import Sizes


def test_the_walk_takes_every_item_to_its_end() -> None:
    measure = "import json; from bench.walk import measure; print(json.dumps(measure('nothing', 24, 8, 4)))"
    ran = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(ran.stdout)["succeeded"] == 32


def test_every_row_can_be_asked_for() -> None:
    named = "from bench.__main__ import ROWS; print(*ROWS)"
    ran = subprocess.run([sys.executable, "-c", named], capture_output=True, text=True, check=True, timeout=60)
    assert "walk" in ran.stdout.split()


def test_a_row_that_there_is_not_is_told_with_those_that_there_are_and_none_is_measured() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "cli", "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("no row is called --help; there are walk, ")


TINY = Sizes(many=60, unfinished=5, few=5, slots=4, claims=4, accepts=8, seconds=0.05)


def test_the_journals_row_measures_everything_beside_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    journal.row(TINY)
    told = capsys.readouterr().out
    assert told.count("of a bare server") == len(journal.ACCEPTS)
    assert "of plain SQL" in told
    assert told.count("journal: boot with") == 2


def test_the_row_of_the_command_starts_what_it_measures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "STARTS", 1)
    cli.row()
    assert capsys.readouterr().out.count("cli: daruma") == len(cli.GOALS)


def test_the_row_of_the_hung_calls_asks_each_question_while_every_slot_is_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in {"SLOTS": 2, "TIMES": 2}.items():
        monkeypatch.setattr(hung, name, size)
    hung.row()
    assert capsys.readouterr().out.count("each of 2 slots held by a call that hangs") == len(hung.ASKED) - 1


def test_the_row_of_the_hung_calls_fails_when_one_answer_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = dict.fromkeys(hung.ASKED, 0.01)
    monkeypatch.setattr(hung, "measured", lambda: {**at_once})
    assert hung.row()
    monkeypatch.setattr(hung, "measured", lambda: {**at_once, "work cancel": 0.251})
    assert not hung.row()


@pytest.mark.parametrize("vendor", sorted(providers.MODELS))
async def test_the_row_of_the_providers_makes_its_calls_at_once_and_reads_every_piece(
    monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    for name, size in {"AT_ONCE": 8, "CALLS": 5}.items():
        monkeypatch.setattr(providers, name, size)
    with providers.simulated() as urls:
        at_once = await providers._measured(providers.brokered, "at_once", vendor, urls[vendor])
        assert 1 <= at_once["seconds"] < 8, "one after the other they take eight seconds"
        if vendor == "anthropic":
            bare = await providers._measured(providers.bare, "at_once", vendor, urls[vendor])
            assert 1 <= bare["seconds"] < 8
            assert (await providers._measured(providers.brokered, "pieces", vendor, urls[vendor]))["cpu"] > 0
    assert (await providers.added())["cpu"] > 0


def test_the_row_of_the_logs_measures_what_a_line_takes() -> None:
    measure = "from bench import logs; logs.LINES, logs.ROUNDS = 5, 2; print(logs.measured())"
    ran = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True, timeout=60)
    assert float(ran.stdout) > 0


def test_the_row_of_the_providers_starts_a_daemon() -> None:
    wall, cpu = providers._started_once()
    assert wall > 0 < cpu


@pytest.mark.parametrize("part", sorted(supervision.PARTS.keys() - {"idle", "plain_starts"}))  # they end their process
def test_the_row_of_the_supervisors_measures_its_parts(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    sizes = {"BURST": 50, "BURSTS": 1, "ASKS": 5, "ROUNDS": 1, "CRASHES": 5, "CYCLES": 4, "WARM": 4}
    for name, size in sizes.items():
        monkeypatch.setattr(supervision, name, size)
    assert supervision.PARTS[part]()
