"""What the daemon says of itself without asking an actor; and drain, resume, stop."""

import re
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from darumad.control import metrics_table
from darumad.control.client import _UnixConnection
from darumad.control.metrics import render
from darumad.control.sockets import open_metrics_socket
from darumad.errors import Refused
from darumad.names import AgentName
from darumad.work import WorkState
from tests.control.room import CLEAR, WITHIN, Row, Served
from tests.kit import eventually

SOURCE = Path(metrics_table.__file__).parents[1]


def test_status_is_the_daemon_on_one_screen(served: Served) -> None:
    served.client.submit(CLEAR)
    status = served.client.call("status")
    assert (status["state"], status["healthy"], status["boot"], status["queue"]["ready"]) == ("running", True, 1, 1)
    assert status["provider"]["provider"] == "offline"
    assert status["agents"] == {"idle": 1}
    assert int(status["position"]) > 0


def test_the_tree_is_told_row_by_row(served: Served) -> None:
    rows = served.client.call("tree")["items"]
    assert [each["path"] for each in rows] == ["daruma", "daruma/engine", "daruma/engine/orchestrator"]
    assert rows[2]["mailbox_depth"] == 3


@pytest.mark.parametrize("name", ["echo", "echo/1", "daruma/engine/minds/executors/echo/1"])
def test_an_agent_is_shown_by_its_name_its_place_or_the_end_of_it(served: Served, name: str) -> None:
    assert served.client.call("agents show", name=name)["instances"][0]["restarts"] == 3


@pytest.mark.parametrize("name", ["echo", "echo/1", "daruma/engine/minds/executors/echo/1"])
def test_an_agent_is_restarted_by_every_name_it_is_shown_by_and_who_asked_is_recorded(
    served: Served, name: str
) -> None:
    assert served.client.call("agents restart", {}, name=name)["restarted"] == ["daruma/engine/minds/executors/echo/1"]
    assert served.room.journal.reader().audits()[0]["action"] == "agents restart"


def test_an_instance_that_could_not_start_is_told_with_why(served: Served) -> None:
    served.room.cannot_start = "echo/1: no thread was left"
    reply = served.client.call("agents restart", {}, name="echo")
    assert (reply["restarted"], reply["failed"]) == (
        [],
        {"daruma/engine/minds/executors/echo/1": "echo/1: no thread was left"},
    )


def test_a_definition_without_instances_is_listed_shown_and_started_by_a_restart(served: Served) -> None:
    asleep = served.client.call("agents list")["asleep"]
    assert "documentation" in asleep
    assert "echo" not in asleep, "it has an instance"
    assert "reviewer" not in asleep, "only executors sleep"
    shown = served.client.call("agents show", name="documentation")
    assert (shown["instances"], bool(shown["stages"])) == ([], True)
    reply = served.client.call("agents restart", {}, name="documentation")
    assert (reply["restarted"], reply["started"]) == ([], ["documentation"])
    assert served.room.woken == ["documentation"]


def test_what_was_parked_for_the_template_of_a_definition_without_instances_goes_on(served: Served) -> None:
    served.client.submit({"id": "broken", "description": "Say it again", "agent": "echo"})
    served.room.park("template", "it cannot go on")
    served.room.instances.clear()
    reply = served.client.call("agents restart", {}, name="echo")
    assert (reply["started"], reply["released"]) == (["echo"], ["broken"])


def test_a_restart_lets_what_was_parked_for_the_template_go_on_and_nothing_else(served: Served) -> None:
    for name, reason in (("broken", "template"), ("keyless", "provider")):
        served.client.submit({"id": name, "description": "Say it again", "agent": "echo"})
        served.room.park(reason, "it cannot go on")
    before = served.room.hints
    assert served.client.call("agents restart", {}, name="echo/1")["released"] == ["broken"]
    states = {each["id"]: each["state"] for each in served.client.call("work list")["items"]}
    assert states == {"broken": "ready", "keyless": "parked"}
    assert served.room.hints > before, "whoever hands work out looks for it at once"


@pytest.mark.parametrize("verb", ["agents show", "agents restart"])
@pytest.mark.parametrize("name", ["1", "cho/1", "executors/echo/1", "echoo"])
def test_what_is_no_name_of_an_agent_is_refused_with_one_that_there_is(served: Served, verb: str, name: str) -> None:
    with pytest.raises(Refused, match=rf"no agent is called {name}") as refused:
        served.client.call(verb, None if verb == "agents show" else {}, name=name)
    assert refused.value.code == "unknown_agent"
    assert ("did you mean" in refused.value.message) is (name != "1")


