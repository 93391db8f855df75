"""Under which item another may be handed in."""

import pytest

from darumad.names import ItemId
from darumad.work.states import UNFINISHED, WorkState
from darumad.work.subwork import MAX_DEPTH, refusal_below

TOP = ItemId("top")


@pytest.mark.parametrize("state", list(WorkState))
def test_what_is_unfinished_takes_sub_work_and_what_is_finished_is_named_with_its_end(state: WorkState) -> None:
    refusal = refusal_below(TOP, state, 0)
    assert (refusal is None) == (state in UNFINISHED)
    assert refusal is None or f"top, which is {state}" in refusal


def test_what_nobody_knows_takes_none() -> None:
    assert "which the journal does not know" in str(refusal_below(TOP, None, 0))


def test_sub_work_lies_three_levels_deep_at_most() -> None:
    allowed = [depth for depth in range(9) if refusal_below(TOP, WorkState.READY, depth) is None]
    assert allowed == list(range(MAX_DEPTH)) == [0, 1, 2]
