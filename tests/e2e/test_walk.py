"""The installed daemon as its users meet it: work goes through; what cannot is told, and leaves no trace."""

import http.client
import itertools
import json
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from darumad.control.routes import BATCH_LIMIT, BODY_LIMIT
from darumad.errors import Refused
from tests.e2e.conftest import FEW
from tests.kit.daemon import Daemon
from tests.kit.waking import wake

WALK = ["work.submitted", "work.assigned", "work.stage_changed", "work.stage_changed", "work.succeeded"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One for the whole page: what is refused leaves nothing behind, so that nobody is in another's way."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        running = Daemon(Path(place), FEW).start()
        yield running
        running.close()


@pytest.fixture
def unchanged(daemon: Daemon) -> Iterator[None]:
    """Nothing of what the test does may be recorded; that its journal was looked through is recorded anyway."""

    def recorded() -> list[object]:
        return [each["type"] for each in daemon.events() if each["type"] != "journal.checked"]

    before = daemon.client.call("status")["queue"], recorded()
    yield
    assert (daemon.client.call("status")["queue"], recorded()) == before


# --- what goes through ------------------------------------------------------------------------------------------------


def test_an_item_walks_through_all_stages_to_its_result(daemon: Daemon) -> None:
    wake(daemon.client, "echo")
    said = daemon.run("submit", "--id", "hello", "--agent", "echo", "--wait", "Say hello")
    assert (said.returncode, said.stdout) == (0, "Say hello\n")
    assert [each["type"] for each in daemon.events(subject="hello")] == WALK
    assert [each["data"]["stage"] for each in daemon.events(subject="hello")[1:4]] == [
        "optimizing",
        "executing",
        "reviewing",
    ]
    result = daemon.client.call("result", id="hello")
    assert (result["text"], result["model"], result["attempt"], result["success"]) == ("Say hello", "offline", 1, True)
    assert result["review"]["gates"]["completeness"]["verdict"] == "pass"
    page = daemon.client.text("metrics")
    for stage in ("optimizing", "executing", "reviewing"):
        assert f'\ndaruma_work_item_stage_seconds_count{{stage="{stage}"}} 1.0\n' in page
    assert '\ndaruma_quality_gate_total{gate="completeness",verdict="pass"} 1.0\n' in page
    assert '\ndaruma_quality_gate_total{gate="correctness",verdict="fail"} 0.0\n' in page


def test_the_same_item_handed_in_again_is_the_same_item(daemon: Daemon) -> None:
    assert daemon.submit("again")["created"] is True
    daemon.settled("again")
    position = daemon.client.call("status")["position"]
    assert daemon.submit("again")["created"] is False
    assert daemon.client.call("status")["position"] == position


def test_dependents_are_done_in_order_however_they_are_handed_in(daemon: Daemon) -> None:
    needs = {"third": ["second"], "second": ["first"], "first": []}
    daemon.client.batch(
        [
            {"id": name, "description": f"The {name}", "agent": "echo", "depends_on": depends}
            for name, depends in needs.items()
        ]
    )
    daemon.settled("third")
    done = [each["subject"] for each in daemon.events("work.succeeded") if each["subject"] in needs]
    assert done == ["first", "second", "third"]
    began = {name: daemon.events("work.assigned", name)[0]["seq"] for name in needs}
    ended = {name: daemon.events("work.succeeded", name)[0]["seq"] for name in needs}
    assert began["third"] > ended["second"] > began["second"] > ended["first"]


def test_a_vague_item_is_parked_with_questions_and_then_for_want_of_a_model(daemon: Daemon) -> None:
    said = daemon.run("submit", "--id", "vague", "--wait", "just make it better somehow")
    assert said.returncode == 5
    assert "What is the goal?" in said.stderr
    assert daemon.item("vague")["questions"]
    assert daemon.events("work.assigned", "vague") == []
    daemon.run("work", "answer", "vague", "The tests should run twice as fast")
    parked = daemon.settled("vague")
    assert (parked["state"], parked["reason"], parked["stage"]) == ("parked", "provider", "executing")
    assert parked["answers"] == ["The tests should run twice as fast"]
    assert parked["error"]["kind"] == "model_not_found"
    assert "`providers` in the settings" in parked["error"]["message"]
    assert "daruma work retry" in parked["waits_for"]


def test_an_upload_is_documented_and_its_result_saved(daemon: Daemon, tmp_path: Path) -> None:
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").write_text('"""A tiny package."""\n\ndef bow(depth: int) -> str:\n    """Bow."""\n')
    said = daemon.run(
        "submit", "--id", "tiny", "--agent", "documentation", "--input", str(package), "--wait", "Document this"
    )
    assert said.returncode == 0, said.stderr
    saved = daemon.run("result", "tiny", "--save", str(tmp_path / "saved"))
    assert saved.returncode == 0, saved.stderr
    assert "bow" in (tmp_path / "saved" / "reference.md").read_text()


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"description": "  "}, "/description"),
        ({"description": "x" * 50_001}, "/description"),
        ({"priority": 11}, "/priority"),
        ({"max_attempts": 0}, "/max_attempts"),
        ({"timeout": -1}, "/timeout"),
        ({"timeout": "soon"}, "/timeout"),
        ({"stages": ["review"]}, "/stages"),
        ({"stages": ["dance"]}, "/stages/0"),
        ({"inputs": [{"name": "../out", "text": "x"}]}, "/inputs/0/name"),
        ({"inputs": [{"name": "a", "upload": "0" * 64}]}, "/inputs/0/upload"),
        ({"output_schema": {"$ref": "http://example.org/s"}}, "/output_schema/$ref"),
        ({"run_at": 2_000, "expires_at": 1_000}, "/expires_at"),
        ({"budget": {"calls": -1}}, "/budget/calls"),
        ({"labels": {"wall": 3}}, "/labels/wall"),
        ({"agent": "ecko"}, "/agent"),
        ({"agent": "reviewer"}, "/agent"),
        ({"role": "orchestrator"}, "/agent"),
        ({"descriptoin": "x"}, "/descriptoin"),
        ({"id": "a b"}, "/id"),
        ({"depends_on": ["wrong"]}, "/depends_on/0"),
        ({"depends_on": ["nobody"]}, "/depends_on/0"),
    ],
)
def test_an_invalid_item_is_refused_and_its_field_named(daemon: Daemon, wrong: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Refused) as refused:
        daemon.client.submit({"id": "wrong", "description": "Say something", "agent": "echo", **wrong})
    assert refused.value.code == "invalid"
    assert pointer in [each.pointer for each in refused.value.problems]


@pytest.mark.usefixtures("unchanged")
def test_every_wrong_field_is_named_at_once_and_the_command_ends_with_2(daemon: Daemon) -> None:
    item = {"description": "Say it", "agent": "echo", "max_attempts": 0, "lane": "", "timeout": "soon"}
    said = daemon.run("submit", "--item", "-", given=json.dumps(item))
    assert said.returncode == 2
    assert all(pointer in said.stderr for pointer in ("/max_attempts", "/lane", "/timeout")), said.stderr


@pytest.mark.usefixtures("unchanged")
def test_a_batch_with_one_wrong_item_is_refused_whole(daemon: Daemon) -> None:
    items = [{"id": f"b{n}", "description": "Say it", "agent": "echo"} for n in range(5)]
    with pytest.raises(Refused) as refused:
        daemon.client.batch([*items, {"id": "bad one", "description": "Say it", "agent": "echo"}])
    assert refused.value.problems[0].pointer == "/items/5/id"
    with pytest.raises(Refused) as refused:
        daemon.client.batch([*items, {"id": "b9", "description": "Say it", "agent": "echo", "depends_on": ["b8"]}])
    assert "b8" in str(refused.value) + str(refused.value.problems)


@pytest.mark.usefixtures("unchanged")
def test_a_cycle_is_refused_and_its_members_named(daemon: Daemon) -> None:
    names = ("egg", "hen", "nest")
    items = [
        {"id": name, "description": "Round and round", "agent": "echo", "depends_on": [names[index - 1]]}
        for index, name in enumerate(names)
    ]
    with pytest.raises(Refused) as refused:
        daemon.client.batch(items)
    assert refused.value.code == "cycle"
    assert all(name in str(refused.value) for name in names)
    said = daemon.run("batch", "-", given=json.dumps(items))
    assert said.returncode == 5


def test_the_same_id_for_another_item_is_a_conflict(daemon: Daemon) -> None:
    daemon.submit("taken")
    before = daemon.settled("taken")
    with pytest.raises(Refused) as refused:
        daemon.submit("taken", input="something else")
    assert refused.value.code == "conflict"
    assert daemon.run("submit", "--id", "taken", "--agent", "echo", "Another").returncode == 5
    assert daemon.settled("taken") == before


@pytest.mark.usefixtures("unchanged")
def test_what_is_not_there_is_told_with_the_next_step(daemon: Daemon) -> None:
    said = daemon.run("work", "show", "nobody")
    assert said.returncode == 4
    assert "nobody" in said.stderr
    assert "daruma work list" in said.stderr
    assert daemon.run("agents", "restart", "nobody").returncode == 4
    assert daemon.run("dance").returncode == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("target", "body", "status", "code"),
    [
        ("/v1/dance", b"{}", 404, "unknown_operation"),
        ("/v1/work", b'{"description": ', 400, "malformed"),
        ("/v1/work", b"[1, 2]", 400, "malformed"),
        ("/v1/work", b"\xff\xfe", 400, "malformed"),
        ("/v1/work", b"[" * 100_000, 400, "malformed"),
        ("/v1/work", b" " * (BODY_LIMIT + 1), 413, "too_large"),
        ("/v1/batch", b" " * (BATCH_LIMIT + 1), 413, "too_large"),
    ],
)
def test_a_request_that_cannot_be_read_is_told_so(
    daemon: Daemon, target: str, body: bytes, status: int, code: str
) -> None:
    got, problem = _posted(daemon, target, body)
    assert (got, problem["code"]) == (status, code)
    assert problem["detail"]


@pytest.mark.usefixtures("unchanged")
def test_a_body_without_an_end_is_refused_before_it_is_read(daemon: Daemon) -> None:
    got, problem = _posted(daemon, "/v1/work", itertools.repeat(b" " * 65_536, 64))
    assert (got, problem["code"]) == (413, "too_large")


# --- a daemon that cannot begin ---------------------------------------------------------------------------------------


def test_a_second_daemon_on_the_same_state_directory_ends_with_78_and_says_why(
    daemon: Daemon, house: Callable[..., Daemon], home: Path
) -> None:
    before = daemon.client.call("status")["position"]
    second = house(environ={"DARUMA_STATE_DIR": str(daemon.state)})
    said = second.run("serve", "--config", str(second.config))
    assert said.returncode == 78
    assert str(daemon.state) in said.stderr
    assert not second.socket.exists()
    assert daemon.client.call("status")["position"] == before


def test_a_second_daemon_on_the_same_socket_ends_with_78_and_leaves_the_first_its_socket(
    daemon: Daemon, house: Callable[..., Daemon]
) -> None:
    second = house(environ={"DARUMA_CONTROL__SOCKET": str(daemon.socket)})
    said = second.run("serve", "--config", str(second.config))
    assert said.returncode == 78
    assert str(daemon.socket) in said.stderr
    assert daemon.client.call("health")["live"]


def test_a_socket_path_that_is_too_long_ends_with_78_and_says_how_long_it_may_be(house: Callable[..., Daemon]) -> None:
    daemon = house(environ={"DARUMA_CONTROL__SOCKET": f"/tmp/{'x' * 110}/control.sock"})
    said = daemon.run("serve", "--config", str(daemon.config))
    assert said.returncode == 78
    assert "107" in said.stderr
    assert not (daemon.state / "journal.db").exists()


def test_a_newer_database_is_left_as_it_is(house: Callable[..., Daemon]) -> None:
    daemon = house().start()
    daemon.stop()
    with closing(sqlite3.connect(daemon.state / "journal.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    _is_left_alone(daemon, "journal.db")


def test_a_file_that_is_no_database_is_left_as_it_is(house: Callable[..., Daemon]) -> None:
    daemon = house()
    daemon.state.mkdir(mode=0o700)
    (daemon.state / "journal.db").write_bytes(b"my diary\n" * 1000)
    _is_left_alone(daemon, "journal.db")


def _is_left_alone(daemon: Daemon, name: str) -> None:
    before = (daemon.state / name).read_bytes()
    said = daemon.run("serve", "--config", str(daemon.config))
    assert said.returncode == 78, said.stderr
    assert name in said.stderr
    assert (daemon.state / name).read_bytes() == before


def test_wrong_settings_end_with_78_and_every_line_and_suggestion_is_told(house: Callable[..., Daemon]) -> None:
    daemon = house()
    daemon.config.write_text("executors:\n  cuont: 2\nitem:\n  timeout: soon\nprovider:\n  use: offline\n")
    said = daemon.run("serve", "--config", str(daemon.config))
    assert said.returncode == 78
    assert all(word in said.stderr for word in ("`count`", "daruma.yaml line 2", "'soon'", "daruma.yaml line 4")), (
        said.stderr
    )
    assert not daemon.state.exists()


def test_a_settings_file_that_is_not_there_ends_with_78(house: Callable[..., Daemon]) -> None:
    said = house().run("serve", "--config", "nowhere.yaml")
    assert said.returncode == 78
    assert "nowhere.yaml" in said.stderr


def test_a_command_without_a_daemon_says_how_to_start_one(house: Callable[..., Daemon]) -> None:
    said = house().run("status")
    assert said.returncode == 3
    assert "daruma serve" in said.stderr


# --- by hand, for what the client would not send ----------------------------------------------------------------------


class _ByHand(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def _posted(daemon: Daemon, target: str, body: Any) -> tuple[int, dict[str, Any]]:
    connection = _ByHand(daemon.socket)
    try:
        # It may be refused before it was all sent; the answer is there to be read all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", target, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
