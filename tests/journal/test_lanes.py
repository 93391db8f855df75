"""Lanes: nobody waits behind somebody else's thousand items, and a lane of one never works on two."""

from collections import Counter

import pytest

from darumad.errors import Broken
from darumad.journal import Claim, PromoteDue, Slot
from darumad.names import AgentName, Millis
from darumad.work.blame import SETTLED_AFTER
from darumad.work.lanes import Lane, Pool, Turns
from darumad.work.states import WorkState
from tests.journal.desk import DO, PREPARE, REVIEW, Desk, move, new_item


def with_lanes(desk: Desk, **lanes: Lane) -> Desk:
    """The same journal, in a daemon that was started with these lanes."""
    desk.close()
    desk.lanes.update(lanes)
    return desk.open()


def submit(desk: Desk, lane: str, count: int, first: int = 0) -> None:
    desk.submit(*(new_item(f"{lane}-{number}", lane=lane, stages=(DO,)) for number in range(first, first + count)))


def claimed(desk: Desk, count: int) -> Counter[str]:
    return Counter(each.record.item.lane for each in desk.claim(DO, count))


def test_a_lane_with_a_thousand_items_keeps_no_other_waiting(desk: Desk) -> None:
    submit(desk, "bulk", 100)
    submit(desk, "mine", 3)
    assert claimed(desk, 6) == {"bulk": 3, "mine": 3}
    assert claimed(desk, 6) == {"bulk": 6}, "no slot stays empty for fairness' sake"


def test_weights_are_turns(desk: Desk) -> None:
    with_lanes(desk, heavy=Lane(weight=3.0))
    submit(desk, "heavy", 40)
    submit(desk, "light", 40)
    assert sum((claimed(desk, 4) for _ in range(5)), Counter()) == {"heavy": 15, "light": 5}


