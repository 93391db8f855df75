"""Sub-work: it goes with its parent in one transaction, and shares its parent's place in a lane."""

import pytest

from darumad.errors import Refused
from darumad.events import WorkCancelled
from darumad.journal import Accept, Cancelled, Moved, PromoteDue, Purge
from darumad.names import ItemId, Role, Stage
from darumad.work.lanes import Lane
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, Desk, move, new_item, success
from tests.journal.test_lanes import with_lanes

FAMILY = {"child": "top", "grandchild": "child", "sibling": "top"}


def family(desk: Desk, *, top: str = "top", **fields: object) -> None:
    """An item with two children, one of which has a child."""
    desk.submit(new_item(top, stages=(DO,), **fields))  # type: ignore[arg-type]
    for name, parent in FAMILY.items():
        desk.submit(new_item(name, parent=ItemId(parent), stages=(DO,)))


def states(desk: Desk) -> dict[str, str]:
    return {each.item.id: each.state.value for each in desk.reader.records()}


def refused(desk: Desk, *items: tuple[str, str | None]) -> dict[str, str]:
    new = tuple(new_item(name, parent=parent and ItemId(parent)) for name, parent in items)
    with pytest.raises(Refused) as error:
        desk.call(Accept(items=new, audit=AUDIT, max_unfinished=100))
    return {each.pointer: each.detail for each in error.value.problems}


# --- whose sub-work ---------------------------------------------------------------------------------------------------


def test_a_parent_is_known_unfinished_and_not_too_deep(desk: Desk) -> None:
    family(desk)
    assert refused(desk, ("x", "nobody")) == {
        "/items/0/parent": "the parent of x is nobody, which the journal does not know: hand that in first"
    }
    desk.submit(new_item("deep", parent=ItemId("grandchild")))
    assert "3 levels down" in refused(desk, ("x", "deep"))["/items/0/parent"]
    desk.cancel("sibling")
    assert "sibling, which is cancelled" in refused(desk, ("x", "sibling"))["/items/0/parent"]


def test_a_parent_that_is_gone_is_refused_by_how_it_ended(desk: Desk) -> None:
    desk.submit(new_item("gone", stages=(DO,)))
    desk.succeed(desk.claim_one(DO))
    desk.call(Purge(item=ItemId("gone"), remember_ms=60_000, audit=AUDIT))
    assert "gone, which is succeeded" in refused(desk, ("x", "gone"))["/items/0/parent"]


def test_a_batch_may_hold_a_whole_family_the_parents_first(desk: Desk) -> None:
    desk.submit(new_item("a"), new_item("b", parent=ItemId("a")), new_item("c", parent=ItemId("b")))
    desk.submit(new_item("d", parent=ItemId("c")))
    assert desk.sql("SELECT depth FROM child ORDER BY item") == [(1,), (2,), (3,)]
    assert set(refused(desk, ("y", "x"), ("x", None))) == {"/items/0/parent"}
    assert "3 levels down" in refused(desk, ("x", None), ("y", "d"))["/items/1/parent"]


def test_the_same_sub_work_handed_in_again_is_the_same_also_when_its_parent_is_finished(desk: Desk) -> None:
    desk.submit(new_item("top", stages=(DO,)), new_item("child", parent=ItemId("top")))
    desk.succeed(desk.claim_one(DO))
    assert desk.submit(new_item("child", parent=ItemId("top"))).created == (False,)


def test_children_are_listed_and_outlive_a_parent_that_is_purged(desk: Desk) -> None:
    family(desk)
    assert [each["id"] for each in desk.reader.children(ItemId("top"))] == ["child", "sibling"]
    assert [each.item.id for each in desk.reader.records(parent=ItemId("top"))] == ["child", "sibling"]
    desk.succeed(next(each for each in desk.claim(DO) if each.record.item.id == "top"))
    desk.call(Purge(item=ItemId("top"), remember_ms=1, audit=AUDIT))
    assert states(desk) == dict.fromkeys(FAMILY, "ready")


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_cancel_reaches_every_descendant_that_is_unfinished_and_names_who_held_it(desk: Desk) -> None:
    family(desk, run_at=10**12)
    held = {each.record.item.id: each for each in desk.claim(DO, 2)}
    desk.submit(new_item("after", needs=["grandchild"]))
    assert set(held) == {"child", "grandchild"}
    desk.succeed(held["child"])
    answer = desk.cancel("top")
    assert isinstance(answer, Cancelled)
    assert set(answer.items) == {"top", "sibling", "grandchild"}, "what succeeded stays, and what is below it goes"
    assert (answer.died, states(desk)["child"]) == (("after",), "succeeded")


def test_a_cancel_goes_all_the_way_down_and_fences_what_runs(desk: Desk) -> None:
    family(desk, run_at=10**12)
    held = {each.record.item.id: each for each in desk.claim(DO, 3)}
    answer = desk.cancel("top")
    assert set(answer.items) == {"top", *FAMILY}
    assert {(uid, fence) for uid, _, fence in answer.running} == {(name, 1) for name in FAMILY}
    assert set(states(desk).values()) == {"cancelled"}
    assert desk.sql("SELECT count(*) FROM hold WHERE ended_at IS NULL") == [(0,)]
    for each in held.values():
        assert not isinstance(desk.succeed(each), Moved)
    (event,) = (each for each in desk.reader.events(0, item="grandchild") if each.type == WorkCancelled.name)
    assert event.data["reason"] == "it is sub-work of top, which is cancelled"


