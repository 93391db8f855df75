"""Turns between lanes: a little arithmetic, and nobody saves up."""

from darumad.work.lanes import Lane, Turns


def test_the_lane_that_is_furthest_behind_goes_first() -> None:
    turns = Turns({"a": Lane(weight=2.0)})
    turns = turns.among(["a", "b"])
    for lane in "aab":
        turns.took(lane)
    assert turns.position("a") == turns.position("b") == 1.0


def test_a_newcomer_starts_level_with_whoever_is_furthest_behind() -> None:
    turns = Turns()
    turns = turns.among(["a"])
    for _ in range(5):
        turns.took("a")
    turns = turns.among(["a", "b"])
    assert turns.position("b") == 5.0


def test_a_lane_that_left_has_forgotten_its_turns() -> None:
    turns = Turns()
    turns = turns.among(["a", "b"])
    turns.took("b")
    for _ in range(9):
        turns = turns.among(["b"])
        turns.took("b")
    turns = turns.among(["a", "b"])
    assert turns.position("a") == turns.position("b") == 10.0


def test_only_limited_lanes_that_are_open_have_limits() -> None:
    turns = Turns({"a": Lane(max_running=1), "b": Lane(paused=True, max_running=2), "c": Lane(weight=3.0)})
    assert turns.limits == {"a": 1}
    assert turns.paused == ("b",)
