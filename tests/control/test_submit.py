"""Work comes in: checked once, on disk before the answer, and the same item however often it is sent."""

import http.client  # noqa: TC003 - it names what the test reads
import json
from typing import Any

import pytest

from darumad.control.client import _UnixConnection
from darumad.control.unkept import DEEPEST, LEAST, MOST
from darumad.errors import Refused, Unavailable
from darumad.names import AgentName, Capability, ItemId
from darumad.work import WorkState
from tests.control.room import CLEAR, Served
from tests.kit import eventually


def _pointers(refused: Refused) -> dict[str, str]:
    return {each.pointer: each.detail for each in refused.problems}


def test_an_accepted_item_is_in_the_journal_and_the_orchestrator_is_told(served: Served) -> None:
    reply = served.client.submit({**CLEAR, "id": "one", "labels": {"team": "a"}})
    assert (reply["id"], reply["state"], reply["created"], reply["questions"]) == ("one", "ready", True, [])
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    assert record.item.labels == {"team": "a"}
    assert record.submitted_by.startswith("uid:")
    eventually(lambda: served.room.hints == 1)


def test_an_item_without_an_id_is_given_one(served: Served) -> None:
    assert served.client.submit(CLEAR)["id"] == "made-1"


def test_the_same_item_sent_twice_is_one_item(served: Served) -> None:
    first = served.client.submit({**CLEAR, "id": "one"})
    again = served.client.submit({**CLEAR, "id": "one"})
    assert (first["created"], again["created"]) == (True, False)
    assert served.room.journal.reader().counts()[WorkState.READY] == 1


def test_another_item_under_a_known_id_is_a_conflict(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "id": "one", "priority": 9})
    assert refused.value.code == "conflict"


def test_an_idempotency_key_becomes_the_id_of_an_item_without_one(served: Served) -> None:
    status, body = _sent_with(served, "key-1", CLEAR)
    assert (status, body["id"]) == (201, "key-1")


@pytest.mark.parametrize("key", ["a b", "", "..", "k" * 257])
def test_a_wrong_idempotency_key_is_refused_by_its_header(served: Served, key: str) -> None:
    status, body = _sent_with(served, key, CLEAR)
    assert (status, [each["pointer"] for each in body["errors"]]) == (422, ["Idempotency-Key"])
    assert body["errors"][0]["detail"].startswith("must ")


def test_an_id_that_is_wrong_is_told_as_the_id_whatever_the_key_says(served: Served) -> None:
    status, body = _sent_with(served, "a b", {**CLEAR, "id": ".."})
    assert (status, [each["pointer"] for each in body["errors"]]) == (422, ["/id"])


def test_a_batch_that_is_sent_again_under_its_key_is_the_same_batch(served: Served) -> None:
    items = {"items": [CLEAR, {**CLEAR, "id": "mine"}, CLEAR]}
    first, again = (_sent_with(served, "key-1", items, "/v1/batch") for _ in range(2))
    assert (first[0], again[0]) == (201, 200)
    for _, body in (first, again):
        assert [each["id"] for each in body["items"]] == ["key-1.0", "mine", "key-1.2"]
    status, body = _sent_with(served, "key-1", {"items": [{**CLEAR, "priority": 9}]}, "/v1/batch")
    assert (status, body["code"]) == (409, "conflict")


@pytest.mark.parametrize("key", ["a b", "", "k" * 255])
def test_a_wrong_key_of_a_batch_is_told_once_by_its_header(served: Served, key: str) -> None:
    status, body = _sent_with(served, key, {"items": [CLEAR, CLEAR]}, "/v1/batch")
    assert (status, [each["pointer"] for each in body["errors"]]) == (422, ["Idempotency-Key"])


def _sent_with(served: Served, key: str, sent: dict[str, Any], to: str = "/v1/work") -> tuple[int, Any]:
    """What came of work that was sent with this Idempotency-Key."""
    connection = _UnixConnection(served.path, 10)
    connection.request("POST", to, json.dumps(sent), {"Idempotency-Key": key})
    response: http.client.HTTPResponse = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, body


def test_an_unknown_field_is_refused_with_what_was_perhaps_meant(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "max_atempts": 3, "budget": {"dollars": 1}})
    said = _pointers(refused.value)
    assert "did you mean `max_attempts`" in said["/max_atempts"]
    assert "/budget/dollars" in said


