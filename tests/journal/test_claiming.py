import json

import pytest

from darumad.journal import Claim, Demand, Demanded, Held, Ready, Slot
from darumad.journal.encoding import RecentItems
from darumad.journal.requests import EffectStart, PromoteDue
from darumad.journal.sql import filled
from darumad.names import AgentName, ItemId, Stage
from darumad.work.blame import SETTLED_AFTER
from darumad.work.codec import result_from_json
from darumad.work.states import WorkState
from tests.journal.desk import DO, PREPARE, REVIEW, Desk, move, new_item, step

WORK = {"stop_reason": "completed", "text": "work"}


def ids(held) -> list[str]:
    return [each.record.item.id for each in held]


def started(held: Held) -> EffectStart:
    """A letter that may be on its way."""
    record = held.record
    key = f"{record.item.id}:1"
    return EffectStart(
        item=record.item.id, fence=record.fence, attempt=record.attempt, stage=record.stage, seq=1, key=key,
        tool="send", arguments={}, idempotent=True,
    )  # fmt: skip


def test_a_claim_holds_its_item_under_a_new_fence_in_a_new_attempt(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    assert (held.record.state, held.record.fence, held.record.attempt) == (WorkState.RUNNING, 1, 1)
    assert (held.record.holder, held.record.boot, held.slot.holder) == ("actor/1#1", 1, "actor/1#1")
    assert held.record == desk.record("a")
    assert desk.claim() == ()
    (assigned,) = desk.reader.events(0, type="work.assigned")
    assert assigned.data == {"stage": "optimizing", "attempt": 1, "holder": "actor/1#1"}


def test_the_more_urgent_item_goes_first_until_the_other_has_waited_long_enough(desk: Desk) -> None:
    desk.submit(new_item("patient", priority=4))
    desk.clock.advance(599.0)
    desk.submit(new_item("urgent", priority=5))
    assert ids(desk.claim()) == ["urgent"]
    desk.clock.advance(2.0)
    desk.submit(new_item("later", priority=5))
    assert ids(desk.claim()) == ["patient"]


def test_equal_ranks_go_in_the_order_of_their_acceptance(desk: Desk) -> None:
    desk.submit(*(f"i{n}" for n in range(20)))
    assert ids(desk.claim(count=7)) == [f"i{n}" for n in range(7)]
    assert ids(desk.claim(count=20)) == [f"i{n}" for n in range(7, 20)]


def test_demand_is_for_whoever_has_an_item_ready_in_whatever_stage_and_for_nobody_else(desk: Desk) -> None:
    assert desk.call(Demand()) == Demanded(frozenset())
    desk.submit(
        new_item("p", agent="prepares"), new_item("d", stages=(DO,), agent="does"), new_item("r", agent="waits"),
        new_item("late", agent="later", state=WorkState.SCHEDULED, run_at=desk.clock.wall() + 60_000),
        new_item("after", agent="follows", needs=("p",)),
    )  # fmt: skip
    (running,) = desk.claim(DO, agent="does")
    before = desk.reader.events(0)
    assert desk.call(Demand()).agents == {"prepares", "waits"}
    assert desk.reader.events(0) == before, "to ask changes nothing"
    desk.call(move(running, WorkState.READY, stage=REVIEW))
    assert desk.call(Demand()).agents == {"prepares", "waits", "does"}


def test_demand_is_for_suspects_too_and_not_for_what_no_agent_can_do(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,), agent="falls"), new_item("b", stages=(DO,), agent="lacks", requires=("x",)))
    for _ in range(2):
        desk.clock.advance(SETTLED_AFTER + 1)
        desk.claim(DO, agent="falls")
        desk.die()
        desk.open()
    assert desk.reader.suspects() == ["a"]
    assert desk.call(Demand()).agents == {"falls"}


def test_a_slot_takes_items_of_its_own_definition_and_stage_only(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)), new_item("b", stages=(DO,), agent="echo"), new_item("c", agent="echo"))
    assert ids(desk.claim(DO, count=3, agent="echo")) == ["b"]
    assert ids(desk.claim(REVIEW, count=3)) == []


