"""Many items at once, items that are edited, and a daemon that is paused."""

from typing import Any

import pytest

from darumad.control.wire import EditRequest
from darumad.errors import Refused
from darumad.journal import Claim, Slot
from darumad.names import AgentName, ItemId, Stage
from darumad.work.states import WorkState
from tests.control.room import CLEAR, WITHIN, Served


def submit(served: Served, *names: str, **fields: Any) -> None:
    for name in names:
        served.client.submit({**CLEAR, "id": name, **fields})


def states(served: Served) -> dict[str, str]:
    return {each["id"]: each["state"] for each in served.client.call("work list")["items"]}


def test_all_that_have_a_label_are_cancelled_in_one_go_and_what_cannot_be_is_left_out(served: Served) -> None:
    submit(served, "a", "b", labels={"wall": "north"})
    submit(served, "c", labels={"wall": "south"})
    served.client.call("work cancel", {}, id="a")
    reply = served.client.call("cancel many", {"label": "wall=north"})
    assert reply["items"] == ["b"]
    assert states(served) == {"a": "cancelled", "b": "cancelled", "c": "ready"}
    (audit, *_) = served.room.journal.reader().audits()
    assert (audit["action"], audit["target"]) == ("cancel many", "2 items")


def test_what_runs_among_many_is_revoked(served: Served) -> None:
    submit(served, "a", labels={"wall": "north"})
    assert served.room.claim().held
    served.client.call("cancel many", {"label": "wall=north"})
    assert states(served)["a"] == "cancelled"
    assert [each[0] for each in served.room.revoked[0][0]] == ["a"]


def test_all_the_dead_are_retried_in_one_go_with_those_that_died_of_them(served: Served) -> None:
    submit(served, "a", "b")
    submit(served, "c", depends_on=["b"])
    served.client.call("work cancel", {}, id="b")  # c dies of it
    assert states(served)["c"] == "dead"
    assert served.client.call("retry many", {"state": "dead"})["items"] == [], "it would wait in vain"
    assert states(served)["c"] == "dead"


def test_a_retry_of_many_says_that_what_the_providers_of_those_it_released_refused_is_mended(served: Served) -> None:
    submit(served, "a")
    served.room.die()
    assert served.client.call("retry many", {"state": "dead"})["items"] == ["a"]
    assert served.room.keys.said_mended == set()
    served.room.die()
    served.room.providers.refusing["far"] = "it refused a call"
    assert served.client.call("retry many", {"state": "dead"})["items"] == ["a"]
    assert served.room.keys.said_mended == {"far"}
    assert served.room.providers.vouched_for == {"echo"}


@pytest.mark.parametrize("those", [{"state": "ready"}, {"label": "wall=north"}])
def test_a_retry_of_many_says_so_too_of_those_that_are_ready_while_their_provider_is_not_called(
    served: Served, those: dict[str, str]
) -> None:
    submit(served, "a", labels={"wall": "north"})
    assert served.client.call("retry many", those)["items"] == []
    served.room.providers.refusing["far"] = "it refused a call"
    assert served.client.call("retry many", those)["items"] == ["a"]
    assert served.room.keys.said_mended == {"far"}


@pytest.mark.parametrize("operation", ["cancel many", "retry many"])
def test_all_items_are_never_meant_by_silence(served: Served, operation: str) -> None:
    submit(served, "a")
    with pytest.raises(Refused, match="say which"):
        served.client.call(operation, {})
    assert states(served) == {"a": "ready"}


EMPTY = [{"agent": ""}, {"label": ""}, {"state": ""}, {"label": "wall=north", "agent": ""}, {"label": "="}]


@pytest.mark.parametrize("said", EMPTY, ids=str)
@pytest.mark.parametrize("operation", ["cancel many", "retry many", "work list"])
def test_an_empty_word_is_refused_by_its_field_and_nothing_is_done(
    served: Served, operation: str, said: dict[str, str]
) -> None:
    submit(served, "a", labels={"wall": "north"})
    with pytest.raises(Refused) as refused:
        served.client.call(operation, **({"body": said} if "many" in operation else said))
    field = next(name for name, word in said.items() if word in {"", "="})
    assert [each.pointer for each in refused.value.problems] == [f"/{field}"]
    assert states(served) == {"a": "ready"}


@pytest.mark.parametrize("operation", ["cancel many", "retry many"])
def test_an_agent_that_there_is_not_is_refused_and_one_without_items_is_not(served: Served, operation: str) -> None:
    with pytest.raises(Refused, match="ecko") as refused:
        served.client.call(operation, {"agent": "ecko"})
    assert refused.value.code == "unknown_agent"
    assert served.client.call(operation, {"agent": "echo"})["items"] == []


# --- edited -----------------------------------------------------------------------------------------------------------


def test_an_edit_is_bound_as_a_submit_is(served: Served) -> None:
    submit(served, "a", labels={"wall": "north"})
    with pytest.raises(Refused) as refused:
        served.client.call("work edit", {"labels": dict.fromkeys(map(str, range(101)), "x")}, id="a")
    assert [each.pointer for each in refused.value.problems] == ["/labels"]