def test_every_wrong_field_is_named_at_once(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({"timeout": "soon", "priority": "high", "inputs": [{"name": "a", "upload": "nothex"}]})
    assert set(_pointers(refused.value)) == {"/description", "/timeout", "/priority", "/inputs/0/upload"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"id": "a b", "priority": 11}, "/id /priority"),
        ({"id": "a b", "priority": "high", "lane": "a\0"}, "/id /priority /lane"),
        ({"description": None, "tests": [" "], "unknown": 1}, "/description /tests/0 /unknown"),
        ({"agent": "nobody", "priority": 11, "requires": ["gpu"]}, "/agent /priority"),
        ({"id": 5, "inputs": [{"name": "a", "upload": "0" * 64}]}, "/id /inputs/0/upload"),
        ({"role": "janitor", "stages": ["plan"], "priority": 11}, "/role"),
        ({"role": "reviewer", "agent": "nobody", "input": 5}, "/agent /input"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["submit", "estimate"])
def test_what_breaks_a_rule_is_told_in_one_round_with_what_has_not_its_form(
    served: Served, operation: str, wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(Refused) as refused:
        served.client.call(operation, {**CLEAR, "agent": "executor", **wrong})
    assert {each.pointer for each in refused.value.problems} == set(told.split())


def test_so_it_is_with_every_item_of_a_batch(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.batch([{**CLEAR, "id": "a b", "priority": 11}, {**CLEAR, "priority": 12}, CLEAR])
    assert set(_pointers(refused.value)) == {"/items/0/id", "/items/0/priority", "/items/1/priority"}
    with pytest.raises(Refused) as refused:
        served.client.call("batch", {"items": [5, {**CLEAR, "priority": 12}]})
    assert set(_pointers(refused.value)) == {"/items/0"}


def test_a_rule_of_the_domain_is_told_by_its_field(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "priority": 11})
    assert "/priority" in _pointers(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", True), ("priority", "7"), ("max_attempts", True), ("max_reviews", "2"), ("challenge", "no"),
     ("challenge", 0), ("timeout", "5"), ("timeout", True), ("backoff", "1e3"), ("run_at", "5"), ("expires_at", True)],
)  # fmt: skip
def test_a_number_or_a_truth_is_not_guessed_from_something_else(served: Served, field: str, value: object) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, field: value})
    assert [each.pointer for each in refused.value.problems] == [f"/{field}"]


def test_what_looks_like_a_number_is_no_count_and_a_duration_without_its_unit_none(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "budget": {"calls": "3", "tokens": True}, "idle_timeout": "5"})
    assert {each.pointer: each.detail for each in refused.value.problems} == {
        "/budget/calls": "must be a whole number, not '3'",
        "/budget/tokens": "must be a whole number, not true",
        "/idle_timeout": "must be a duration with its unit, such as 250ms, 90s, 5m or 1h30m, not '5'",
    }


def test_a_number_beyond_64_bits_is_told_the_range_of_its_own_field(served: Served) -> None:
    most = 1 << 64
    with pytest.raises(Refused) as refused:
        served.client.submit({
            **CLEAR, "max_attempts": most, "max_reviews": -most, "timeout": most, "run_at": most, "labels": {"a": most},
            "budget": {"usd": most, "tokens": most},
        })  # fmt: skip
    assert {each.pointer: each.detail for each in refused.value.problems} == {
        "/max_attempts": f"must be at most 1000, not {most}",
        "/max_reviews": f"must be at least 0, not -{most}",
        "/timeout": f"must be at most 864000000, not {most}",
        "/run_at": f"must be a time before the year 10000, in milliseconds since 1970, not {most}",
        "/labels/a": f"must be a text, not {most}",
        "/budget/usd": f"must be an amount below 4611686018 US dollars, not {most}",
        "/budget/tokens": f"must be less than 9007199254740992, not {most}",
    }
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "priority": most})
    assert _pointers(refused.value) == {"/priority": f"must be 0 to 10, is {most}"}


def test_numbers_of_64_bits_and_the_deepest_nesting_come_back_as_they_were_sent(served: Served) -> None:
    deepest: Any = []
    for _ in range(DEEPEST - 3):
        deepest = [deepest]
    sent = {"most": MOST, "least": LEAST, "deep": deepest}
    served.client.submit({**CLEAR, "id": "one", "input": sent})
    assert served.client.call("work show", id="one")["asked"]["input"] == sent


def test_a_dialogue_is_kept_turn_by_turn_and_is_part_of_what_was_sent(served: Served) -> None:
    talk = [{"role": "user", "text": "Name a colour."}, {"role": "assistant", "text": "Blue."}]
    served.client.submit({**CLEAR, "id": "one", "messages": talk})
    assert served.client.call("work show", id="one")["asked"]["messages"] == talk
    with pytest.raises(Refused, match="another body"):
        served.client.submit({**CLEAR, "id": "one", "messages": talk[:1]})