def test_a_shared_pool_takes_every_definition_by_rank(desk: Desk) -> None:
    for n, agent in enumerate(["x", "y", "x", "z"]):
        desk.submit(new_item(f"i{n}", agent=agent))
        desk.clock.advance(1.0)
    assert ids(desk.claim(count=3)) == ["i0", "i1", "i2"]


def test_own_and_shared_slots_fill_together(desk: Desk) -> None:
    desk.submit(*(new_item(f"x{n}", agent="x") for n in range(2)), new_item("y0", agent="y"))
    slots = (
        Slot(AgentName("x"), PREPARE, "own#1"),
        Slot(AgentName("*"), PREPARE, "p/1#1"),
        Slot(AgentName("*"), PREPARE, "p/2#1"),
    )
    held = desk.call(Claim(slots=slots)).held
    assert [(each.record.item.id, each.slot.holder) for each in held] == [
        ("x0", "own#1"),
        ("x1", "p/1#1"),
        ("y0", "p/2#1"),
    ]


def test_a_gated_definition_is_not_claimed_and_stays_ready(desk: Desk) -> None:
    desk.submit(new_item("a", agent="x"), new_item("b", agent="y"))
    assert ids(desk.claim(count=2, gated=frozenset({AgentName("x")}))) == ["b"]
    assert desk.state("a") is WorkState.READY


def test_of_a_definition_that_is_barred_but_for_one_the_best_is_claimed_wherever_it_stands(desk: Desk) -> None:
    x = AgentName("x")
    desk.submit(new_item("a", agent="x"), new_item("b", agent="y"), new_item("c", agent="x", stages=(DO,), priority=9))
    slots = (*(Slot(AgentName("*"), PREPARE, f"p/{n}#1") for n in range(2)), Slot(x, DO, "x#1"))
    held = desk.call(Claim(slots=slots, but_one={x: "near"})).held
    assert sorted(ids(held)) == ["b", "c"]
    assert desk.state("a") is WorkState.READY


def test_of_definitions_that_share_a_circuit_one_item_is_claimed_and_those_of_another_have_their_own(
    desk: Desk,
) -> None:
    a, b, c = map(AgentName, "abc")
    desk.submit(*(new_item(f"{name}{n}", agent=name) for name in "abcd" for n in range(2)))
    assert ids(desk.claim(count=9, but_one={a: "near", b: "near", c: "far"})) == ["a0", "c0", "d0", "d1"]


def test_the_probe_of_a_circuit_is_whoever_an_outage_put_off_least_often(desk: Desk) -> None:
    one = {AgentName("executor"): "near"}
    desk.submit("poison", "patient")
    probes = []
    for _ in range(4):
        (probe,) = desk.claim(count=2, but_one=one)
        probes += ids([probe])
        put_off = move(probe, WorkState.SCHEDULED, reason="outage", run_at=desk.clock.wall() + 5_000, delays=1)
        desk.call(put_off)
        desk.clock.advance(5.0)
        desk.call(PromoteDue())
    assert probes == ["poison", "patient"] * 2
    assert ids(desk.claim(count=2)) == ["poison", "patient"], "else each has the place that it had"


def test_first_bounds_how_many_items_begin_their_walk_but_not_how_many_go_on(desk: Desk) -> None:
    desk.submit(*(f"i{n}" for n in range(4)))
    under_way = desk.claim_one()
    desk.call(move(under_way, WorkState.READY, fence_up=False))
    again, begun = desk.claim(count=4, first={AgentName("executor"): 1})
    assert ids((again, begun)) == ["i0", "i1"]
    desk.call(move(begun, WorkState.READY, fence_up=False))
    assert ids(desk.claim(count=4, first={AgentName("executor"): 0})) == ["i1"]


def test_first_bounds_a_definition_over_all_its_first_stages(desk: Desk) -> None:
    desk.submit("a", new_item("b", stages=(DO,)))
    slots = (Slot(AgentName("*"), PREPARE, "p#1"), Slot(AgentName("executor"), DO, "x#1"))
    assert len(desk.call(Claim(slots=slots, first={AgentName("executor"): 1})).held) == 1