def test_what_an_agent_does_not_see_is_changed_in_place(served: Served) -> None:
    submit(served, "a", "b", priority=5, labels={"team": "one"})
    reply = served.client.call("work edit", {"priority": 9, "labels": {"team": "two"}, "max_attempts": 7}, id="b")
    assert (reply["asked"]["priority"], reply["asked"]["max_attempts"], reply["state"]) == (9, 7, "ready")
    reader = served.room.journal.reader()
    first, second = (reader.record(ItemId(name)) for name in "ab")
    assert first is not None
    assert second is not None
    assert second.rank < first.rank, "it is claimed before the one that came first"
    assert [each.item.id for each in reader.records(label=("team", "two"))] == ["b"]
    (event,) = served.client.events(since="0", type="work.edited")
    assert event["data"]["fields"] == ["labels", "max_attempts", "priority"]


def test_a_new_description_begins_the_walk_again(served: Served) -> None:
    submit(served, "a", agent="documentation", stages=["optimize", "execute"])
    served.client.call("work cancel", {}, id="a")
    with pytest.raises(Refused, match="cannot be edited"):
        served.client.call("work edit", {"description": "Something else altogether"}, id="a")
    submit(served, "b")
    reply = served.client.call("work edit", {"description": "Something else altogether"}, id="b")
    assert reply["asked"]["description"] == "Something else altogether"
    again = served.client.submit({**CLEAR, "id": "b"})
    assert again["created"] is False, "the id still means what was submitted under it"


def test_an_edit_that_would_not_be_valid_is_refused_field_by_field(served: Served) -> None:
    submit(served, "a")
    with pytest.raises(Refused) as refused:
        served.client.call("work edit", {"priority": 11, "description": "", "expires_at": 1}, id="a")
    assert {each.pointer for each in refused.value.problems} == {"/priority", "/description", "/expires_at"}
    assert served.client.call("work show", id="a")["asked"]["priority"] == CLEAR.get("priority", 5)


TAKEN_OFF = {
    "input": [1], "expires_at": "2999-01-01T00:00:00Z", "timeout": "5m", "idle_timeout": "9s", "backoff": 2,
    "success_criteria": "it stands",
}  # fmt: skip
EMPTIED: dict[str, Any] = {
    "budget": {"calls": 3}, "requirements": ["a wall"], "constraints": ["no paint"], "labels": {"wall": "north"},
}  # fmt: skip


def test_a_null_takes_off_what_an_item_may_do_without_and_what_is_empty_all_that_is_in_one(served: Served) -> None:
    submit(served, "a", **TAKEN_OFF, **EMPTIED)
    emptied = {name: type(value)() for name, value in EMPTIED.items()}
    asked = served.client.call("work edit", {**dict.fromkeys(TAKEN_OFF), **emptied}, id="a")["asked"]
    assert {name: asked[name] for name in TAKEN_OFF} == dict.fromkeys(TAKEN_OFF)
    assert asked["budget"] == dict.fromkeys(["nano_usd", "tokens", "calls"])
    assert (asked["requirements"], asked["constraints"], asked["labels"]) == ([], [], {})


def test_a_null_anywhere_else_is_refused_by_its_field_and_changes_nothing(served: Served) -> None:
    submit(served, "a")
    before = served.client.call("work show", id="a")["asked"]
    never = EditRequest.model_fields.keys() - TAKEN_OFF.keys() - {"id"}
    with pytest.raises(Refused) as refused:
        served.client.call("work edit", dict.fromkeys(never), id="a")
    told = {each.pointer.removeprefix("/"): each.detail for each in refused.value.problems}
    assert told.keys() == never
    assert (told["requirements"], told["budget"]) == ("must be a list, not null", "must be an object, not null")
    assert served.client.call("work show", id="a")["asked"] == before


def test_what_stays_as_it_is_is_no_edit(served: Served) -> None:
    submit(served, "a", priority=5)
    served.client.call("work edit", {"priority": 5}, id="a")
    assert list(served.client.events(since="0", type="work.edited")) == []


# --- paused -----------------------------------------------------------------------------------------------------------


def test_a_pause_is_told_kept_and_ended_by_resume(served: Served) -> None:
    assert served.client.call("pause", {})["state"] == "paused"
    assert served.client.call("status")["state"] == "paused"
    assert served.room.journal.reader().setting("paused") == "yes"
    submit(served, "a")
    assert states(served) == {"a": "ready"}, "work is taken in all the while"
    assert served.client.call("resume", {})["state"] == "running"
    assert served.room.journal.reader().setting("paused") == "no"
    kinds = [each["type"] for each in served.client.events(since="0")]
    assert [each for each in kinds if each in {"paused", "resumed"}] == ["paused", "resumed"]


def test_a_panic_revokes_everything_that_runs_before_it_writes(served: Served) -> None:
    submit(served, "a", "b")
    slots = tuple(Slot(AgentName("echo"), Stage.EXECUTING, f"actor/{each}#1") for each in (1, 2))
    served.room.journal.call(Claim(slots=slots), WITHIN)
    reply = served.client.call("panic", {})
    assert reply["state"] == "paused"
    assert sorted(each[0] for each in served.room.revoked[0][0]) == ["a", "b"]
    assert served.room.journal.reader().setting("paused") == "yes"
    (event,) = served.client.events(since="0", type="panicked")
    assert event["data"]["by"].startswith("uid:")
    assert served.room.journal.reader().counts()[WorkState.CANCELLED] == 0, "nothing is cancelled by it"
