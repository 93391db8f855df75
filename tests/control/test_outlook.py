"""What holds an item back is named where one looks for it, with what lets it go on."""

from collections.abc import Callable
from typing import Any

import pytest

from darumad.control import Client
from darumad.errors import Unavailable
from darumad.journal.requests import Outcome
from darumad.names import AgentName, Capability
from darumad.work.lanes import Lane
from tests.control.room import CLEAR, Room, Served, serving

PAUSED = "the daemon, which is paused: `daruma resume` ends that"
LANE = "lane north, which is paused: set `lanes.north.paused` to false in the settings and restart the daemon"


def _shown(client: Client, item: str) -> str | None:
    waits_for: str | None = client.call("work show", id=item)["waits_for"]
    return waits_for


def test_an_item_of_a_paused_daemon_says_so_wherever_it_is_asked_for(served: Served) -> None:
    served.client.call("pause", {})
    sent = served.client.submit({**CLEAR, "id": "one"})
    assert f"it waits for {PAUSED}" in sent["warnings"]
    assert _shown(served.client, "one") == PAUSED
    with pytest.raises(Unavailable) as still:
        served.client.wait("one", within=0.05)
    assert still.value.message == f"one is still ready: it waits for {PAUSED}"
    assert served.client.call("status")["held_back"] == [PAUSED]


