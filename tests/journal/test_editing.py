"""An edit replaces what was asked for, if nobody else did meanwhile, and never under a holder."""

from typing import Any

import pytest

from darumad.errors import Broken, Refused
from darumad.journal import APPLIED, Edit
from darumad.journal.encoding import dump, load, sha256
from darumad.values import changed
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, Desk, move, new_item, step


def edit(desk: Desk, item: str, **fields: Any) -> Any:
    before = desk.record(item).item
    return desk.call(Edit(item=changed(before, **fields), before=before, fields=tuple(fields), audit=AUDIT))


def test_what_an_agent_is_shown_ends_the_attempt(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(step(held, 1))
    desk.call(move(held, WorkState.PARKED, reason="question", fence_up=True))
    assert edit(desk, "a", description="something else") is APPLIED
    desk.release("a")
    again = desk.claim_one(DO)
    assert again.record.item.description == "something else"
    assert (again.record.attempt, again.steps) == (2, ())


def test_limits_and_labels_leave_it_open(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(step(held, 1))
    desk.call(move(held, WorkState.PARKED, reason="budget", fence_up=True))
    edit(desk, "a", max_attempts=9, labels={"k": "v"}, priority=8)
    desk.release("a")
    again = desk.claim_one(DO)
    assert (again.record.attempt, len(again.steps)) == (1, 1)
    assert (again.record.item.max_attempts, again.record.item.priority) == (9, 8)


def test_a_dead_item_is_edited_retried_and_those_that_died_of_it_live_again(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)), new_item("b", needs=["a"], stages=(DO,)))
    desk.kill(desk.claim_one(DO))
    edit(desk, "a", description="do a, and do it well")
    desk.release("a")
    assert desk.state("b") is WorkState.WAITING
    held = desk.claim_one(DO)
    assert held.record.item.description == "do a, and do it well"
    desk.succeed(held)
    assert desk.state("b") is WorkState.READY


@pytest.mark.parametrize("state", ["running", "succeeded", "cancelled"])
def test_what_runs_or_is_final_is_not_edited(desk: Desk, state: str) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    if state == "cancelled":
        desk.cancel("a")
    else:
        held = desk.claim_one(DO)
        if state == "succeeded":
            desk.succeed(held)
    before = desk.sql("SELECT * FROM payload")
    with pytest.raises(Refused) as refused:
        edit(desk, "a", priority=1)
    assert refused.value.code == "conflict"
    assert desk.sql("SELECT * FROM payload") == before


def test_of_two_edits_at_once_the_second_is_told_so(desk: Desk) -> None:
    desk.submit("a")
    before = desk.record("a").item
    asked = [
        Edit(item=changed(before, priority=priority), before=before, fields=("priority",), audit=AUDIT)
        for priority in (7, 3)
    ]
    assert desk.call(asked[0]) is APPLIED
    with pytest.raises(Refused, match="somebody else"):
        desk.call(asked[1])
    assert desk.record("a").item.priority == 7


def test_an_edited_expiry_holds(desk: Desk) -> None:
    desk.submit("a")
    edit(desk, "a", expires_at=desk.clock.wall() + 1000)
    desk.clock.advance(2)
    assert desk.claim() == ()
    assert desk.state("a") is WorkState.DEAD


def test_an_expiry_that_is_edited_for_a_retry_outlives_it(desk: Desk) -> None:
    desk.submit(new_item("a", expires_at=desk.clock.wall() + 1000))
    desk.clock.advance(2)
    assert desk.claim() == ()
    edit(desk, "a", expires_at=(tomorrow := desk.clock.wall() + 86_400_000))
    desk.release("a")
    assert desk.record("a").item.expires_at == tomorrow


def test_what_an_earlier_version_wrote_in_fewer_fields_is_edited_too(desk: Desk) -> None:
    desk.submit("a")
    ((body,),) = desk.sql("SELECT body FROM payload")
    shorter = dump({name: value for name, value in load(body).items() if name != "messages"})
    desk.sql("UPDATE payload SET body = ?, sha256 = ?", shorter, sha256(shorter))
    assert edit(desk, "a", priority=9) is APPLIED


def test_an_item_that_was_retried_out_of_its_expiry_is_edited_too(desk: Desk) -> None:
    desk.submit(new_item("a", expires_at=desk.clock.wall() + 1000))
    desk.clock.advance(2)
    desk.claim()
    desk.release("a")
    assert edit(desk, "a", priority=9) is APPLIED


@pytest.mark.parametrize("odd", [{"requirements": None}, {"input": (1, 2)}], ids=lambda odd: str([*odd]))
def test_what_would_not_be_read_back_as_the_same_is_not_written(desk: Desk, odd: Any) -> None:
    desk.submit("a")
    before = desk.sql("SELECT * FROM payload")
    with pytest.raises(Broken):
        edit(desk, "a", **odd)
    assert desk.sql("SELECT * FROM payload") == before
    assert [each.record.item.id for each in desk.claim()] == ["a"]
