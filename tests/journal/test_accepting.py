import pytest

from darumad.errors import Problem, Refused, Unavailable
from darumad.events import WorkParked
from darumad.journal import Accept, Cancel, Outcome
from darumad.names import ItemId, Seconds
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, Desk, move, new_item, success


def test_an_accepted_item_reads_back_as_it_was_submitted(desk: Desk) -> None:
    asked = new_item("a", labels={"team": "docs"}, input={"deep": [1, None, "ü"]}, submitted_by="uid:1000")
    (record,) = desk.submit(asked).records
    assert desk.record("a") == record
    assert record.item == asked.item
    assert (record.state, record.submitted_by) == (WorkState.READY, "uid:1000")


def test_the_same_submit_again_is_the_same_item(desk: Desk) -> None:
    desk.submit("a")
    again = desk.submit("a", max_unfinished=1)
    assert again.created == (False,)
    assert again.records == (desk.record("a"),)
    assert desk.events("a") == ["work.submitted"]


def test_the_same_submit_twice_in_one_request_is_one_item(desk: Desk) -> None:
    assert len(desk.submit("a", "a").records) == 2
    assert desk.events("a") == ["work.submitted"]


def test_the_same_submits_in_one_batch_are_one_item(tmp_path, clock) -> None:
    desk = Desk(tmp_path / "state", clock).open(start=False)
    heard: list[Outcome] = []
    for _ in range(3):
        desk.journal.post(Accept(items=(new_item("a"),), audit=AUDIT, max_unfinished=1), heard.extend)
    desk.journal.start()
    desk.close()
    assert [each.answer.created for each in heard] == [(True,), (False,), (False,)]  # type: ignore[union-attr] # all accepted


def test_an_id_with_another_body_is_a_conflict(desk: Desk) -> None:
    desk.submit("a")
    with pytest.raises(Refused, match="a was submitted before") as refused:
        desk.submit("b", new_item("a", digest="other"))
    assert refused.value.code == "conflict"
    assert desk.reader.record(ItemId("b")) is None, "all or none"


def test_a_queue_at_its_limit_refuses_new_items_only(desk: Desk) -> None:
    desk.submit("a", "b", max_unfinished=2)
    with pytest.raises(Unavailable) as full:
        desk.submit("c", max_unfinished=2)
    assert full.value.code == "queue_full"
    desk.succeed(desk.claim_one())
    desk.submit("c", max_unfinished=2)


def test_the_count_of_unfinished_items_survives_a_restart(desk: Desk) -> None:
    desk.submit("a", "b")
    desk.succeed(desk.claim_one())
    desk.close()
    desk.open()
    desk.submit("c", max_unfinished=2)
    with pytest.raises(Unavailable):
        desk.submit("d", max_unfinished=2)


def test_a_dependent_waits_and_goes_on_with_its_last_dependency(desk: Desk) -> None:
    desk.submit("a", "b", new_item("c", needs=["a", "b"]))
    assert desk.state("c") is WorkState.WAITING
    first, second = desk.claim(count=3)
    assert desk.succeed(first).settled == ()
    assert desk.succeed(second).settled == ("c",)
    assert desk.state("c") is WorkState.READY
    assert desk.events("c") == ["work.submitted", "work.ready"]


def test_two_dependencies_that_end_in_one_batch_settle_their_dependent_once(desk: Desk) -> None:
    desk.submit("a", "b", new_item("c", needs=["a", "b"]))
    held = desk.claim(count=2)
    settled: list[Outcome] = []
    for each in held:
        desk.journal.post(success(each), settled.extend)
    desk.close()
    assert sorted(len(each.answer.settled) for each in settled) == [0, 1]  # type: ignore[union-attr] # both moved


def test_a_dependency_that_succeeded_before_counts_as_settled(desk: Desk) -> None:
    desk.submit("a")
    desk.succeed(desk.claim_one())
    desk.submit(new_item("b", needs=["a"]))
    assert desk.state("b") is WorkState.READY


def test_a_waiting_item_goes_where_its_submit_wished_it(desk: Desk) -> None:
    later = desk.clock.wall() + 60_000
    desk.submit(
        "a",
        new_item("parked", needs=["a"], state=WorkState.PARKED, reason="challenge", questions=("which?",)),
        new_item("later", needs=["a"], state=WorkState.SCHEDULED, reason="delay", run_at=later),
    )
    desk.succeed(desk.claim_one())
    assert (desk.state("parked"), desk.record("parked").questions) == (WorkState.PARKED, ("which?",))
    assert (desk.state("later"), desk.record("later").reason) == (WorkState.SCHEDULED, "delay")


def test_an_unknown_dependency_is_named(desk: Desk) -> None:
    with pytest.raises(Refused) as refused:
        desk.submit(new_item("a", needs=["ghost"]))
    said = Problem("/items/0/depends_on/0", "a depends on ghost, which the journal does not know")
    assert refused.value.problems == (said,)
    assert refused.value.code == "invalid"


@pytest.mark.parametrize("how", ["dead", "cancelled"])
def test_a_lost_dependency_is_named_with_its_state(desk: Desk, how: str) -> None:
    desk.submit("a")
    if how == "dead":
        desk.kill(desk.claim_one())
    else:
        desk.cancel("a")
    with pytest.raises(Refused) as refused:
        desk.submit(new_item("b", needs=["a"]))
    assert refused.value.problems == (Problem("/items/0/depends_on/0", f"b depends on a, which is {how}"),)