def test_sub_work_is_cancelled_in_the_transaction_in_which_its_parent_dies(desk: Desk) -> None:
    family(desk)
    desk.submit(new_item("after", needs=["grandchild"]))
    (top,) = (each for each in desk.claim(DO) if each.record.item.id == "top")
    moved = desk.kill(top)
    assert set(moved.settled) == {*FAMILY, "after"}
    assert states(desk) == {"top": "dead", **dict.fromkeys(FAMILY, "cancelled"), "after": "dead"}
    (event,) = (each for each in desk.reader.events(0, item="child") if each.type == WorkCancelled.name)
    assert event.data == {"by": "daemon", "reason": "it is sub-work of top, which is dead"}


def test_sub_work_goes_with_a_parent_that_expires_or_dies_of_a_dependency(desk: Desk) -> None:
    desk.submit(
        new_item("late", expires_at=desk.clock.wall() + 1000, run_at=10**12),
        new_item("lates", parent=ItemId("late")),
        new_item("needed", run_at=10**12),
        new_item("needs", needs=["needed"]),
        new_item("needss", parent=ItemId("needs")),
    )
    desk.clock.advance(2)
    desk.call(PromoteDue())
    desk.cancel("needed")
    assert (states(desk)["lates"], states(desk)["needss"]) == ("cancelled", "cancelled")
    desk.submit(new_item("new", stages=(DO,)))
    assert [each.record.item.id for each in desk.claim(DO, 9)] == ["new"]


def test_a_parent_that_succeeds_leaves_its_sub_work_alone(desk: Desk) -> None:
    family(desk)
    (top,) = (each for each in desk.claim(DO) if each.record.item.id == "top")
    desk.succeed(top)
    assert states(desk) == {"top": "succeeded", **dict.fromkeys(FAMILY, "ready")}


def test_the_unfinished_are_counted_right_when_a_family_falls(desk: Desk) -> None:
    family(desk)
    desk.cancel("top")
    desk.submit(*(f"n{number}" for number in range(5)), max_unfinished=5)
    with pytest.raises(Exception, match="5 unfinished items of at most 5: "):
        desk.submit("one more", max_unfinished=5)


# --- its place in a lane ----------------------------------------------------------------------------------------------


def in_lane(desk: Desk, *names: str, parent: str | None = None, lane: str = "tree", **fields: object) -> None:
    for name in names:
        desk.submit(new_item(name, parent=parent and ItemId(parent), lane=lane, stages=(DO,), **fields))  # type: ignore[arg-type]


def claimed(desk: Desk) -> set[str]:
    return {each.record.item.id for each in desk.claim(DO, 9)}


def test_sub_work_shares_its_parents_place_and_a_stranger_waits_for_all_of_it(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    in_lane(desk, "top", "stranger")
    (top,) = desk.claim(DO, 9)
    in_lane(desk, "child", parent="top")
    in_lane(desk, "grandchild", parent="child")
    held = {each.record.item.id: each for each in desk.claim(DO, 9)}
    assert set(held) == {"child", "grandchild"}
    desk.succeed(top)
    desk.succeed(held["child"])
    assert claimed(desk) == set()
    desk.succeed(held["grandchild"])
    assert claimed(desk) == {"stranger"}


def test_a_parent_shares_the_place_of_the_child_that_began_before_it(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    in_lane(desk, "top", priority=0)
    in_lane(desk, "child", parent="top", priority=9)
    assert claimed(desk) == {"child"}
    assert claimed(desk) == {"top"}


def test_a_child_in_another_lane_than_its_parent_has_a_place_of_its_own_there(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    in_lane(desk, "top", lane="other")
    in_lane(desk, "one", "two", parent="top")
    assert claimed(desk) == {"top", "one"}
    assert claimed(desk) == set()


def test_what_a_goal_is_broken_up_into_has_a_place_for_each(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    desk.submit(new_item("goal", role=Role.ORCHESTRATOR, lane="tree", stages=(Stage.PLANNING,)))
    plan = tuple(new_item(name, parent=ItemId("goal"), lane="tree", stages=(DO,)) for name in ("one", "two"))
    desk.call(success(desk.claim_one(Stage.PLANNING), plan=plan))
    in_lane(desk, "below", parent="one")
    (one,) = desk.claim(DO, 9)
    (below,) = desk.claim(DO, 9)
    desk.succeed(one)
    assert claimed(desk) == set()
    desk.succeed(below)
    assert claimed(desk) == {"two"}


def test_of_two_places_a_family_takes_one(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=2))
    in_lane(desk, "top")
    desk.claim(DO)
    in_lane(desk, "child", "sibling", parent="top")
    in_lane(desk, "stranger", "late")
    assert claimed(desk) == {"child", "sibling", "stranger"}
    in_lane(desk, "nephew", parent="child")
    assert claimed(desk) == {"nephew"}
    desk.cancel("stranger")
    assert claimed(desk) == {"late"}
    assert [name for name, *_ in desk.reader.in_lane("tree", 9)] == ["top", "late"]


def test_a_child_that_was_put_back_goes_on_in_the_place_it_shares(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    in_lane(desk, "top", "stranger")
    desk.claim(DO)
    in_lane(desk, "child", parent="top")
    (child,) = desk.claim(DO, 9)
    desk.call(move(child, WorkState.READY, reason="interrupted"))
    assert claimed(desk) == {"child"}


def test_whoever_falls_with_an_expired_parent_is_not_claimed_for_its_place(desk: Desk) -> None:
    with_lanes(desk, tree=Lane(max_running=1))
    in_lane(desk, "top", expires_at=desk.clock.wall() + 1000)
    (top,) = desk.claim(DO)
    desk.call(move(top, WorkState.READY, reason="interrupted"))
    in_lane(desk, "child", parent="top")
    in_lane(desk, "other", lane="open", expires_at=desk.clock.wall() + 1000)
    desk.clock.advance(2)
    assert claimed(desk) == set()
    assert states(desk) == {"top": "dead", "child": "cancelled", "other": "dead"}
