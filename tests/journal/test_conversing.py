"""A conversation: what is shown of it is fixed where an attempt begins, and stays so whatever happens meanwhile."""

from typing import Any

from darumad.journal import Claim, Held, Note, Prune, Purge
from darumad.journal.requests import Slot
from darumad.names import AgentName, ItemId
from darumad.work.conversation import Exchange
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, Desk, Gate, move, new_item, success


def say(desk: Desk, *items: str, conversation: str = "talk") -> None:
    desk.submit(*(new_item(each, conversation=conversation, stages=(DO,)) for each in items))


def answer(desk: Desk, held: Held) -> None:
    desk.succeed(held, exchange=Exchange(held.record.item.description, f"did {held.record.item.id}"))


def shown(held: Held) -> list[str]:
    return [each.text for each in held.turns]


def claim_of(desk: Desk, item: str) -> Held:
    """The item, however many others are ready."""
    say(desk, item)
    (held,) = (each for each in desk.claim(DO, 9) if each.record.item.id == item)
    return held


def test_the_next_item_is_shown_what_those_before_it_asked_and_were_answered(desk: Desk) -> None:
    answer(desk, claim_of(desk, "a"))
    answer(desk, claim_of(desk, "b"))
    say(desk, "elsewhere", conversation="other")
    desk.submit(new_item("alone", stages=(DO,)))
    assert [shown(each) for each in desk.claim(DO, 9)] == [[], []]
    held = claim_of(desk, "c")
    assert shown(held) == ["do a", "did a", "do b", "did b"]
    assert [each.role for each in held.turns] == ["user", "assistant"] * 2


def test_only_those_that_succeeded_are_shown(desk: Desk) -> None:
    desk.kill(claim_of(desk, "dead"))
    claim_of(desk, "running")
    assert shown(claim_of(desk, "next")) == []


def test_a_resumed_attempt_is_shown_the_same_also_after_a_restart(desk: Desk) -> None:
    answer(desk, claim_of(desk, "a"))
    other, held = claim_of(desk, "b"), claim_of(desk, "c")
    answer(desk, other)
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    assert shown(desk.claim_one(DO)) == ["do a", "did a"]
    desk.die()
    desk.open()
    again = desk.claim_one(DO)
    assert (again.record.attempt, shown(again)) == (1, ["do a", "did a"])


def test_the_next_attempt_is_shown_what_was_said_meanwhile(desk: Desk) -> None:
    other, held = claim_of(desk, "a"), claim_of(desk, "b")
    answer(desk, other)
    desk.call(move(held, WorkState.READY, ends_attempt=True, outcome="review_rejected"))
    again = desk.claim_one(DO)
    assert (again.record.attempt, shown(again)) == (2, ["do a", "did a"])


def test_what_ends_in_the_transaction_of_a_claim_is_shown_if_it_ended_before(desk: Desk) -> None:
    first, second = claim_of(desk, "a"), claim_of(desk, "b")
    say(desk, "c")
    answers: list[Any] = []
    gate = Gate(desk)
    slot = Slot(AgentName("*"), DO, "actor/7#1")
    desk.journal.post(success(first, exchange=Exchange("do a", "did a")))
    desk.journal.post(Claim(slots=(slot,)), answers.extend)
    desk.journal.post(success(second, exchange=Exchange("do b", "did b")))
    gate.open()
    desk.call(Note(facts=()))
    ((held,),) = (each.answer.held for each in answers)
    seen = shown(held)
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    assert shown(desk.claim_one(DO)) == seen
    assert seen[:2] == ["do a", "did a"]


def test_what_is_purged_or_pruned_is_said_no_more(desk: Desk) -> None:
    answer(desk, claim_of(desk, "a"))
    answer(desk, claim_of(desk, "b"))
    desk.call(Purge(item=ItemId("a"), remember_ms=1, audit=AUDIT))
    assert shown(claim_of(desk, "c")) == ["do b", "did b"]
    desk.clock.advance(10)
    now = desk.clock.wall()
    desk.call(Prune(steps=now, events=now, items=now, remember_ms=1))
    assert shown(claim_of(desk, "d")) == []


def test_a_conversation_is_listed_and_read_as_its_next_item_would_be_shown_it(desk: Desk) -> None:
    answer(desk, claim_of(desk, "a"))
    say(desk, "b")
    desk.submit("alone")
    assert [each.item.id for each in desk.reader.records(conversation=ItemId("talk"))] == ["a", "b"]
    assert [each.text for each in desk.reader.turns(ItemId("talk"))] == ["do a", "did a"]
    assert desk.reader.turns(ItemId("nobody")) == ()