def test_an_item_that_is_past_its_time_is_refused_by_its_field_and_told_again_what_became_of_it(desk: Desk) -> None:
    late = new_item("late", expires_at=desk.clock.wall() + 1000)
    desk.submit(late)
    desk.clock.advance(1)
    with pytest.raises(Refused) as refused:
        desk.submit("other", new_item("dead-at-once", expires_at=desk.clock.wall()))
    (problem,) = refused.value.problems
    assert problem.pointer == "/items/1/expires_at"
    assert problem.detail.startswith("must be later than now, ")
    assert desk.submit(late).created == (False,), "it was accepted before, whatever came of it"


def test_a_cycle_is_refused_and_its_members_named(desk: Desk) -> None:
    with pytest.raises(Refused) as refused:
        desk.submit("free", new_item("a", needs=["b"]), new_item("b", needs=["c"]), new_item("c", needs=["a", "free"]))
    assert refused.value.code == "cycle"
    assert all(f"{each}" in refused.value.message.split(": ")[1].split(", ") for each in "abc")
    assert "free" not in refused.value.message
    assert desk.reader.counts()[WorkState.READY] == 0


def test_an_item_that_depends_on_itself_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused) as refused:
        desk.submit(new_item("a", needs=["a"]))
    assert refused.value.code == "cycle"


def test_a_death_kills_all_that_wait_on_it_and_each_names_what_died_before(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"]), new_item("c", needs=["b"]), new_item("d", needs=["a", "c"]))
    moved = desk.kill(desk.claim_one())
    assert sorted(moved.settled) == ["b", "c", "d"]
    assert desk.record("c").error == {
        "kind": "dependency_failed",
        "dependency": "b",
        "message": "the dependency b is dead or cancelled",
    }
    assert desk.events("d")[-1] == "work.dead"


def test_a_chain_as_long_as_the_queue_dies_in_one_transaction_whose_cost_grows_with_its_length_only(desk: Desk) -> None:
    desk.submit("i0", *(new_item(f"i{n}", needs=[f"i{n - 1}"]) for n in range(1, 4000)), max_unfinished=4000)
    desk.journal.call(Cancel(items=(ItemId("i0"),), reason="", audit=AUDIT), Seconds(8.0))  # 18 by its square
    assert desk.reader.counts()[WorkState.DEAD] == 3999


def test_a_parked_submit_tells_its_questions(desk: Desk) -> None:
    desk.submit(new_item("a", state=WorkState.PARKED, reason="challenge", questions=("why?", "how?")))
    (challenged,) = desk.reader.events(0, type="work.challenged")
    assert challenged.data == {"questions": ["why?", "how?"]}


def test_items_are_listed_by_state_agent_and_label_from_a_place_on(desk: Desk) -> None:
    desk.submit(new_item("a", labels={"team": "x"}), new_item("b", agent="echo"), new_item("c", labels={"team": "x"}))
    desk.call(move(desk.claim_one(), WorkState.PARKED, reason="budget"))

    def ids(**asked: object) -> list[str]:
        return [each.item.id for each in desk.reader.records(**asked)]  # type: ignore[arg-type] # as the test names them

    assert ids() == ["a", "b", "c"]
    assert ids(limit=2) == ["a", "b"]
    assert ids(after="b") == ["c"]
    assert ids(state=WorkState.PARKED) == ["a"]
    assert ids(agent="echo") == ["b"]
    assert ids(label=("team", "x"), state=WorkState.READY) == ["c"]


def test_the_longest_waiting_ready_item_is_known(desk: Desk) -> None:
    assert desk.reader.oldest_ready_at() is None
    desk.submit("a")
    since = desk.clock.wall()
    desk.clock.advance(5.0)
    desk.submit("b")
    assert desk.reader.oldest_ready_at() == since
    desk.claim(count=2)
    assert desk.reader.oldest_ready_at() is None


def test_what_waits_for_the_same_is_found_together_with_its_first_and_since_when_that_waits(desk: Desk) -> None:
    desk.submit("a", "b", "c", "d", new_item("e", agent="echo"))
    held, since = {}, desk.clock.wall()
    for each in desk.claim(count=4):
        held[each.record.item.id] = each
    desk.call(move(held[ItemId("a")], WorkState.PARKED, reason="budget", error={"kind": "budget_exhausted"}))
    desk.call(move(held[ItemId("b")], WorkState.PARKED, reason="budget", error={"kind": "price_unknown"}))
    desk.call(move(held[ItemId("c")], WorkState.PARKED, reason="budget", error={"kind": "budget_exhausted"}))
    desk.call(move(held[ItemId("d")], WorkState.PARKED, reason="children"))
    desk.clock.advance(5.0)
    desk.submit("f", "g")
    found = sorted(desk.reader.alike())
    assert [(first, items) for first, items, _ in found] == [("a", 2), ("b", 1), ("e", 1), ("f", 2)]
    assert [at for *_, at in found] == [since, since, since, desk.clock.wall()]


def test_a_parked_item_waits_since_it_was_told_of_last(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    desk.clock.advance(5.0)
    told = WorkParked("a", "budget", "no more")
    desk.call(move(held, WorkState.PARKED, reason="budget", facts=(told,)))
    ((_, _, since),) = desk.reader.alike()
    assert since == desk.clock.wall()


def test_a_payload_that_the_disk_changed_is_not_handed_out(desk: Desk) -> None:
    desk.submit("a")
    desk.sql("UPDATE payload SET body = replace(body, 'do a', 'do b')")
    record = desk.record("a")
    assert record.unreadable == (
        "the payload of a is not what was written: its sha256 differs. Restore the journal from a backup."
    )
    assert record.item.description == "", "nothing that might be wrong is told"
