"""What is printed for people: nothing in it steers their terminal, and only a terminal cuts it."""

import json
import sys

import pytest

from darumad.cli.speaking import Form, is_cut, note, pairs, say, show, table, usd_words

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


OWNED = "one\n\ttwo \x1b]0;owned\x07 \x9b2J three\n"


def test_what_a_model_said_steers_no_terminal_and_keeps_its_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    say(OWNED)
    note(OWNED)
    shown = "one\n\ttwo \\x1b]0;owned\\x07 \\x9b2J three\n\n"
    assert capsys.readouterr() == (shown, shown)


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_at_a_terminal_stays_json_and_steers_it_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: Form
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show({"text": OWNED}, form, lambda _: [])
    printed = capsys.readouterr().out
    assert "\x9b" not in printed
    assert json.loads(printed) == {"text": OWNED}


def test_what_a_program_reads_is_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say(OWNED)
    note(OWNED)
    assert capsys.readouterr() == (f"{OWNED}\n", f"{OWNED}\n")


def test_a_table_that_is_piped_is_whole_and_a_long_cell_widens_no_line_but_its_own() -> None:
    long, short = table(["REASON", "AT"], [[LONG, "noon"], ["none", "noon"]])[1:]
    assert (long, short) == (f"{LONG}  noon", f"{'none':80}  noon")
    assert not is_cut(LONG)


def test_a_terminal_is_shown_the_beginning_of_what_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert table(["REASON"], [[LONG]])[1] == f"{LONG[:79]}…"
    assert is_cut(LONG)
    assert pairs([("reason", {"it": LONG})]) == [f"reason  it {LONG}"]


@pytest.mark.parametrize(
    ("nano", "usd"),
    [
        (0, "0.0000"),
        (1, "0.000000001"),
        (10_000, "0.00001"),
        (150_000, "0.00015"),
        (-10_000, "-0.00001"),
        (500_000, "0.0005"),
        (2_534_123, "0.0025"),
        (5_000_000_000, "5.0000"),
    ],
)
def test_no_amount_of_money_is_shown_as_nothing(nano: int, usd: str) -> None:
    assert usd_words(nano) == usd
