"""Whatever is admitted is read back as the same: of every field, what it takes and what it must not take."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from darumad.control.admission import Admission, edited
from darumad.control.border import Request, checked
from darumad.control.desk import Ask
from darumad.control.operations import OPERATIONS
from darumad.control.peers import Peer
from darumad.control.routes import ROUTES
from darumad.control.wire import EditRequest, SubmitRequest
from darumad.errors import Refused, Unavailable
from darumad.journal.encoding import dump
from darumad.work.codec import item_from_text, item_to_json
from darumad.work.item import WorkItem
from tests.control.room import CLEAR, Room, Served
from tests.work.test_codec import JSON

GOOD: Mapping[str, Any] = {
    **CLEAR,
    "id": "two",
    "phase": "testing",
    "priority": 7,
    "role": "executor",
    "stages": ["execute"],
    "input": {"rows": [1, 2.5, None]},
    "messages": [{"role": "user", "text": "hello"}],
    "conversation": "talk",
    "parent": None,
    "requires": [],
    "lane": "fast",
    "depends_on": [],
    "requirements": ["a wall"],
    "constraints": ["no paint"],
    "tech_stack": ["brick"],
    "tests": ["it stands"],
    "inputs": [{"name": "a.txt", "media_type": "text/plain", "text": "a"}],
    "output_schema": {"type": "object"},
    "timeout": "90s",
    "idle_timeout": 5,
    "backoff": 0.5,
    "max_attempts": 2,
    "max_reviews": 1,
    "run_at": "2999-01-01T00:00:00Z",
    "expires_at": 32_503_680_000_001,
    "budget": {"usd": "2.50 USD", "tokens": 9, "calls": None},
    "challenge": False,
    "labels": {"wall": "north"},
}
"""Of each field of an item a value that it takes."""
ELSEWHERE: Mapping[str, Any] = {
    "items": [{**CLEAR, "labels": {"wall": "north"}}],
    "reason": "because",
    "label": "wall=north",
    "state": "ready",
    "wait": True,
    "answers": ["yes"],
    "daily": 5,
    "daily_tokens": "none",
    "daily_calls": 5,
    "total": "5 USD",
    "total_tokens": 5,
    "total_calls": 5,
    "value": "not told to anybody",
}
"""The same of the fields that only other requests have."""
KNOWN = {**ELSEWHERE, **GOOD}
VAGUE = "just make it better somehow"
"""Such an item is parked for its questions: it can be answered, edited, retried and cancelled."""
PLACES: Mapping[str, str] = {"id": "one", "name": "far-api-key", "scope": "all"}
"""What stands in an address, by the name of its place."""
PLACES_OF = {
    name: {place: word for place, word in PLACES.items() if f"{{{place}" in route.path}
    for name, route in ROUTES.items()
    if route.method == "POST"
}
"""The same for each operation that takes a body."""
SAID = {
    name: OPERATIONS[name].request
    for name, places in PLACES_OF.items()
    if OPERATIONS[name].request.model_fields.keys() - places
}
"""What such an operation lets be said in the body, where it does."""


def sent(model: type[BaseModel], without: Collection[str] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the model's fields, each as it should be, or with any other JSON in its place or in that of a part."""
    fields = {name: _bent(KNOWN[name]) for name in model.model_fields if name not in without}
    return st.fixed_dictionaries({}, optional=fields)


def _bent(value: Any) -> st.SearchStrategy[Any]:
    ways = [st.just(value), st.none(), JSON]
    if isinstance(value, dict):
        ways += [JSON.map(lambda odd, key=key: {**value, key: odd}) for key in value]
    if isinstance(value, list):
        ways += [_bent(each).map(lambda odd: [odd]) for each in value[:1]] or [JSON.map(lambda odd: [odd])]
    return st.one_of(ways)


def admitted(room: Room, said: Mapping[str, Any]) -> WorkItem:
    scope = {"method": "POST", "path": "/v1/work", "client": None, "headers": [], "query_string": b""}
    ask = Ask(Peer("uid:1", 1, may_write=True), ROUTES["submit"], said, Request(scope, _nothing, {}))
    return Admission(room.daemon(), ask).admit(checked(SubmitRequest, said, {}, {}), said).new.item


async def _nothing() -> Any:
    raise AssertionError("nobody reads a body here")


def read_back(item: WorkItem) -> WorkItem:
    return item_from_text(dump(item_to_json(item)))


shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)


def test_there_is_a_value_for_every_field_and_most_are_taken_together(room: Room) -> None:
    assert set(SubmitRequest.model_fields) == set(GOOD)
    assert {*KNOWN, *PLACES} >= {name for model in SAID.values() for name in model.model_fields}
    assert read_back(item := admitted(room, GOOD)) == item


@given(said=sent(SubmitRequest))
@shared
def test_whatever_is_submitted_and_admitted_is_read_back_as_the_same(room: Room, said: dict[str, Any]) -> None:
    try:
        item = admitted(room, {**CLEAR, **said})
    except Refused:
        return
    assert read_back(item) == item


@given(said=sent(EditRequest, without=["id"]))
@shared
def test_whatever_an_item_is_edited_to_is_read_back_as_the_same(room: Room, said: dict[str, Any]) -> None:
    before = admitted(room, {**CLEAR, "id": "one"})
    try:
        after = edited(before, checked(EditRequest, {**said, "id": "one"}, {}, {}), room.clock.wall())
    except Refused:
        return
    assert read_back(after) == after


@pytest.mark.parametrize("operation", SAID)
@given(data=st.data())
@settings(shared, max_examples=40)
def test_nothing_that_may_be_said_fails_inside_or_leaves_an_item_that_cannot_be_read(
    served: Served, operation: str, data: st.DataObject
) -> None:
    places = PLACES_OF[operation]
    name = served.client.submit({"description": VAGUE})["id"]
    said = data.draw(sent(SAID[operation], without=places))
    with suppress(Refused, Unavailable):
        served.client.call(operation, said, **{**places, "id": name} if "id" in places else places)
    assert served.room.reported == []
    assert {each["unreadable"] for each in served.client.call("work list")["items"]} == {None}
    assert served.client.call("work show", id=name)["asked"]["id"] == name