@pytest.mark.parametrize(("weight", "turn"), [(1.0, ["bulk", "mine"]), (3.0, ["bulk", "mine", "mine", "mine"])])
def test_lanes_take_turns_where_each_stage_has_one_slot(desk: Desk, weight: float, turn: list[str]) -> None:
    with_lanes(desk, mine=Lane(weight=weight))
    stages = (PREPARE, DO, REVIEW)
    desk.submit(*(new_item(f"{lane}-{n}", lane=lane, stages=stages) for lane in ("bulk", "mine") for n in range(12)))
    begun = []
    for _ in range(8):
        held = desk.claim_one(PREPARE)
        begun.append(held.record.item.lane)
        desk.call(move(held, WorkState.READY, DO))
        desk.call(move(desk.claim_one(DO), WorkState.READY, REVIEW))
        assert not desk.claim(PREPARE, first={held.record.item.agent: 0}), "as many are begun as may be"
        desk.succeed(desk.claim_one(REVIEW))
    assert begun == turn * (8 // len(turn))


def test_what_a_lane_was_given_of_one_definition_costs_it_no_turn_with_another(desk: Desk) -> None:
    asked = [("busy", "other", 20), ("busy", "echo", 3), ("late", "echo", 3)]
    for lane, agent, count in asked:
        desk.submit(*(new_item(f"{lane}-{agent}-{n}", lane=lane, agent=agent, stages=(DO,)) for n in range(count)))
    given = []
    for _ in range(6):
        desk.claim(DO, 3, "other")
        given += [each.record.item.lane for each in desk.claim(DO, 1, "echo")]
    assert given == ["busy", "late"] * 3


def test_who_has_a_place_in_a_limited_lane_waits_all_the_same_while_its_definition_is_gated(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    desk.submit(new_item("a", lane="tree", agent="x", stages=(DO, REVIEW)))
    desk.call(move(desk.claim_one(DO), WorkState.READY, REVIEW))
    assert not desk.claim(REVIEW, gated=frozenset({AgentName("x")}))
    assert [each.record.item.id for each in desk.claim(REVIEW)] == ["a"]


def test_within_a_limited_lane_the_rank_decides_whatever_its_items_wait_for(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    items = [("free-0", "free", "y"), ("free-1", "free", "y"), ("first", "tree", "x"), ("second", "tree", "y")]
    desk.submit(*(new_item(item, lane=lane, agent=agent, stages=(DO,)) for item, lane, agent in items))
    assert [each.record.item.id for each in desk.claim(DO, 1, "y")] == ["free-0"]
    slots = tuple(Slot(AgentName(agent), DO, f"{agent}/2#1") for agent in "xy")
    assert {each.record.item.id for each in desk.call(Claim(slots=slots)).held} == {"free-1", "first"}


def test_a_lane_that_was_empty_has_saved_up_no_turns(desk: Desk) -> None:
    submit(desk, "busy", 60)
    for _ in range(5):
        claimed(desk, 4)
    submit(desk, "late", 20)
    assert claimed(desk, 8) == {"busy": 4, "late": 4}


def test_a_lane_that_could_not_go_has_saved_up_no_turns(desk: Desk) -> None:
    for lane, agent in (("shut", "x"), ("open", "y")):
        desk.submit(*(new_item(f"{lane}-{n}", lane=lane, agent=agent, stages=(DO,)) for n in range(12)))
    for _ in range(8):
        assert [each.record.item.lane for each in desk.claim(DO, gated=frozenset({AgentName("x")}))] == ["open"]
    assert claimed(desk, 5) == {"shut": 3, "open": 2}, "it is one turn behind, and not eight"


def test_within_a_lane_the_rank_decides(desk: Desk) -> None:
    desk.submit(*(new_item(f"p{priority}", lane="l", priority=priority, stages=(DO,)) for priority in (1, 9)))
    assert [each.record.item.id for each in desk.claim(DO, 2)] == ["p9", "p1"]


def test_a_lane_of_one_is_held_from_the_first_claim_to_the_end(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    submit(desk, "tree", 3)
    (first,) = desk.claim(DO, 4)
    assert desk.claim(DO, 4) == ()
    desk.call(move(first, WorkState.PARKED, reason="question", fence_up=True))
    assert desk.claim(DO, 4) == (), "a parked one keeps its place"
    desk.release(first.record.item.id)
    (again,) = desk.claim(DO, 4)
    assert again.record.item.id == first.record.item.id
    desk.succeed(again)
    (second,) = desk.claim(DO, 4)
    assert second.record.item.id == "tree-1"
    desk.cancel("tree-1")
    assert [each.record.item.id for each in desk.claim(DO, 4)] == ["tree-2"]


def test_one_that_failed_in_a_full_lane_is_tried_again_before_a_thousand_that_never_began(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    submit(desk, "tree", 200)
    (first,) = desk.claim(DO, 4)
    again_later = {"run_at": 0, "failures": 1, "ends_attempt": True, "keep_rank": False, "reason": "backoff"}
    desk.call(move(first, WorkState.SCHEDULED, **again_later))
    assert desk.claim(DO, 4) == (), "while it waits for its retry it keeps its place"
    desk.release(first.record.item.id)
    (again,) = desk.claim(DO, 4)
    assert (again.record.item.id, again.record.attempt) == (first.record.item.id, 2)


def test_the_retried_dead_wait_for_whoever_has_the_place_by_then(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    submit(desk, "tree", 2)
    desk.kill(desk.claim(DO, 1)[0])
    (second,) = desk.claim(DO, 4)
    desk.release("tree-0")
    assert desk.claim(DO, 4) == ()
    desk.succeed(second)
    assert [each.record.item.id for each in desk.claim(DO, 4)] == ["tree-0"]


def test_one_that_has_a_place_and_is_past_its_time_is_not_claimed_any_more(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    desk.submit(new_item("late", lane="tree", expires_at=Millis(desk.clock.wall() + 1_000)))
    desk.call(move(desk.claim_one(), WorkState.READY, reason="interrupted"))
    desk.clock.advance(2.0)
    assert desk.claim() == ()
    desk.call(PromoteDue())
    assert desk.state("late") is WorkState.DEAD


def test_a_limit_counts_over_all_stages_and_slots_of_one_claim(desk: Desk) -> None:
    with_lanes(desk, few=Lane(max_running=3))
    desk.submit(*(new_item(f"i{number}", lane="few", stages=(PREPARE, DO)) for number in range(8)))
    held = desk.claim(PREPARE, 8)
    assert len(held) == 3
    for each in held:
        desk.call(move(each, WorkState.READY, DO, output={"brief": 1}))
    assert desk.claim(PREPARE, 8) == ()
    assert len(desk.claim(DO, 8)) == 3


def test_a_limit_holds_over_a_restart(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    submit(desk, "tree", 2)
    desk.claim(DO, 4)
    desk.die()
    desk.open()
    assert [each.record.item.id for each in desk.claim(DO, 4)] == ["tree-0"]


def test_a_paused_lane_claims_nothing_and_loses_nothing(desk: Desk) -> None:
    with_lanes(desk, held=Lane(paused=True))
    submit(desk, "held", 2)
    submit(desk, "free", 2)
    assert claimed(desk, 4) == {"free": 2}
    desk.lanes.clear()
    with_lanes(desk)
    assert claimed(desk, 4) == {"held": 2, "free": 2}, "what ran was put back by the restart"


def test_a_claim_that_fails_costs_no_lane_a_turn(desk: Desk) -> None:
    for lane in ("first", "second", "third"):
        submit(desk, lane, 2)
    desk.sql("CREATE TRIGGER stuck BEFORE INSERT ON hold BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Broken):
        desk.claim(DO, 1)
    desk.sql("DROP TRIGGER stuck")
    assert [each.record.item.id for each in desk.claim(DO, 1)] == ["first-0"]


def with_suspects(desk: Desk) -> None:
    """All that is ready has run in two lives that died, and this one has proven itself."""
    for _ in range(2):
        desk.claim(DO, 20)
        desk.die()
        desk.open()
    desk.clock.advance(SETTLED_AFTER)


def test_a_lane_is_charged_for_the_one_suspect_that_it_got_and_for_no_other(desk: Desk) -> None:
    submit(desk, "many", 6)
    submit(desk, "one", 1)
    with_suspects(desk)
    assert claimed(desk, 6) == {"many": 1}
    submit(desk, "many", 8, first=6)
    submit(desk, "one", 8, first=1)
    assert claimed(desk, 5) == {"one": 3, "many": 2}


def test_a_suspect_makes_the_other_lanes_forget_no_turns(desk: Desk) -> None:
    submit(desk, "alone", 1)
    with_suspects(desk)
    desk.submit(*(new_item(f"{lane}-{n}", lane=lane, agent="x", stages=(DO,)) for lane in "ab" for n in range(3)))
    slots = (Slot(AgentName("x"), DO, "x#1"), Slot(AgentName("executor"), DO, "e#1"))
    for expected in (["a-0", "alone-0"], ["b-0"], ["a-1"], ["b-1"]):
        assert [each.record.item.id for each in desk.call(Claim(slots=slots)).held] == expected


def test_a_limited_lane_does_not_keep_the_others_from_their_slots(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    submit(desk, "tree", 50)
    submit(desk, "default", 5)
    assert claimed(desk, 4) == {"tree": 1, "default": 3}


@pytest.mark.parametrize("lane", ["default", "mine"])
def test_items_of_one_lane_alone_are_claimed_as_if_there_were_none(desk: Desk, lane: str) -> None:
    submit(desk, lane, 10)
    assert [each.record.item.id for each in desk.claim(DO, 10)] == [f"{lane}-{number}" for number in range(10)]


def test_of_many_lanes_no_claim_asks_more_than_once_for_each_that_stands_in_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    position = Turns.position

    def noted(turns: Turns, pool: Pool, lane: str) -> float:
        asked.append(lane)
        return position(turns, pool, lane)

    for lane in range(40):
        submit(desk, f"of-{lane}", 3)
    monkeypatch.setattr(Turns, "position", noted)
    assert len(claimed(desk, 4)) == 4
    assert len(asked) <= 120 + 4, "each when it is the next of its lane, and each lane that takes a turn"