def test_an_expired_item_dies_in_passing_and_the_next_takes_its_slot(desk: Desk) -> None:
    desk.submit(new_item("late", expires_at=desk.clock.wall() + 1000), new_item("b", needs=["late"]), "c")
    desk.clock.advance(2.0)
    assert ids(desk.claim()) == ["c"]
    assert (desk.state("late"), desk.state("b")) == (WorkState.DEAD, WorkState.DEAD)
    assert desk.events("late") == ["work.submitted", "work.expired"]


def test_a_resumed_attempt_comes_with_its_steps_and_the_outputs_before_it(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(move(held, WorkState.READY, DO, output={"brief": 1}))
    held = desk.claim_one(DO)
    for seq in range(3):
        desk.call(step(held, seq))
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    resumed = desk.claim_one(DO)
    assert (resumed.record.attempt, resumed.record.fence) == (1, held.record.fence + 1)
    assert resumed.steps == tuple((seq, "model", "in", {"said": seq}) for seq in range(3))
    assert (resumed.brief, resumed.work) == ({"brief": 1}, None)


def test_a_retry_replays_no_step_and_knows_what_failed(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(step(held, 0))
    failure = {"kind": "tool_error", "message": "it broke"}
    desk.call(
        move(
            held,
            WorkState.READY,
            PREPARE,
            ends_attempt=True,
            outcome="tool_error",
            failures=1,
            error=failure,
            output=None,
        )
    )
    retry = desk.claim_one()
    assert (retry.record.attempt, retry.steps, retry.failed, retry.record.lineage) == (2, (), (failure,), 1)


def test_a_review_that_failed_is_tried_again_on_the_finished_work(desk: Desk) -> None:
    desk.submit("a")
    desk.call(move(desk.claim_one(), WorkState.READY, DO, output={"brief": 1}))
    desk.call(move(desk.claim_one(DO), WorkState.READY, REVIEW, output=WORK))
    held = desk.claim_one(REVIEW)
    desk.call(move(held, WorkState.READY, REVIEW, ends_attempt=True, outcome="provider_error", failures=1))
    again = desk.claim_one(REVIEW)
    assert (again.record.attempt, again.brief, again.work) == (2, {"brief": 1}, result_from_json(WORK))


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE payload SET body = replace(body, 'do bad', 'do bat') WHERE item = 1", "its sha256 differs"),
        ("UPDATE payload SET body = CAST(x'7bff7d' AS TEXT) WHERE item = 1", "its sha256 differs"),
        ("UPDATE step SET output = '{' WHERE item = 1", "JSONDecodeError"),
        ("""UPDATE output SET body = '{"stop_reason": "of no known set"}' WHERE item = 1""", "of no known set"),
        ("UPDATE effect SET arguments = '[' WHERE item = 1", "JSONDecodeError"),
        ("UPDATE correspondence SET feedback = 'hearsay' WHERE item = 1", "JSONDecodeError"),
        ("UPDATE item SET error = 'oh' WHERE id = 1", "JSONDecodeError"),
        ("UPDATE item SET error = CAST(x'7bff7d' AS TEXT) WHERE id = 1", "JSONDecodeError"),
    ],
)
def test_an_item_that_cannot_be_read_is_dead_and_costs_no_other_the_claim(desk: Desk, damage: str, said: str) -> None:
    put_back = {"reason": "interrupted", "feedback": {"issues": ["no ending"]}, "error": {"kind": "tool_error"}}
    desk.submit("bad", "good")
    for each in desk.claim(count=2):
        desk.call(move(each, WorkState.READY, DO, **put_back))
    for each in desk.claim(DO, count=2):
        desk.call(move(each, WorkState.READY, REVIEW, output=WORK, **put_back))
    for each in desk.claim(REVIEW, count=2):
        desk.call(step(each))
        desk.call(started(each))
        desk.call(move(each, WorkState.READY, **put_back))
    desk.submit(new_item("waits", needs=["bad"]))
    desk.sql(damage)
    desk.close()
    desk.open()
    answer = desk.call(Claim(slots=tuple(Slot(AgentName("*"), REVIEW, f"r/{n}#1") for n in range(3))))
    assert (ids(answer.held), answer.unread) == (["good"], 1)
    ((state, error),) = desk.sql("SELECT state, error FROM item WHERE id = 1")
    assert state == "dead"
    assert json.loads(error)["kind"] == "unreadable"
    assert said in json.loads(error)["message"]
    assert "Restore the journal from a backup" in json.loads(error)["message"]
    (told,) = desk.reader.events(0, item="bad", type="work.dead")
    assert told.data["error"] == json.loads(error)["message"]
    assert desk.record("waits").error["dependency"] == "bad"
    assert desk.sql("SELECT why FROM hold WHERE item = 1 ORDER BY fence DESC LIMIT 1") == [("convicted",)]
    assert desk.sql("SELECT outcome FROM attempt WHERE item = 1") == [("interrupted",)]
    assert desk.journal.health().unfinished == 1


