"""The stream of what happened: in order, resumable, alive while silent, honest about what is gone."""

import asyncio
import http.client
import json
import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from darumad.control import Client, client, streams
from darumad.control.client import _UnixConnection
from darumad.control.streams import NDJSON, Streams, Subscription
from darumad.control.watch import CommitWatch
from darumad.errors import Unavailable
from darumad.events import Recorded
from darumad.names import ItemId
from tests.control.room import CLEAR, Room, Served
from tests.kit import eventually


def _open(served: Served, path: str, **headers: str) -> tuple[_UnixConnection, http.client.HTTPResponse]:
    connection = _UnixConnection(served.path, 10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return connection, connection.getresponse()


def _event(response: http.client.HTTPResponse) -> dict[str, str]:
    fields: dict[str, str] = {}
    while (line := response.readline().decode().rstrip("\n")) or not fields:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
    return fields


def test_history_is_told_in_order_and_ends_where_the_present_begins(served: Served) -> None:
    served.client.batch([{**CLEAR, "id": f"i{number}"} for number in range(3)])
    events = list(served.client.events())
    assert [each["subject"] for each in events if each["type"] == "work.submitted"] == ["i0", "i1", "i2"]
    assert [each["seq"] for each in events] == sorted({each["seq"] for each in events})


def test_a_reader_goes_on_behind_a_position(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    everything = list(served.client.events())
    assert list(served.client.events(since=str(everything[0]["seq"]))) == everything[1:]


def test_a_reader_begins_with_what_happened_so_long_ago(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    everything = list(served.client.events())
    assert list(served.client.events(within=3600)) == everything
    connection = sqlite3.connect(served.room.directory / "state" / "journal.db")
    with closing(connection), connection:
        connection.execute("UPDATE event SET at = at - 7200000 WHERE seq < ?", [everything[-1]["seq"]])
    assert list(served.client.events(within=3600)) == everything[-1:]
    assert list(served.client.events(within=10_000)) == list(served.client.events())
    assert list(served.client.events(within=1e20)) == list(served.client.events()), "from before there were clocks"
    assert list(served.client.events(since="0", within=3600)) == list(served.client.events())


def test_only_what_happened_to_one_item_or_of_one_name_is_told_when_asked(served: Served) -> None:
    served.client.batch([{**CLEAR, "id": "a"}, {**CLEAR, "id": "b"}])
    assert {each["subject"] for each in served.client.events(item="b")} == {"b"}
    assert {each["type"] for each in served.client.events(type="work.submitted")} == {"work.submitted"}


def test_history_holds_what_was_just_answered_even_while_the_publisher_is_behind(served: Served) -> None:
    reached, let_go = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        reached.set()
        let_go.wait(10)

    served.room.publisher.subscribe(hold)
    served.client.submit({**CLEAR, "id": "one"})
    assert reached.wait(5)
    served.client.submit({**CLEAR, "id": "two"})
    try:
        subjects = [each["subject"] for each in served.client.events(type="work.submitted")]
    finally:
        let_go.set()
    assert subjects == ["one", "two"]


def test_a_follower_hears_what_happens_as_it_happens(served: Served) -> None:
    heard: list[Any] = []

    def follow() -> None:
        with Client(served.path) as other:
            for event in other.events(follow=True):
                heard.append(event["type"])
                if event["type"] == "work.succeeded":
                    return

    follower = threading.Thread(target=follow)
    follower.start()
    eventually(lambda: served.server._desk is not None and served.server._desk.watch._all)
    served.client.submit({**CLEAR, "id": "one"})
    served.room.succeed()
    follower.join(5)
    assert heard[0] == "work.submitted"
    assert heard[-1] == "work.succeeded"


def test_server_sent_events_carry_their_position_and_resume_behind_it(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    connection, response = _open(served, "/v1/events?since=0", Accept="text/event-stream")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    first, second = _event(response), _event(response)
    connection.close()
    connection, response = _open(served, "/v1/events?since=0", Accept="text/event-stream", Last_Event_ID=first["id"])
    assert _event(response) == second
    assert json.loads(second["data"])["seq"] == int(second["id"])
    connection.close()


def test_a_silent_stream_gives_signs_of_life(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    connection, response = _open(served, "/v1/events", Accept="text/event-stream")
    assert response.readline() == b": still here\n"
    connection.close()


def test_a_follower_of_little_hears_signs_of_life_while_much_happens(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.5)
    connection, response = _open(served, "/v1/events?type=work.dead", Accept="text/event-stream")
    over = threading.Event()

    def much_happens() -> None:
        with Client(served.path) as other:
            while not over.is_set():
                other.submit(CLEAR)

    busy = threading.Thread(target=much_happens)
    busy.start()
    try:
        assert response.readline() == b": still here\n"
    finally:
        over.set()
        busy.join(10)
        connection.close()


def test_a_daemon_that_is_silent_to_a_follower_is_not_waited_for_for_ever(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.05)
    with pytest.raises(Unavailable) as silent:
        list(served.client.events(follow=True))
    assert "did not answer in time" in silent.value.message


@pytest.mark.parametrize(("oldest", "to"), [(50, 49), (53, 52)], ids=["some are left", "none is left"])
def test_what_is_no_longer_there_is_told_as_a_gap(
    served: Served, monkeypatch: pytest.MonkeyPatch, oldest: int, to: int
) -> None:
    kept = [Recorded(seq=number, at=1, type="work.ready", subject="one", data={}) for number in range(oldest, 53)]

    def events(since: int, limit: int = 500, item: ItemId | None = None, type: str | None = None) -> list[Recorded]:  # noqa: A002
        return [each for each in kept if each.seq > since][:limit]

    assert served.server._desk is not None
    reader = type("R", (), {"events": staticmethod(events), "last_position": lambda: 52})
    publisher = type("P", (), {"after": lambda *_: ((), False), "position": 52})
    monkeypatch.setattr(served.server._desk.streams, "_reader", reader)
    monkeypatch.setattr(served.server._desk.streams, "_publisher", publisher())
    told = list(served.client.events(since="1"))
    assert told[0] == {"type": "gap", "subject": "events", "data": {"from": 2, "to": to}}
    assert [each["seq"] for each in told[1:]] == list(range(oldest, 53))
    assert "\ndaruma_event_gaps_total 1.0\n" in served.client.text("metrics")


def test_so_many_streams_and_no_more(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIMIT", 1)
    connection, response = _open(served, "/v1/events?follow=true")
    assert response.status == 200
    with pytest.raises(Unavailable):
        list(served.client.events())
    connection.close()
    eventually(lambda: served.server._desk is not None and served.server._desk.streams._open == 0)
    assert list(served.client.events())


def test_whoever_hangs_up_before_a_stream_begins_gives_its_place_back(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LIMIT", 1)

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def never_sent(_: object) -> None:
        await asyncio.Event().wait()

    async def come_and_go() -> None:
        watch = CommitWatch(room.publisher, asyncio.get_running_loop())
        followed = Streams(room.publisher, room.journal.reader(), watch, room.tally)
        for _ in range(3):
            await followed.open(Subscription(0, follow=True), NDJSON, {})({"type": "http"}, gone, never_sent)

    asyncio.run(come_and_go())


def test_a_stop_ends_every_stream(served: Served) -> None:
    served.client.submit(CLEAR)
    connection, response = _open(served, "/v1/events?since=0&follow=true")
    assert response.readline()
    served.server.hush()
    assert response.read().endswith(b"\n")
    connection.close()


def test_whoever_comes_to_follow_a_daemon_that_is_ending_is_told_to_come_back(served: Served) -> None:
    served.server.hush()
    with pytest.raises(Unavailable):
        served.client.events(follow=True)
    assert list(served.client.events()), "what has happened is still told"


def test_a_position_that_is_none_is_refused(served: Served) -> None:
    connection, response = _open(served, "/v1/events?since=yesterday")
    assert response.status == 422
    connection.close()
