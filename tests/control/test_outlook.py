"""What holds an item back is named where one looks for it, with what lets it go on."""

import re
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from darumad.control import Client
from darumad.errors import Refused, Unavailable
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
    (said,) = served.client.call("status")["held_back"]
    assert said.startswith(f"{PAUSED} (one, since 20")


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


def test_a_provider_in_use_that_cannot_be_used_is_told_with_why_and_nothing_waits_for_it_yet(served: Served) -> None:
    served.room.providers.state = "error"
    status = served.client.call("status")
    assert (status["held_back"], status["amiss"]) == ([], ["provider far: because"])


def test_a_provider_whose_fallback_answers_is_told_with_who_that_is(served: Served) -> None:
    served.room.providers.names = ("far", "near")
    served.room.providers.refusing["far"] = "it refused a call"
    served.client.submit({**CLEAR, "id": "one"})
    status = served.client.call("status")
    assert status["held_back"] == []
    assert status["amiss"] == ["provider far: it refused a call; asked in its place: near"]


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
    parked, blocked = served.client.call("status")["held_back"]
    assert parked.startswith("an answer to what its agent asked: `daruma work answer` (first, since ")
    assert blocked == place


def test_a_lane_that_is_full_of_what_goes_on_by_itself_is_not_told_as_held_back(served: Served) -> None:
    served.room.lanes["tree"] = Lane(max_running=2)
    for number in range(3):
        served.client.submit({**CLEAR, "id": f"i{number}", "lane": "tree"})
    served.room.claim()
    served.room.park("question", "which of the two?")
    assert "i0 is running, i1 is parked" in str(_shown(served.client, "i2"))
    assert not [each for each in served.client.call("status")["held_back"] if "lane" in each]


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
    room.providers.passes = True


def _shut_for_good(room: Room, client: Client) -> None:
    _shut(room, client)
    room.providers.refusing["far"] = "it refused a call"


def _unread(_: object) -> Any:
    raise Refused("the journal is damaged", code="bad_journal")


def _benched(room: Room, *states: str) -> None:
    room.instances = [{"path": f"echo/{n}", "agent": "echo", "state": state, "last_error": "it broke"}
                      for n, state in enumerate(states)]  # fmt: skip


def _bench(room: Room, client: Client) -> None:
    client.submit({**CLEAR, "id": "one"})
    _benched(room, "benched", "benched")


def _hold(room: Room, client: Client) -> None:
    client.submit({**CLEAR, "id": "one"})
    room.held.add(AgentName("echo"))


def _crowd_out(room: Room, client: Client) -> None:
    client.submit({**CLEAR, "id": "one"})
    room.unplaced.add(AgentName("echo"))


@pytest.mark.parametrize(
    ("hold", "says"),
    [
        (_crowd_out, "room for the agents of echo: those of as many definitions are there as `executors.most_def"),
        (_hold, "the template of agent echo, which is held"),
        (_bench, "agent echo, benched (2 of 2), for it kept falling: it broke. Correct it, then"),
        (_depend, "vague, which is parked (challenge)"),
        (_shut, "provider far: because"),
        (_shut_for_good, "provider far: it refused a call"),
    ],
)
def test_whatever_else_holds_an_item_back_is_named_for_itself_and_for_the_daemon(
    served: Served, hold: Callable[[Room, Client], None], says: str
) -> None:
    hold(served.room, served.client)
    shown = str(_shown(served.client, "one"))
    assert shown.startswith(says)
    health, status = served.client.call("health"), served.client.call("status")
    assert health["held_back"] == status["held_back"]
    (told,) = health["held_back"]
    assert told.startswith("answers to its questions" if hold is _depend else f"{shown} (one, since 20")
    assert (health["live"], health["ready"], health["amiss"]) == (True, True, [])
    assert health["needs_somebody"] is (hold not in {_shut, _crowd_out})


def test_items_that_wait_for_the_same_are_one_line_with_the_first_of_them(served: Served) -> None:
    served.room.held.add(AgentName("echo"))
    for name in ("one", "two", "three"):
        served.client.submit({**CLEAR, "id": name})
    (told,) = served.client.call("status")["held_back"]
    assert " (one and 2 more, since 20" in told


@pytest.mark.parametrize("reason", ["budget", "approval", "provider", "template"])
def test_what_is_parked_is_told_by_status_and_health_with_what_lets_it_go_on(served: Served, reason: str) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.park(reason, "no more")
    health = served.client.call("health")
    (told,) = health["held_back"]
    assert told.startswith(f"{_shown(served.client, 'one')} (one, since 20")
    assert (health["live"], health["ready"], health["degraded"]) == (True, True, False), "no restart mends it"
    assert health["needs_somebody"]