def test_sub_work_that_falls_with_what_cannot_be_read_was_held_before_it_was_cancelled(desk: Desk) -> None:
    desk.submit("bad", new_item("below", parent=ItemId("bad")))
    desk.sql("UPDATE item SET error = 'oh' WHERE uid = 'bad'")
    desk.claim(count=2)
    assert desk.events("below") == ["work.submitted", "work.assigned", "work.cancelled"]
    assert desk.state("below") is WorkState.CANCELLED


def test_a_retry_of_an_item_whose_steps_cannot_be_read_does_without_them(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.call(step(held))
    desk.call(move(held, WorkState.READY, reason="interrupted"))
    desk.sql("UPDATE step SET output = '{'")
    assert desk.claim() == ()
    desk.release("a")
    again = desk.claim_one()
    assert (again.record.attempt, again.steps) == (2, ())


def test_what_is_remembered_of_items_may_be_less_than_one_claim(desk: Desk) -> None:
    desk.journal._writer._recent = RecentItems(2)
    for each in ("forgotten", "a", "b"):
        desk.submit(each)
    assert ids(desk.claim(count=3)) == ["forgotten", "a", "b"]


@pytest.mark.parametrize("count", [1, 2, 300])
def test_no_item_is_ever_held_twice(desk: Desk, count: int) -> None:
    desk.submit(*(f"i{n}" for n in range(count)))
    held = [*desk.claim(count=count // 2 or 1), *desk.claim(count=count)]
    assert sorted(ids(held)) == sorted(f"i{n}" for n in range(count))


@pytest.mark.parametrize("how", ["it is held", "it was cancelled", "it is done"])
def test_only_what_is_ready_is_claimed(desk: Desk, how: str) -> None:
    """The statement itself asks, whoever chose the item, and whatever happened to it since."""
    desk.submit("a")
    held = desk.claim_one()
    if how == "it was cancelled":
        desk.cancel("a")
    elif how == "it is done":
        desk.succeed(held)
    before = desk.sql("SELECT * FROM item")
    shared = {":now": desk.clock.wall(), ":boot": 1, ":ageing": 0}
    statement, values = filled("claim", [(1, "somebody/1#1", None)], shared)
    desk.sql(statement, *values)
    assert desk.sql("SELECT * FROM item") == before


def test_where_a_claim_would_find_items_is_known_without_one(desk: Desk) -> None:
    assert (desk.reader.ready(), desk.reader.under_way()) == ([], {})
    desk.submit("a", "b", new_item("c", lane="north"), new_item("d", agent=AgentName("echo")))
    executor, echo = AgentName("executor"), AgentName("echo")
    begins = {(executor, "default"), (executor, "north"), (echo, "default")}
    assert set(desk.reader.ready()) == {Ready(Stage.OPTIMIZING, *each, fresh=True) for each in begins}
    held = desk.claim_one()
    assert desk.reader.under_way() == {executor: 1}
    desk.call(move(held, WorkState.READY, stage=Stage.EXECUTING))
    assert Ready(Stage.EXECUTING, executor, "default", fresh=False) in desk.reader.ready()
    assert desk.reader.under_way() == {}
