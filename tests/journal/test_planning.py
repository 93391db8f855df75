"""A goal becomes items: in one transaction, or not at all."""

import queue
from typing import Any

import pytest

from darumad.errors import Refused, Unavailable
from darumad.events import PlanCreated
from darumad.journal import STALE, Held, Moved, NewItem
from darumad.journal.room import Room
from darumad.names import Role, Stage
from darumad.work.states import WorkState
from tests.journal.desk import Desk, Gate, move, new_item, success

PLAN = (new_item("a", parent="goal"), new_item("b", needs=["a"], parent="goal"))
CREATED = (PlanCreated("goal", ("a", "b")),)


@pytest.fixture
def goal(desk: Desk) -> Held:
    desk.submit(new_item("goal", role=Role.ORCHESTRATOR, stages=(Stage.PLANNING,)))
    return desk.claim_one(Stage.PLANNING)


def planned(desk: Desk, goal: Held, plan: tuple[NewItem, ...] = PLAN, **more: Any) -> Any:
    return desk.call(success(goal, plan=plan, facts=CREATED, **more))


def test_what_is_planned_is_accepted_with_the_success_of_its_goal(desk: Desk, goal: Held) -> None:
    assert isinstance(planned(desk, goal), Moved)
    assert [desk.state(each) for each in ("goal", "a", "b")] == [
        WorkState.SUCCEEDED, WorkState.READY, WorkState.WAITING,
    ]  # fmt: skip
    assert [each["id"] for each in desk.reader.children(goal.record.item.id)] == ["a", "b"]
    assert desk.events("goal")[-1] == "plan.created"
    assert desk.reader.audits()[0]["action"] == "plan"
    assert desk.journal.health().unfinished == 2


def test_the_audit_row_of_a_plan_bears_the_trace_of_its_goal(desk: Desk, goal: Held) -> None:
    planned(desk, goal, (new_item("a", parent="goal", correlation_id="4bf92f3577b34da6a3ce929d0e0e4736"),))
    assert desk.reader.audits()[0]["request_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_what_somebody_planned_who_holds_the_goal_no_more_is_not_accepted(desk: Desk, goal: Held) -> None:
    desk.cancel("goal")
    assert planned(desk, goal) is STALE
    assert sum(desk.reader.counts().values()) == 1


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ((new_item("a", needs=["nobody"], parent="goal"),), "nothing was accepted"),
        ((new_item("old", digest="e"),), "old"),
    ],
)
def test_a_plan_that_cannot_be_accepted_moves_nothing_and_costs_no_other_its_move(
    desk: Desk, goal: Held, plan: tuple[NewItem, ...], why: str
) -> None:
    desk.submit("old")
    other = desk.claim_one()
    moves = [success(goal, plan=plan, facts=CREATED), move(other, WorkState.RUNNING, Stage.EXECUTING)]
    answers = _together(desk, moves)
    assert isinstance(answers[0], Refused)
    assert why in str(answers[0])
    assert isinstance(answers[1], Moved)
    assert (desk.state("goal"), desk.record("goal").fence) == (WorkState.RUNNING, goal.record.fence)
    assert {"plan.created", "work.stale_result"}.isdisjoint(desk.events())


def test_without_room_on_the_disk_a_goal_stays_as_it_was(
    desk: Desk, goal: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "low", lambda _: "there is no room")
    with pytest.raises(Unavailable):
        planned(desk, goal)
    assert desk.state("goal") is WorkState.RUNNING
    monkeypatch.undo()
    assert isinstance(planned(desk, goal), Moved)


def _together(desk: Desk, moves: list[Any]) -> list[Any]:
    """Both in one batch, for the writer takes what waits."""
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gate, reply = Gate(desk), heard.put
    for each in moves:
        desk.journal.post(each, reply)
    gate.open()
    return [outcome.answer for outcome in heard.get(timeout=10)]