def test_what_an_outage_put_off_is_counted_with_those_that_wait_for_the_same_provider(served: Served) -> None:
    for name in ("off", "failed", "next"):
        served.client.submit({**CLEAR, "id": name})
    served.room.put_off("outage")
    served.room.put_off("backoff")
    assert served.client.call("status")["held_back"] == [], "its provider may be well again"
    served.room.shut.add(AgentName("echo"))
    served.room.providers.state, served.room.providers.passes = "error", True
    status = served.client.call("status")
    (told,) = status["held_back"]
    assert re.fullmatch(r"provider far: because \(\w+ and 1 more, since .+\)", told)
    assert (status["amiss"], status["needs_somebody"]) == ([], False)
    waits = {each: served.client.call("work show", id=each)["waits_for"] for each in ("off", "failed", "next")}
    assert waits == {"off": "provider far: because", "failed": None, "next": "provider far: because"}


def test_a_provider_is_told_once_though_a_second_goes_by_while_it_is_looked_at(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "off"})
    served.room.put_off("outage")
    seconds = count(3_600, -1)
    served.room.providers.state, served.room.providers.reason = "error", lambda: f"no call for {next(seconds)} s more"
    status = served.client.call("status")
    assert (len(status["held_back"]), status["amiss"]) == (1, [])


def test_what_was_put_off_waits_while_some_provider_is_well_for_its_time_or_for_a_retry(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.put_off("outage")
    served.room.providers.names = ("far", "near")
    served.room.providers.refusing["far"] = "it refused a call"
    assert served.client.call("status")["held_back"] == []
    word = "its time, or your word that what it was put off for is well: `daruma work retry one`"
    assert served.client.call("work show", id="one")["waits_for"] == word
    assert served.client.call("work retry", {}, id="one")["released"] == ["one"]


def test_of_what_waits_for_a_budget_those_are_told_when_that_a_new_day_lets_go_on_and_no_others(served: Served) -> None:
    for name, budget in (("of-the-day", "all"), ("in-all", "agent:echo"), ("own", "item:own"), ("too", "item:too")):
        served.client.submit({**CLEAR, "id": name})
        served.room.park("budget", "no room", budget=budget)
    told = sorted(served.client.call("status")["held_back"])
    room = "room in a budget: `daruma budgets` shows them, `daruma budgets set` raises one"
    helps = f"{room}; a new day helps too, which begins on 2026-11-22 at 00:00 (Europe/Berlin)"
    assert [each.partition(", since")[0] for each in told] == [f"{room} (in-all and 2 more", f"{helps} (of-the-day"]
    assert served.client.call("work show", id="of-the-day")["waits_for"] == helps


def test_what_is_wrong_is_told_also_while_nothing_waits_for_it(served: Served) -> None:
    served.room.unmade[AgentName("executor")] = "general.py: there is no such file"
    served.room.held.add(AgentName("documentation"))
    _benched(served.room, "idle", "benched")
    amiss = served.client.call("health")["amiss"]
    assert [each.split(",")[0] for each in amiss] == [
        "agent executor", "the template of agent documentation", "agent echo",
    ]  # fmt: skip
    assert "benched (1 of 2)" in amiss[2]
    assert served.client.call("status")["amiss"] == amiss


def test_health_is_answered_while_the_disk_hangs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.server._desk is not None
    back = threading.Event()
    monkeypatch.setattr("darumad.control.on_daemon._PATIENCE", 0.01)
    monkeypatch.setattr(type(served.server._desk.daemon.reader), "alike", lambda _: back.wait(20) and [])
    health = served.client.call("health")
    back.set()
    assert (health["live"], health["needs_somebody"]) == (True, True)
    assert health["amiss"][0].startswith("the journal cannot be read")


def test_health_is_answered_while_the_journal_cannot_be_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.server._desk is not None
    monkeypatch.setattr(type(served.server._desk.daemon.reader), "alike", _unread)
    health = served.client.call("health")
    assert (health["live"], health["held_back"]) == (True, [])
    assert health["amiss"][0].startswith("the journal cannot be read")


def test_status_names_the_suspects_that_wait_for_their_turn(served: Served) -> None:
    for name in ("one", "two"):
        served.client.submit({**CLEAR, "id": name})
    assert served.client.call("status")["held_back"] == []
    served.room.suspect("one")
    assert served.client.call("status")["held_back"] == [
        "its turn to run alone, for the daemon died twice meanwhile: that comes by itself (one)"
    ]
    served.room.suspect("two")
    assert served.client.call("status")["held_back"] == [
        "their turns to run alone, for the daemon died twice meanwhile: that comes by itself (one, two)"
    ]
    assert not served.client.call("status")["needs_somebody"]


LITTLE = "the disk of /state has 3 MiB left"


def test_a_disk_that_takes_nothing_new_is_told_by_status_and_health_and_by_what_waits_for_it(served: Served) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.no_room = LITTLE
    room = f"room: {LITTLE}; make some, and it goes on by itself"
    assert _shown(served.client, "one") == room
    assert served.client.call("status")["held_back"][0].startswith(f"{room} (one, since 20")
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
