"""Every fenced statement meets an old fence and an old stage: nothing changes, one event says so."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from darumad.events import Fact, WorkParked
from darumad.journal import STALE, DropSteps, EffectEnd, EffectStart, Held, Moved
from darumad.journal.batch import Batch
from darumad.journal.sql import SQL
from darumad.names import Attempt, Fence, ItemId
from darumad.work.effects import EffectState
from darumad.work.states import WorkState
from tests.journal.desk import DO, PREPARE, REVIEW, Desk, Gate, move, step, success

TABLES = (
    "item",
    "step",
    "prompt",
    "effect",
    "output",
    "result",
    "correspondence",
    "hold",
    "dependency",
    "reservation",
    "budget",
)

WALKED = 9
"""The number of a step that is recorded."""


def begins(held: Held, key: str = "a:1:executing:2", **more: Any) -> EffectStart:
    record = held.record
    given = {"fence": record.fence, "attempt": record.attempt, "stage": record.stage, **more}
    return EffectStart(
        item=record.item.id, seq=2, key=key, tool="send", arguments={"to": "x"}, idempotent=False, **given
    )


def ends(held: Held, **more: Any) -> EffectEnd:
    record = held.record
    given = {"fence": record.fence, "attempt": record.attempt, "stage": record.stage, **more}
    return EffectEnd(item=record.item.id, key=BEGUN, state=EffectState.DONE, output="sent", **given)


def drops(held: Held, seq: int = WALKED, **more: Any) -> DropSteps:
    record = held.record
    given = {"fence": record.fence, "attempt": record.attempt, "stage": record.stage, **more}
    return DropSteps(item=record.item.id, seq=seq, **given)


BEGUN = "a:1:executing:1"
LATE: dict[str, Callable[..., Any]] = {
    "a step": lambda held, **more: step(held, asked={"messages": ["do"]}, **more),
    "another walk": drops,
    "the beginning of an effect": begins,
    "the end of an effect": ends,
    "a stage's end": lambda held, **more: move(
        held, WorkState.RUNNING, REVIEW, output={"o": 1}, steps=(step(held, 7),), facts=_facts(held), **more
    ),
    "a success": lambda held, **more: success(held, output={"o": 1}, **more),
    "a send-back": lambda held, **more: move(
        held, WorkState.READY, PREPARE, ends_attempt=True, reviews=1, feedback={"f": 1}, facts=_facts(held), **more
    ),
    "a backoff": lambda held, **more: move(
        held, WorkState.SCHEDULED, run_at=2**40, failures=1, keep_rank=False, facts=_facts(held), **more
    ),
    "a park": lambda held, **more: move(
        held, WorkState.PARKED, reason="question", questions=("q",), facts=_facts(held), fence_up=True, **more
    ),
    "a death": lambda held, **more: move(
        held, WorkState.DEAD, ends_attempt=True, error={"kind": "refusal"}, facts=_facts(held), **more
    ),
}
AFTER_ITS_MOVE = frozenset({"keep_results", "keep_outputs", "keep_steps_of_moves"})
"""Statements that are told a fence and need not ask: they write what belongs to moves whose standing was found good."""
NEVER_FENCED = frozenset({"reserve"})
"""Money: a call is booked whoever holds its item, and its fence only says on which attempt."""
FENCED = {
    name
    for name, sql in SQL.items()
    if re.search(r"WITH asked\([^)]*\bfence\b", sql) and name not in AFTER_ITS_MOVE | NEVER_FENCED
}
"""Every statement that is told under which fence it was asked for."""


def _facts(held: Held) -> tuple[Fact, ...]:
    return (WorkParked(held.record.item.id, "never happened", None),)


def rows(desk: Desk) -> dict[str, list[tuple[Any, ...]]]:
    return {table: desk.sql(f"SELECT * FROM {table}") for table in TABLES}


@pytest.fixture
def held(desk: Desk) -> Held:
    desk.submit("a")
    desk.call(move(desk.claim_one(), WorkState.READY, DO, output={"brief": 1}))
    claimed = desk.claim_one(DO)
    desk.call(begins(claimed, BEGUN))
    desk.call(step(claimed, WALKED))
    return claimed


def test_what_is_told_a_fence_and_a_stage_holds_the_item_against_both() -> None:
    assert {"standing_of_held", "keep_steps", "start_effects"} <= FENCED
    for name in FENCED:
        assert "item.fence = asked.fence" in SQL[name], name
        assert re.search(r"item\.stage = asked\.(from_)?stage", SQL[name]), name


def test_there_is_something_late_for_every_statement_that_is_fenced(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, run = set[str](), Batch.run

    def noted(batch: Batch, name: str, *asked: Any, **more: Any) -> Any:
        ran.add(name)
        return run(batch, name, *asked, **more)

    monkeypatch.setattr(Batch, "run", noted)
    for late in LATE.values():
        assert desk.call(late(held, fence=Fence(held.record.fence - 1))) is STALE
    assert FENCED - ran == set()


@pytest.mark.parametrize("what", LATE)
@pytest.mark.parametrize("older", ["an old fence", "a fence to come", "an old stage"])
def test_what_is_late_changes_nothing_and_is_one_event(desk: Desk, held: Held, what: str, older: str) -> None:
    stage = "from_stage" if hasattr(LATE[what](held), "from_stage") else "stage"
    wrong: dict[str, Any] = {
        "an old fence": {"fence": Fence(held.record.fence - 1)},
        "a fence to come": {"fence": Fence(held.record.fence + 1)},
        "an old stage": {stage: PREPARE},
    }[older]
    before, position = rows(desk), desk.reader.last_position()
    assert desk.call(LATE[what](held, **wrong)) is STALE
    assert rows(desk) == before
    (said,) = desk.reader.events(position)
    assert (said.type, said.subject) == ("work.stale_result", "a")


@pytest.mark.parametrize("what", LATE)
def test_what_comes_after_a_cancel_is_late(desk: Desk, held: Held, what: str) -> None:
    desk.cancel("a")
    before = rows(desk)
    assert desk.call(LATE[what](held)) is STALE
    assert rows(desk) == before


@pytest.mark.parametrize("what", LATE)
def test_what_is_not_late_counts(desk: Desk, held: Held, what: str) -> None:
    before = rows(desk)
    assert desk.call(LATE[what](held)) is not STALE
    assert rows(desk) != before
    assert "work.stale_result" not in desk.events()


def test_an_item_nobody_knows_is_late_too(desk: Desk, held: Held) -> None:
    ghost = step(held)
    ghost = type(ghost)(**{name: getattr(ghost, name) for name in ghost.__slots__} | {"item": ItemId("ghost")})
    assert desk.call(ghost) is STALE


def test_a_paid_step_is_kept_while_its_item_was_only_put_back(desk: Desk, held: Held) -> None:
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    assert desk.call(step(held, 0)) is not STALE
    again = desk.claim_one(DO)
    assert [each[0] for each in again.steps] == [0, WALKED]
    assert desk.call(step(held, 1)) is STALE, "claimed again: a new fence"


def test_a_step_of_another_attempt_is_late(desk: Desk, held: Held) -> None:
    assert desk.call(step(held, attempt=Attempt(2))) is STALE


def test_a_step_on_other_inputs_takes_the_place_of_the_recorded_one(desk: Desk, held: Held) -> None:
    desk.call(step(held, WALKED, input_digest="other", output={"said": "anew"}))
    (only,) = desk.reader.steps(ItemId("a"))
    assert (only["input_digest"], only["output"]) == ("other", {"said": "anew"})


def test_of_the_steps_of_another_walk_those_before_it_stay(desk: Desk, held: Held) -> None:
    for seq in range(1, 5):
        desk.call(step(held, seq, asked={"messages": ["do"]}))
    desk.call(drops(held, seq=3))
    assert [(each["seq"], each["asked"]) for each in desk.reader.steps(ItemId("a"))] == [
        (1, {"messages": ["do"]}), (2, {"messages": ["do"]}),
    ]  # fmt: skip
    assert desk.sql("SELECT count(*) FROM prompt") == [(2,)]


def test_the_moves_of_one_item_in_one_batch_are_carried_out_as_posted(desk: Desk, held: Held) -> None:
    said: list[Any] = []

    def hear(outcomes: Any) -> None:
        said.extend(each.answer for each in outcomes)

    gate = Gate(desk)
    desk.journal.post(step(held, 0), hear)
    desk.journal.post(move(held, WorkState.RUNNING, REVIEW, output={"w": 1}), hear)
    desk.journal.post(success(held, from_stage=REVIEW), hear)
    desk.journal.post(step(held, 1), hear)
    gate.open()
    desk.close()
    assert [type(each) is Moved or each is STALE for each in said] == [False, True, True, True]
    assert said[-1] is STALE
    desk.open()
    assert desk.state("a") is WorkState.SUCCEEDED
