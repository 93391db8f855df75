"""What is kept of a dialogue's turns is enough to know what the model saw in each, and grows with what was new only."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from darumad.work.asked import BEHIND, MESSAGES, beyond, is_dialogue
from darumad.work.canonical import canonical

WORDS = st.sampled_from(["a", "b", "c"])
TURNS = st.lists(
    st.fixed_dictionaries({"system": WORDS, "tools": st.lists(WORDS, max_size=2), MESSAGES: st.lists(WORDS)}),
    min_size=1,
)


@given(TURNS)
def test_every_turn_can_be_put_together_again(turns: list[dict[str, Any]]) -> None:
    whole: dict[str, Any] = {MESSAGES: []}
    for before, asked in zip([None, *turns], turns, strict=False):
        kept = beyond(before, asked)
        behind = kept.pop(BEHIND)
        whole = {**whole, **kept, MESSAGES: whole[MESSAGES][:behind] + kept[MESSAGES]}
        assert whole == asked


def test_a_dialogue_of_many_turns_is_kept_in_the_room_of_its_last_one() -> None:
    said = [f"turn {number}: {'words ' * 50}" for number in range(40)]
    turns = [{"system": "be kind " * 100, MESSAGES: said[: length + 1]} for length in range(len(said))]
    kept = [beyond(before, asked) for before, asked in zip([None, *turns], turns, strict=False)]
    assert len(canonical(kept)) < 1.2 * len(canonical(turns[-1]))


def test_a_tools_arguments_are_no_dialogue() -> None:
    assert is_dialogue({"messages": []})
    assert not is_dialogue({"path": "a", "messages": "none"})
    assert not is_dialogue(["messages"])
