"""What is printed for people: nothing in it steers their terminal, and only a terminal cuts it."""

import sys

import pytest

from darumad.cli.speaking import is_cut, pairs, table

LONG = "what is wrong with it, " * 9


@pytest.mark.parametrize(
    ("submitted", "shown"),
    [
        ("pay \u202e001\u202c now", r"pay \u202e001\u202c now"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\U0001f468\u200d\U0001f467 caf\u00e9\u00a0noir", "\U0001f468\u200d\U0001f467 caf\u00e9\u00a0noir"),
    ],
)
def test_controls_and_marks_of_direction_are_written_out_and_letters_stay(submitted: str, shown: str) -> None:
    assert table(["PHASE"], [[submitted]])[1] == shown
    assert pairs([("labels", [submitted])]) == [f"labels  {shown}"]


def test_a_table_that_is_piped_is_whole_and_a_long_cell_widens_no_line_but_its_own() -> None:
    long, short = table(["REASON", "AT"], [[LONG, "noon"], ["none", "noon"]])[1:]
    assert (long, short) == (f"{LONG}  noon", f"{'none':80}  noon")
    assert not is_cut(LONG)


def test_a_terminal_is_shown_the_beginning_of_what_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert table(["REASON"], [[LONG]])[1] == f"{LONG[:79]}…"
    assert is_cut(LONG)
    assert pairs([("reason", {"it": LONG})]) == [f"reason  it {LONG}"]