def test_a_drain_is_named_before_a_pause(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.is_paused = served.room.is_draining = True
    assert _shown(served.client, "one") == "the daemon, which is draining: `daruma resume` ends that"


def test_an_item_in_its_line_waits_for_nothing_that_anybody_could_mend(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    assert _shown(served.client, "one") is None
    assert served.client.call("status")["held_back"] == []


def test_an_item_of_a_paused_lane_names_the_setting(served: Served) -> None:
    served.room.lanes |= {"north": Lane(paused=True), "south": Lane()}
    for lane in ("north", "south"):
        served.client.submit({**CLEAR, "id": lane, "lane": lane})
    assert (_shown(served.client, "north"), _shown(served.client, "south")) == (LANE, None)
    assert served.client.call("status")["held_back"] == [LANE]


def test_a_paused_lane_in_which_nothing_is_ready_holds_nothing_back(served: Served) -> None:
    served.room.lanes["north"] = Lane(paused=True)
    served.client.submit({**CLEAR, "id": "elsewhere"})
    assert served.client.call("status")["held_back"] == []


def test_a_provider_in_use_that_cannot_be_used_is_told_with_why(served: Served) -> None:
    served.room.providers.state = "error"
    assert served.client.call("status")["held_back"] == ["provider far: because"]


def test_each_item_of_a_batch_is_told_what_keeps_itself_waiting(served: Served) -> None:
    served.room.lanes |= {"north": Lane(paused=True), "south": Lane()}
    lanes = ("south", "north", "south", "north")
    sent = served.client.batch([{**CLEAR, "id": f"{place}", "lane": lane} for place, lane in enumerate(lanes)])
    told = [f"it waits for {LANE}" in each["warnings"] for each in sent["items"]]
    assert told == [False, True, False, True]


LACKING = (
    "agent echo, which no longer offers gpu: let `agents.echo.offers` say so again and restart the daemon, "
    "or cancel the item"
)


def test_an_item_whose_agent_no_longer_offers_what_it_requires_says_so_in_every_state(served: Served) -> None:
    gpu, git = Capability("gpu"), Capability("git")
    served.room.offer("echo", gpu, git)
    for name, requires in (("one", ["gpu", "git"]), ("less", ["git"]), ("plain", [])):
        served.client.submit({**CLEAR, "id": name, "agent": "echo", "requires": requires})
    served.client.submit({**CLEAR, "id": "later", "agent": "echo", "requires": ["gpu"], "depends_on": ["one"]})
    served.room.offer("echo", git)
    assert [_shown(served.client, name) for name in ("one", "less", "plain", "later")] == [LACKING, None, None, LACKING]


def test_such_an_item_that_is_handed_in_again_is_the_same_item_and_is_told_what_it_waits_for(served: Served) -> None:
    items = [{**CLEAR, "id": name, "agent": "echo", "requires": [name]} for name in ("git", "gpu")]
    served.room.offer("echo", Capability("gpu"), Capability("git"))
    served.client.batch(items)
    served.room.offer("echo", Capability("git"))
    again = served.client.batch(items)["items"]
    assert [(each["id"], each["created"], each["warnings"]) for each in again] == [
        ("git", False, []), ("gpu", False, [f"it waits for {LACKING}"]),
    ]  # fmt: skip


def test_an_item_that_finds_its_lane_full_names_who_is_in_it(served: Served) -> None:
    served.room.lanes["tree"] = Lane(max_running=1)
    served.client.submit({**CLEAR, "id": "first", "lane": "tree"})
    served.client.submit({**CLEAR, "id": "second", "lane": "tree"})
    assert _shown(served.client, "second") is None, "the lane is empty: it merely stands in its line"
    served.room.park("question", "which of the two?")
    place = "a place in lane tree, where 1 may be under way: first is parked (question)"
    assert _shown(served.client, "second") == place
    assert served.client.call("status")["held_back"] == [place]


def test_a_lane_that_is_full_of_what_goes_on_by_itself_is_not_told_as_held_back(served: Served) -> None:
    served.room.lanes["tree"] = Lane(max_running=2)
    for number in range(3):
        served.client.submit({**CLEAR, "id": f"i{number}", "lane": "tree"})
    served.room.claim()
    served.room.park("question", "which of the two?")
    assert "i0 is running, i1 is parked" in str(_shown(served.client, "i2"))
    assert served.client.call("status")["held_back"] == []


def test_of_a_full_lane_a_few_are_named_and_the_others_counted(served: Served) -> None:
    served.room.lanes["tree"] = Lane(max_running=5)
    for number in range(6):
        served.client.submit({**CLEAR, "id": f"i{number}", "lane": "tree"})
    for _ in range(5):
        served.room.claim()
    assert str(_shown(served.client, "i5")).endswith("i0 is running, i1 is running, i2 is running and 2 more")


def _depend(room: Room, client: Client) -> None:
    client.submit({"description": "just do it somehow", "id": "vague"})
    client.submit({**CLEAR, "id": "one", "depends_on": ["vague"]})


def _shut(room: Room, client: Client) -> None:
    client.submit({**CLEAR, "id": "one"})
    room.shut.add(AgentName("echo"))


def _shut_for_good(room: Room, client: Client) -> None:
    _shut(room, client)
    room.providers.refusing["far"] = "it refused a call"


def _hold(room: Room, client: Client) -> None:
    client.submit({**CLEAR, "id": "one"})
    room.held.add(AgentName("echo"))


@pytest.mark.parametrize(
    ("hold", "says"),
    [
        (_hold, "its agent's template, which is held"),
        (_depend, "vague, which is parked (challenge)"),
        (_shut, "its provider, whose circuit is open: it is asked again by itself"),
        (_shut_for_good, "its provider far: it refused a call"),
    ],
)
def test_whatever_else_holds_an_item_back_is_named(
    served: Served, hold: Callable[[Room, Client], None], says: str
) -> None:
    hold(served.room, served.client)
    assert str(_shown(served.client, "one")).startswith(says)


def test_status_says_that_suspects_wait_for_their_turn(served: Served) -> None:
    for name in ("one", "two"):
        served.client.submit({**CLEAR, "id": name})
    assert served.client.call("status")["held_back"] == []
    served.room.suspect("one")
    (said,) = served.client.call("status")["held_back"]
    assert said.startswith("1 item that runs alone, for the daemon died twice")
    served.room.suspect("two")
    (said,) = served.client.call("status")["held_back"]
    assert said.startswith("2 items that run alone")


LITTLE = "the disk of /state has 3 MiB left"


def test_a_disk_that_takes_nothing_new_is_told_by_status_and_health_and_by_what_waits_for_it(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.no_room = LITTLE
    room = f"room: {LITTLE}; make some, and it goes on by itself"
    assert _shown(served.client, "one") == room
    assert served.client.call("status")["held_back"] == [room]
    health = served.client.call("health")
    assert (health["live"], health["ready"], health["degraded"], health["disk"]) == (True, False, True, LITTLE)


def _full(request: Any, reply: Any) -> None:
    reply([Outcome(request, Unavailable("the disk is full", code="disk_full"))])


@pytest.mark.parametrize("operation", ["pause", "panic"])
def test_a_pause_that_cannot_be_recorded_holds_all_the_same_and_says_for_how_long(
    served: Served, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    assert served.server._desk is not None
    monkeypatch.setattr(served.server._desk.commits, "_post", _full)
    with pytest.raises(Unavailable) as refused:
        served.client.call(operation, {})
    assert (refused.value.code, refused.value.message) == (
        "disk_full", "the disk is full; it is paused, but not over a restart",
    )  # fmt: skip
    assert served.room.is_paused


def test_a_cancel_that_waits_for_room_says_that_it_is_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.no_room = LITTLE
    assert served.server._desk is not None
    monkeypatch.setattr(served.server._desk.commits, "_post", lambda request, reply: None)
    with pytest.raises(Unavailable, match="the cancel is kept, and done once there is room") as kept:
        served.client.call("work cancel", {}, id="one")
    assert kept.value.code == "disk_full"


def test_who_hands_in_more_is_told_when_four_fifths_of_the_queue_are_taken(room: Room) -> None:
    room.max_unfinished = 5
    with serving(room) as served:
        said = [served.client.submit({**CLEAR, "id": f"i{number}"})["warnings"] for number in range(5)]
    assert [bool(each) for each in said] == [False, False, False, True, True]
    assert said[3] == ["the queue is nearly full: 4 of 5 unfinished items (`queue.max_items`)"]
