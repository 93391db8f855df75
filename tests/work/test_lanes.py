"""Turns between lanes: a little arithmetic, and nobody saves up."""

from darumad.names import AgentName, Stage
from darumad.work.lanes import Lane, Turns

DO = (Stage.EXECUTING, AgentName("echo"))
REVIEW = (Stage.REVIEWING, AgentName("*"))


def test_the_lane_that_is_furthest_behind_goes_first() -> None:
    turns = Turns({"a": Lane(weight=2.0)})
    turns = turns.among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    for lane in "aab":
        turns.took(DO, lane)
    assert turns.position(DO, "a") == turns.position(DO, "b") == 1.0


def test_a_newcomer_starts_level_with_whoever_is_furthest_behind() -> None:
    turns = Turns()
    turns = turns.among({DO: ["a"]}, {DO: ["a"]})
    for _ in range(5):
        turns.took(DO, "a")
    turns = turns.among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    assert turns.position(DO, "b") == 5.0


def test_a_lane_that_left_has_forgotten_its_turns() -> None:
    turns = Turns()
    turns = turns.among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    turns.took(DO, "b")
    for _ in range(9):
        turns = turns.among({DO: ["b"]}, {DO: ["b"]})
        turns.took(DO, "b")
    turns = turns.among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    assert turns.position(DO, "a") == turns.position(DO, "b") == 10.0


def test_a_claim_for_other_slots_makes_no_lane_forget_its_turns_here() -> None:
    turns = Turns().among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    turns.took(DO, "a")
    turns = turns.among({REVIEW: ["a"]}, {REVIEW: ["a"]})
    turns.took(REVIEW, "a")
    turns = turns.among({DO: ["a", "b"]}, {DO: ["a", "b"]})
    assert (turns.position(DO, "a"), turns.position(DO, "b")) == (1.0, 0.0)


def test_those_that_may_not_go_stay_as_they_were_among_themselves_and_save_up_nothing() -> None:
    turns = Turns().among({DO: ["a", "b", "goes"]}, {DO: []})
    for lane in ("a", *["goes"] * 9):
        turns.took(DO, lane)
    turns = turns.among({DO: ["goes"]}, {DO: ["a", "b", "goes"]})
    assert [turns.position(DO, lane) for lane in ("goes", "b", "a")] == [9.0, 9.0, 10.0]


def test_only_limited_lanes_that_are_open_have_limits() -> None:
    turns = Turns({"a": Lane(max_running=1), "b": Lane(paused=True, max_running=2), "c": Lane(weight=3.0)})
    assert turns.limits == {"a": 1}
    assert turns.paused == ("b",)