@pytest.mark.parametrize(
    ("pointer", "messages"),
    [
        ("/messages/0/role", [{"role": "system", "text": "hello"}]),
        ("/messages/0/role", [{"role": "assistant", "text": "hello"}]),
        ("/messages/0/text", [{"role": "user"}]),
        ("/messages/0/text", [{"role": "user", "text": [{"type": "text"}]}]),
        ("/messages/0/content", [{"role": "user", "text": "hello", "content": "hello"}]),
        ("/messages", "hello"),
    ],
)
def test_a_dialogue_of_another_form_is_refused_by_its_place(served: Served, pointer: str, messages: object) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "messages": messages})
    assert list(_pointers(refused.value)) == [pointer]


def test_sub_work_names_its_parent_and_is_listed_with_it(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "top"})
    served.client.batch([{**CLEAR, "id": name, "parent": "top"} for name in ("one", "two")])
    assert [each["id"] for each in served.client.call("work list", parent="top")["items"]] == ["one", "two"]
    shown = served.client.call("work show", id="top")
    assert shown["children"] == [{"id": name, "state": "ready", "reason": None} for name in ("one", "two")]
    assert served.client.call("work show", id="one")["asked"]["parent"] == "top"
    with pytest.raises(Refused, match="nobody"):
        served.client.call("work list", parent="nobody")


@pytest.mark.parametrize(
    ("parent", "why"), [("nobody", "does not know: hand that in first"), ("top", "which is cancelled"), ("a b", "")]
)
def test_a_parent_that_cannot_be_is_refused_by_its_field_and_by_name(served: Served, parent: str, why: str) -> None:
    served.client.submit({**CLEAR, "id": "top"})
    served.client.call("work cancel", {}, id="top")
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "parent": parent})
    ((pointer, said),) = _pointers(refused.value).items()
    assert (pointer, why in said) == ("/parent", True)


def test_the_items_of_a_conversation_are_listed(served: Served) -> None:
    for name, fields in (("one", {"conversation": "talk"}), ("two", {}), ("three", {"conversation": "talk"})):
        served.client.submit({**CLEAR, "id": name, **fields})
    listed = served.client.call("work list", conversation="talk")["items"]
    assert [each["id"] for each in listed] == ["one", "three"]
    assert served.client.call("work show", id="one")["asked"]["conversation"] == "talk"
    for body in ({"conversation": "a b"}, {"conversation": "."}):
        with pytest.raises(Refused) as refused:
            served.client.submit({**CLEAR, **body})
        assert list(_pointers(refused.value)) == ["/conversation"]


def test_an_unknown_agent_is_refused_with_one_that_there_is(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": "documentatoin"})
    assert "did you mean `documentation`" in _pointers(refused.value)["/agent"]
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": "nobody"})
    there = ", ".join(sorted(served.room.definitions))
    assert _pointers(refused.value)["/agent"] == f"no agent is called nobody; there are {there}"
    for number in range(20):
        served.room.definitions[AgentName(f"agent-{number:02}")] = served.room.definitions[AgentName("echo")]
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": "nobody"})
    told = _pointers(refused.value)["/agent"]
    assert "there are agent-00, agent-01, " in told
    assert told.endswith(f"agent-07 and {len(served.room.definitions) - 8} more")


def test_what_the_agent_does_not_offer_is_refused_with_who_does(served: Served) -> None:
    gpu, git = Capability("gpu"), Capability("git")
    served.room.offer("echo", git)
    served.room.offer("documentation", gpu, git)
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": "echo", "requires": ["git", "gpu", "net"]})
    said = _pointers(refused.value)
    assert said == {
        "/requires/1": "agent echo does not offer gpu; name one as `agent` that does: documentation",
        "/requires/2": "no agent offers net; "
        "let the settings say who does in `agents.NAME.offers`, and restart the daemon",
    }
    assert served.client.submit({**CLEAR, "agent": "documentation", "requires": ["git", "gpu"]})["state"] == "ready"


def test_of_a_batch_the_item_is_named_whose_agent_offers_too_little(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.batch([CLEAR, {**CLEAR, "requires": ["gpu"]}])
    assert list(_pointers(refused.value)) == ["/items/1/requires/0"]


def test_a_requirement_that_is_no_word_is_refused(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "requires": ["A gpu", 5]})
    assert list(_pointers(refused.value)) == ["/requires/1"]
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "requires": ["A gpu", "gpu"], "priority": 11})
    said = _pointers(refused.value)
    assert set(said) == {"/priority", "/requires/0", "/requires/1"}, "all that is wrong is told at once"
    assert "a word of a-z" in said["/requires/0"]