@pytest.mark.parametrize("name", ["daruma", "daruma/engine", "daruma/engine/orchestrator", "orchestrator", "engine"])
def test_what_is_no_agent_is_not_restarted_by_hand(served: Served, name: str) -> None:
    with pytest.raises(Refused, match=f"{name} is no agent") as refused:
        served.client.call("agents restart", {}, name=name)
    assert (refused.value.code, refused.value.entry.exit) == ("not_an_agent", 2)
    assert served.room.journal.reader().audits() == []


def test_drain_and_resume_are_recorded_before_they_are_done(served: Served) -> None:
    assert served.client.call("drain", {}) == {"state": "draining"}
    assert served.client.call("status")["state"] == "draining"
    assert served.client.call("resume", {}) == {"state": "running"}
    assert [what for what, _ in served.room.asked] == ["drain", "resume"]
    types = [each.type for each in served.room.journal.reader().events(0)]
    assert types.index("daemon.draining") < types.index("resumed")


def test_stop_answers_before_the_daemon_ends(served: Served) -> None:
    connection = _UnixConnection(served.path, 10)
    connection.request("POST", "/v1/stop")
    assert connection.getresponse().status == 202
    connection.close()
    eventually(lambda: served.room.asked)


def _probe(served: Served, path: str) -> int:
    connection = _UnixConnection(served.path, 10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("part", ["actor", "loop", "writer"])
def test_a_part_that_makes_no_progress_turns_the_probes_red(served: Served, part: str) -> None:
    assert (_probe(served, "/livez"), _probe(served, "/readyz")) == (200, 200)
    served.room.signs[part] = "no sign for 12 s"
    assert (_probe(served, "/livez"), _probe(served, "/readyz")) == (503, 503)
    health = served.client.call("health")
    assert (health["live"], health["vital_signs"][part]) == (False, "no sign for 12 s")
    assert served.client.call("status")["state"] == "unhealthy"


def test_a_draining_daemon_lives_and_is_not_ready(served: Served) -> None:
    served.room.is_draining = True
    assert (_probe(served, "/livez"), _probe(served, "/readyz")) == (200, 503)


def test_a_wedged_control_loop_gives_no_more_signs_of_life(served: Served) -> None:
    eventually(lambda: served.server.ticked_at > 0)
    release, wedged = threading.Event(), threading.Event()

    def wedge() -> None:
        wedged.set()
        release.wait(10)

    served.server._loop.call_soon_threadsafe(wedge)
    assert wedged.wait(5)
    last = served.server.ticked_at
    with pytest.raises(AssertionError):
        eventually(lambda: served.server.ticked_at != last, within=0.6)
    release.set()
    eventually(lambda: served.server.ticked_at > last)
    eventually(lambda: served.server.lag < 0.2)


def _values(page: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(daruma_\S+|gen_ai_\S+) (\S+)$", page, re.MULTILINE)}


def test_the_samples_are_what_stands_on_the_metrics_page(served: Served) -> None:
    served.client.submit(CLEAR)
    lines = [line for line in served.client.text("metrics").splitlines() if not line.startswith("#")]
    items = served.client.call("samples")["items"]
    assert {"name": "daruma_queue_items", "labels": {"state": "ready"}, "value": 1.0} in items
    assert [each["name"] for each in items] == [re.split("[{ ]", line)[0] for line in lines]


def test_the_metrics_page_shows_queue_agents_mailboxes_and_what_was_counted(served: Served) -> None:
    served.client.batch([{**CLEAR, "id": "a", "phase": "documentation"}, {**CLEAR, "id": "b"}])
    served.room.succeed()
    eventually(lambda: ("work_items_total", ("documentation", "succeeded")) in served.room.tally.counts())
    values = _values(served.client.text("metrics"))
    assert values['daruma_work_items_total{outcome="succeeded",phase="documentation"}'] == 1
    assert values['daruma_work_items_total{outcome="dead",phase="testing"}'] == 0
    assert values["daruma_work_submitted_total"] == 2
    assert values['daruma_work_item_seconds_bucket{le="5.0",phase="documentation"}'] == 1
    assert values['daruma_queue_items{state="ready"}'] == 1
    assert values['daruma_agent_up{agent="echo"}'] == 1
    assert values['daruma_agent_errors_in_window{agent="echo"}'] == 2
    assert values['daruma_mailbox_depth{actor="orchestrator"}'] == 3
    assert values['daruma_budget_remaining_usd{period="daily",scope="all"}'] == 5
    assert values["daruma_bridge_lag_seconds"] == 0.25
    assert values["daruma_journal_commit_seconds_count"] > 0
    assert values['daruma_events_total{type="work.succeeded"}'] == 1


def test_a_histogram_on_the_page_is_cumulated_and_ends_at_all(served: Served) -> None:
    for seconds in (0.02, 0.02, 7.0, 1e9):
        served.room.tally.observe("work_item_seconds", seconds, ("testing",))
    values = _values(render(served.room.daemon(), 0.0).decode())
    buckets = [value for name, value in values.items() if name.startswith("daruma_work_item_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == values['daruma_work_item_seconds_count{phase="testing"}'] == 4


def test_an_id_is_never_a_label_and_agents_beyond_the_first_fifty_are_one(served: Served) -> None:
    served.room.instances = [
        {"path": f"p/{number}", "agent": f"agent-{number:03}", "state": "idle"} for number in range(80)
    ]
    served.room.rows = [Row(f"daruma/pool/{number}", mailbox_depth=1) for number in range(80)]
    served.client.submit({**CLEAR, "id": "a-very-own-id"})
    page = served.client.text("metrics")
    values = _values(page)
    assert "a-very-own-id" not in page
    assert values['daruma_agent_up{agent="other"}'] == 30
    assert values['daruma_mailbox_depth{actor="pool"}'] == 80


def test_every_state_of_the_queue_is_on_the_page_from_the_beginning(served: Served) -> None:
    values = _values(served.client.text("metrics"))
    assert all(f'daruma_queue_items{{state="{state.value}"}}' in values for state in WorkState)


def test_what_the_house_counts_stands_in_the_table_and_nothing_else_does() -> None:
    others = {path: path.read_text() for path in SOURCE.rglob("*.py") if path.name != "metrics_table.py"}
    counted = {name for text in others.values() for name in re.findall(r'(?:add|observe)\(\s*"(\w+)"', text)}
    assert counted <= metrics_table.METRICS.keys()
    fed = {name for name in metrics_table.METRICS if any(f'"{name}"' in text for text in others.values())}
    assert fed == metrics_table.METRICS.keys()


def test_every_distribution_has_its_bounds() -> None:
    histograms = {each.name for each in metrics_table.METRICS.values() if each.kind == "histogram"}
    assert histograms == metrics_table.BUCKETS.keys()


def test_a_scraper_on_the_loopback_port_sees_metrics_and_probes_and_nothing_else(served: Served) -> None:
    with open_metrics_socket("127.0.0.1:0") as listening:
        door = served.server.open("metrics", listening)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with urllib.request.urlopen(f"{address}/metrics") as page:
            assert b"daruma_queue_items" in page.read()
        with urllib.request.urlopen(f"{address}/livez") as page:
            assert page.status == 200
        for path, method in (("/v1/status", "GET"), ("/v1/stop", "POST"), ("/v1/work", "GET")):
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(urllib.request.Request(address + path, method=method))
            assert error.value.code == 404
            error.value.close()
        for header, value, status in (("Host", "rebound.example", 421), ("Origin", "https://a.example", 403)):
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(urllib.request.Request(f"{address}/metrics", headers={header: value}))
            assert error.value.code == status
            error.value.close()
        door.close(WITHIN)
    assert served.room.asked == []


def test_a_door_that_is_put_up_again_has_refused_nobody(served: Served) -> None:
    """The listening socket outlives the door: who comes meanwhile waits in its backlog."""
    with open_metrics_socket("127.0.0.1:0") as listening:
        served.server.open("metrics", listening).close(WITHIN)
        with socket.create_connection(listening.getsockname()[:2], timeout=5) as early:
            early.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            door = served.server.open("metrics", listening)
            assert early.recv(100).startswith(b"HTTP/1.1 200")
        door.close(WITHIN)
        assert door.fallen


def test_a_provider_that_is_not_called_any_more_degrades_the_daemon_and_keeps_it_alive(served: Served) -> None:
    health = served.client.call("health")
    assert (health["degraded"], health["providers"]) == (False, {"far": True})
    served.room.providers.refusing["far"] = "it refused a call"
    health = served.client.call("health")
    assert (health["live"], health["ready"], health["degraded"]) == (True, True, True)
    assert health["providers"] == {"far": "it refused a call"}


def test_an_agent_that_cannot_be_made_degrades_the_daemon_and_keeps_it_alive(served: Served) -> None:
    served.room.unmade[AgentName("echo")] = "echo.py: there is no such file"
    health = served.client.call("health")
    assert (health["live"], health["ready"], health["degraded"]) == (True, True, True)
    assert health["journal"] is None
    assert (health["agents"]["echo"], health["agents"]["executor"]) == ("echo.py: there is no such file", True)
