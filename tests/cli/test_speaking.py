"""What is printed for people: nothing in it steers their terminal."""

import pytest

from darumad.cli.speaking import pairs, table


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