def test_an_upload_that_is_not_there_is_named(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "inputs": [{"name": "a.txt", "upload": "0" * 64}]})
    assert "upload it first" in _pointers(refused.value)["/inputs/0/upload"]


def test_a_vague_item_is_parked_with_its_questions_before_anything_is_spent(served: Served) -> None:
    reply = served.client.submit({"description": "just make it better somehow", "id": "vague"})
    assert (reply["state"], reply["reason"]) == ("parked", "challenge")
    assert "What is the goal?" in reply["questions"]


def test_a_vague_item_that_is_answered_before_its_time_waits_for_that(served: Served) -> None:
    vague = {"description": "just make it better somehow", "id": "vague", "run_at": "2100-01-01T00:00:00Z"}
    assert served.client.submit(vague)["state"] == "parked"
    served.client.call("work answer", {"answers": ["the report of May"]}, id="vague")
    shown = served.client.call("work show", id="vague")
    assert (shown["state"], shown["reason"], shown["scheduled_for"]) == ("scheduled", "delay", 4_102_444_800_000)


def test_an_item_that_comes_after_another_waits_for_its_own_time_too(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "first", "stages": ["execute"]})
    later = {**CLEAR, "id": "later", "depends_on": ["first"], "run_at": "2100-01-01T00:00:00Z"}
    assert served.client.submit(later)["state"] == "waiting"
    served.room.succeed()
    shown = served.client.call("work show", id="later")
    assert (shown["state"], shown["reason"], shown["scheduled_for"]) == ("scheduled", "delay", 4_102_444_800_000)


def test_an_item_that_forbids_the_challenge_is_ready_and_its_doubts_are_told(served: Served) -> None:
    reply = served.client.submit({"description": "just make it better somehow", "challenge": False})
    assert reply["state"] == "ready"
    assert any("just" in warning for warning in reply["warnings"])


def test_durations_money_and_times_may_be_written_as_people_do(served: Served) -> None:
    served.client.submit(
        {
            **CLEAR,
            "id": "one",
            "timeout": "90s",
            "backoff": 0.5,
            "budget": {"usd": "2.50 USD", "tokens": 10},
            "run_at": "2100-01-01T00:00:00Z",
            "stages": ["execute"],
        }
    )
    record = served.room.journal.reader().record(ItemId("one"))
    assert record is not None
    item = record.item
    assert (item.timeout, item.backoff, item.budget.nano_usd) == (90.0, 0.5, 2_500_000_000)
    assert (record.state, record.run_at) == (WorkState.SCHEDULED, 4_102_444_800_000)


def test_a_time_without_its_zone_is_refused(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "run_at": "2100-01-01T00:00:00"})
    assert "zone" in _pointers(refused.value)["/run_at"]


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("/budget/usd", {"budget": {"usd": "1e999990"}}),
        ("/budget/usd", {"budget": {"usd": "9" * 5000 + " USD"}}),
        ("/budget/usd", {"budget": {"usd": 1e300}}),
        ("/budget/tokens", {"budget": {"tokens": 2**64 - 1}}),
        ("/budget/calls", {"budget": {"calls": 2**53}}),
        ("/run_at", {"run_at": "1e400"}),
        ("/run_at", {"run_at": 253_402_300_800_000}),
        ("/expires_at", {"expires_at": "8640000000000000"}),
        ("/timeout", {"timeout": "1e400"}),
    ],
)
def test_a_number_beyond_all_use_is_refused_by_its_field_before_anybody_counts_with_it(
    served: Served, pointer: str, said: dict[str, object]
) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, **said})
    assert list(_pointers(refused.value)) == [pointer]


def test_an_agent_may_be_named_with_the_version_that_is_there(served: Served) -> None:
    assert served.client.submit({**CLEAR, "agent": "echo@1.0.0"})["created"] is True
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": "echo@2.0.0"})
    assert _pointers(refused.value) == {"/agent": "echo is at version 1.0.0; leave the version out"}
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "agent": ""})
    assert list(_pointers(refused.value)) == ["/agent"]


@pytest.mark.parametrize(
    ("role", "stage", "warns"),
    [
        ("optimizer", "optimizing", "input: there is no context to optimize"),
        ("reviewer", "reviewing", "phase: a review asked for directly has phase 'review', not 'implementation'"),
    ],
)
def test_an_item_for_a_role_is_that_roles_own_and_begins_in_its_one_stage(
    served: Served, role: str, stage: str, warns: str
) -> None:
    artifact = {"id": "report", "description": "the quarterly report"} if role == "reviewer" else None
    reply = served.client.submit({"id": "one", "description": "just do it somehow", "role": role, "input": artifact})
    assert (reply["state"], reply["questions"]) == ("ready", []), "only an executor's item is challenged"
    assert warns in reply["warnings"]
    shown = served.client.call("work show", id="one")
    assert (shown["stage"], shown["asked"]["role"], shown["asked"]["agent"]) == (stage, role, role)
    assert shown["asked"]["stages"] == [stage]


def test_while_draining_nothing_new_comes_in_but_a_known_item_is_answered(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "known"})
    served.room.is_draining = True
    assert served.client.submit({**CLEAR, "id": "known"})["created"] is False
    with pytest.raises(Unavailable) as unavailable:
        served.client.submit({**CLEAR, "id": "new"})
    assert unavailable.value.code == "draining"
    assert unavailable.value.retry_after == 5


def test_a_batch_is_accepted_whole_and_its_items_may_depend_on_each_other(served: Served) -> None:
    reply = served.client.batch([{**CLEAR, "id": "b", "depends_on": ["a"]}, {**CLEAR, "id": "a"}])
    assert {each["id"]: each["state"] for each in reply["items"]} == {"a": "ready", "b": "waiting"}


def test_a_batch_with_wrong_items_names_them_all_and_accepts_none(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.batch([CLEAR, {**CLEAR, "priority": 77}, {**CLEAR, "agent": "nobody"}])
    assert {"/items/1/priority", "/items/2/agent"} <= set(_pointers(refused.value))
    assert served.room.journal.reader().records() == []


def test_two_items_of_a_batch_cannot_have_one_id(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.batch([{**CLEAR, "id": "a"}, {**CLEAR, "id": "a"}])
    assert "/items/1/id" in _pointers(refused.value)


def test_a_cycle_is_refused_and_its_members_named(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        served.client.batch([{**CLEAR, "id": "a", "depends_on": ["b"]}, {**CLEAR, "id": "b", "depends_on": ["a"]}])
    assert refused.value.code == "cycle"


@pytest.mark.parametrize(
    ("wrong", "pointer", "says"),
    [
        ({"id": "käse"}, "/id", "may have letters without accents, digits and . _ : - only"),
        ({"inputs": [{"name": "a", "upload": "abc"}]}, "/inputs/0/upload", "must be a sha256: 64 digits"),
        ({"output_schema": {"type": "nonsense"}}, "/output_schema", '"nonsense" is not valid under any of'),
        ({"output_schema": {"pattern": "("}}, "/output_schema", '"(" is not a "regex"'),
        ({"role": "orchestrator"}, "/agent", "leave the agent out, or say role `executor`"),
        ({"role": "orchestrator", "agent": None, "parent": "a"}, "/parent", "a goal to plan stands by itself"),
        ({"role": "orchestrator", "agent": None, "description": "Make all good"}, "/description", "at least 5 words"),
        ({"role": "orchestrator", "agent": None, "stages": ["execute"]}, "/stages", "walks planning and nothing else"),
        ({"role": "reviewer", "agent": "echo"}, "/agent", "leave the agent out, or say role `executor`"),
        ({"agent": "optimizer"}, "/agent", "leave the agent out, or say role `optimizer`"),
        ({"role": "reviewer", "agent": None}, "/input", "must be the artifact to review, an object with an id"),
        ({"agent": "echo@"}, "/agent", "must be a name such as `executor`, or `name@version`"),
        ({"agent": "echo@1 2"}, "/agent", "must be a name such as `executor`, or `name@version`"),
        ({"labels": {"a=b": "c"}}, "/labels/a=b", "must have a key of at least one character and without ="),
        ({"labels": {"": "c"}}, "/labels/", "must have a key of at least one character and without ="),
        ({"role": "judge"}, "/role", "must be one of 'orchestrator', 'optimizer', 'executor' or 'reviewer'"),
    ],
)
def test_what_is_wrong_is_told_in_words_where_it_stands_and_before_it_is_accepted(
    served: Served, wrong: dict[str, object], pointer: str, says: str
) -> None:
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, **wrong})
    told = {each.pointer: each.detail for each in refused.value.problems}
    assert says in told[pointer]
    assert sum(served.room.journal.reader().counts().values()) == 0
