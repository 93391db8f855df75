"""The wire itself: what is refused before an operation sees it, in which words, and by whom it may be asked."""

import fcntl
import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from darumad.control import peers, server
from darumad.control.client import Client, _UnixConnection
from darumad.control.operations import OPERATIONS
from darumad.control.peers import peer_of
from darumad.control.routes import ROUTES
from darumad.control.sockets import open_control_socket
from darumad.errors import Broken, Refused, Unavailable
from darumad.values import changed
from tests.control.room import CLEAR, Served
from tests.kit import eventually


def _ask(
    served: Served, method: str, path: str, body: Any = None, **headers: str
) -> tuple[http.client.HTTPResponse, Any]:
    connection = _UnixConnection(served.path, 10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return response, json.loads(content) if content.startswith(b"{") else content


def test_every_route_has_its_operation_under_the_same_name() -> None:
    assert OPERATIONS.keys() == ROUTES.keys()
    assert all(OPERATIONS[name].route is route for name, route in ROUTES.items())


def test_what_changes_something_is_no_get_and_needs_the_right_to_write() -> None:
    asked_with_a_body = {"estimate"}  # it changes nothing; what it is asked of is too big for an address
    assert {each.name for each in ROUTES.values() if each.method != "GET"} - asked_with_a_body == {
        each.name for each in ROUTES.values() if each.writes
    }


def test_every_answer_says_which_version_gave_it(served: Served) -> None:
    response, body = _ask(served, "GET", "/version")
    assert (response.headers["Daruma-Version"], response.headers["Daruma-Api"]) == ("0.1.0", "1")
    assert body == {"version": "0.1.0", "api": 1, "boot": 1}


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("DELETE", "/v1/work"), ("POST", "/version")])
def test_what_there_is_not_is_told_as_a_problem(served: Served, method: str, path: str) -> None:
    response, body = _ask(served, method, path)
    assert (response.status, response.headers["Content-Type"]) == (404, "application/problem+json")
    assert (body["code"], body["instance"]) == ("unknown_operation", path)


def test_what_is_asked_by_get_may_be_asked_by_head(served: Served) -> None:
    response, body = _ask(served, "HEAD", "/version")
    assert (response.status, response.headers["Content-Type"], body) == (200, "application/json", b"")


@pytest.mark.parametrize("body", ["{", "[1]", '"text"', '{"description": NaN}', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_malformed(served: Served, body: Any) -> None:
    response, said = _ask(served, "POST", "/v1/work", body)
    assert (response.status, said["code"]) == (400, "malformed")


def test_an_empty_body_is_an_item_without_its_description(served: Served) -> None:
    response, said = _ask(served, "POST", "/v1/work")
    assert (response.status, said["errors"][0]["pointer"]) == (422, "/description")


def test_a_body_declared_too_large_is_refused_before_it_is_read(served: Served) -> None:
    connection = _UnixConnection(served.path, 10)
    connection.putrequest("POST", "/v1/work")
    connection.putheader("Content-Length", str(2 << 20))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_that_grows_too_large_is_refused_though_nothing_was_declared(served: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    response, said = _ask(served, "POST", "/v1/work", chunks())
    assert (response.status, said["code"]) == (413, "too_large")


def test_a_batch_may_be_larger_than_an_item(served: Served) -> None:
    long = {**CLEAR, "input": "x" * (700 << 10)}
    with pytest.raises(Refused) as refused:
        served.client.submit({**CLEAR, "input": "x" * (2 << 20)})
    assert refused.value.code == "too_large"
    assert len(served.client.batch([long, long])["items"]) == 2


def test_an_unknown_parameter_in_the_address_is_refused(served: Served) -> None:
    response, said = _ask(served, "GET", "/v1/work?stat=ready")
    assert response.status == 422
    assert "did you mean `state`" in said["errors"][0]["detail"]


def test_what_stands_in_the_address_cannot_stand_in_the_body_as_well(served: Served) -> None:
    response, said = _ask(served, "POST", "/v1/work/one/cancel", json.dumps({"id": "two"}))
    assert (response.status, said["errors"][0]["pointer"]) == (422, "/id")


def test_a_moment_that_is_not_right_says_when_to_come_back(served: Served) -> None:
    served.room.is_draining = True
    response, said = _ask(served, "POST", "/v1/work", json.dumps(CLEAR))
    assert (response.status, response.headers["Retry-After"], said["code"]) == (503, "5", "draining")


def test_a_defect_of_our_own_is_told_without_its_insides_and_reported_by_its_operation(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall() -> Any:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(served.room.journal.reader(), "counts", fall)
    with pytest.raises(Broken) as broken:
        served.client.call("status")
    assert "secret" not in broken.value.message
    ((operation, error, trace_id),) = served.room.reported
    assert (operation, type(error)) == ("status", RuntimeError)
    assert f"trace_id {trace_id}" in broken.value.message
    assert error.__traceback__ is not None


def test_a_problem_is_named_as_its_caller_named_the_request_or_else_by_a_name_of_its_own(served: Served) -> None:
    given = "4bf92f3577b34da6a3ce929d0e0e4736"
    for _ in range(2):
        _, said = _ask(served, "GET", "/v1/dance", traceparent=f"00-{given}-00f067aa0ba902b7-01")
        assert said["trace_id"] == given
    own = {_ask(served, "GET", "/v1/work/nobody", traceparent=f"00-{given}")[1]["trace_id"] for _ in range(2)}
    assert len(own) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in own)


def test_what_a_traced_request_hands_in_bears_its_trace_id_and_so_does_its_audit_row(served: Served) -> None:
    given = "4bf92f3577b34da6a3ce929d0e0e4736"
    _ask(served, "POST", "/v1/work", json.dumps({**CLEAR, "id": "a"}), traceparent=f"00-{given}-00f067aa0ba902b7-01")
    with Client(served.path, traceparent=f"00-{given}-00f067aa0ba902b7-00") as client:
        client.batch([{**CLEAR, "id": "b"}])
    for number, none in enumerate((None, f"00-{'0' * 32}-00f067aa0ba902b7-01", "no\ntrace")):
        with Client(served.path, traceparent=none) as client:
            client.submit({**CLEAR, "id": f"untraced-{number}"})
    shown = [served.client.call("work show", id=each["id"]) for each in served.client.call("work list")["items"]]
    assert [each["correlation_id"] for each in shown] == [given, given, None, None, None]
    assert [each["request_id"] for each in served.room.journal.reader().audits()] == ["", "", "", given, given]


def test_a_connection_serves_many_questions(served: Served) -> None:
    served.client.call("version")
    kept = served.client._kept
    served.client.call("status")
    assert served.client._kept is kept


def test_only_root_and_the_daemons_own_user_write() -> None:
    other = os.geteuid() + 1
    assert peer_of((f"uid:{os.geteuid()}", 7)).may_write
    assert peer_of(("uid:0", 7)).may_write
    assert not peer_of((f"uid:{other}", 7)).may_write
    assert not peer_of(("127.0.0.1", 4242)).may_write
    assert not peer_of(None).may_write


_AS_NOBODY = """
import os, sys
from pathlib import Path
from darumad.control.client import Client
from darumad.errors import DarumaError
os.setuid(65534)
client = Client(Path(sys.argv[1]))
print(client.call("version")["version"])
try:
    client.submit({"description": "x"})
except DarumaError as error:
    print(error.code, error.message)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_reads_and_is_denied_to_write(served: Served) -> None:
    served.room.directory.chmod(0o755)
    served.path.chmod(0o666)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(served.path)], capture_output=True, text=True, check=True
    )
    version, denied = done.stdout.splitlines()
    assert version == "0.1.0"
    assert denied.startswith("denied submit is for the daemon's own user and root, and you are uid:65534")


def test_the_socket_is_for_its_owner_and_group_only(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o660


def test_a_client_without_a_daemon_says_that_nobody_answers(tmp_path: Any) -> None:
    with pytest.raises(Unavailable) as unavailable, Client(tmp_path / "none.sock") as client:
        client.call("status")
    assert unavailable.value.code == "unreachable"


def test_a_daemon_that_does_not_answer_is_given_up_after_the_callers_patience(tmp_path: Any) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with Client(tmp_path / "s") as client, pytest.raises(Unavailable) as unavailable:
            client.call("status", within=0.05)
    assert "did not answer in time: it hangs" in unavailable.value.message
    assert "`systemctl status darumad`" in unavailable.value.message


@contextmanager
def _sending(path: Path, *sent: bytes) -> Iterator[socket.socket]:
    """A connection over which each part of `sent` went, as far as it was read."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        caller.connect(str(path))
        with suppress(BrokenPipeError, ConnectionResetError):  # it may hang up before everything is sent
            for part in sent:
                caller.sendall(part)
        yield caller


def _raw(path: Path, *sent: bytes) -> bytes:
    """The beginning of what is answered to `sent`, or to nothing, before the connection is ended."""
    with _sending(path, *sent) as caller:
        return caller.recv(64)


def _turned_away(path: Path, *sent: bytes) -> tuple[int, str, str]:
    """The status, the code and the words of the last that is said over the connection, which is a problem in form."""
    with _sending(path, *sent) as caller, http.client.HTTPResponse(caller) as response:
        response.begin()
        said = json.loads(response.read())
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Connection"] == "close"
        assert response.headers["Daruma-Api"] == "1"
    assert said.keys() == {"type", "title", "status", "detail", "instance", "code", "trace_id", "errors"}
    assert said["status"] == response.status
    return response.status, said["code"], said["detail"]


def _unread(caller: socket.socket) -> int:
    """How many bytes that `caller` sent have not been taken from its socket."""
    left = fcntl.ioctl(caller, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(left, sys.byteorder)


@contextmanager
def _another_door(served: Served, **manners: Any) -> Iterator[Path]:
    """A control socket of the same house, which minds other manners."""
    served.server._daemon = changed(served.server._daemon, **manners)
    path = served.room.directory / "other.sock"
    with closing(open_control_socket(path)) as control:
        door = served.server.open("control-socket", control)
        yield path
        door.close(5)


def _count(served: Served, reason: str) -> int:
    label = f'daruma_connections_refused_total{{door="control-socket",reason="{reason}"}} '
    (line,) = [line for line in served.client.text("metrics").splitlines() if line.startswith(label)]
    return int(float(line.removeprefix(label)))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /version HTTP/1.1\r\nX: " + b"x" * (1 << 20),
        b"GET /version HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["one header", "many headers", "address"],
)
def test_a_head_that_is_as_long_as_a_body_is_refused(served: Served, sent: bytes) -> None:
    long = (431, "head_too_long", "the head of the request has more than 64 KiB")
    assert _turned_away(served.path, sent) == long
    assert served.client.call("version")["api"] == 1
    assert _count(served, "long") == 1


def test_a_head_within_its_bound_is_read_though_it_comes_in_pieces(served: Served) -> None:
    half = b"x" * (25 << 10)
    with _sending(served.path, b"GET /version?" + half) as caller:
        eventually(lambda: _unread(caller) == 0)
        caller.sendall(half + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert caller.recv(64).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("sent", [b"HELO there\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_told_so_in_the_form_of_every_error(served: Served, sent: bytes) -> None:
    assert _turned_away(served.path, sent) == (400, "no_http", "what came is no HTTP/1.1 that can be read")
    assert served.client.call("version")["api"] == 1


@pytest.mark.parametrize("behind", [b"HELO there\r\n", b"GET /version HTTP/1.1\r\nX: "], ids=["no http", "too slow"])
def test_nobody_is_told_why_within_an_answer_that_is_under_way(served: Served, behind: bytes) -> None:
    with _another_door(served, head_timeout=0.05) as path, _sending(path, b"GET /v1/events?follow=true") as caller:
        caller.sendall(b" HTTP/1.1\r\nHost: x\r\n\r\n")
        head = caller.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 ")
        caller.sendall(behind)
        rest = b"".join(iter(lambda: caller.recv(4096), b""))
    assert b"HTTP/1.1" not in (head + rest).removeprefix(b"HTTP/1.1 200 ")


SLOW = (408, "too_slow", "the daemon did not get the request in time")


def test_a_head_that_does_not_come_ends_its_connection(served: Served) -> None:
    with _another_door(served, head_timeout=0.05) as path:
        assert _raw(path) == b""
        assert _turned_away(path, b"GET /version HTTP/1.1\r\nX: ") == SLOW
    assert _count(served, "slow") == 2


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", [b"POST /v1/work", b"PUT /v1/blobs/" + b"0" * 64])
def test_a_body_that_does_not_come_ends_its_connection(served: Served, path: bytes, length: bytes) -> None:
    with _another_door(served, body_timeout=0.05) as door:
        assert _turned_away(door, path + b" HTTP/1.1\r\n" + length + b"\r\n\r\n") == SLOW
    assert _count(served, "slow") == 1
    assert served.room.reported == []


def test_a_body_that_keeps_coming_may_take_longer_than_one_timeout(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "BODY_PACE", 0)  # whatever comes is enough
    looks: list[int] = []
    look = peers.PeerProtocol._look_at_body

    def counted(self: peers.PeerProtocol, before: int) -> None:
        looks.append(before)
        look(self, before)

    monkeypatch.setattr(peers.PeerProtocol, "_look_at_body", counted)
    with _another_door(served, body_timeout=0.02) as door, socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        caller.connect(str(door))
        caller.sendall(b"POST /v1/work HTTP/1.1\r\nContent-Length: 2\r\n\r\n{")
        eventually(lambda: len(looks) > 2)
        caller.sendall(b"}")
        assert caller.recv(64).startswith(b"HTTP/1.1 422 ")
    assert _count(served, "slow") == 0


def test_a_door_lets_in_so_many_and_tells_the_next_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server._MOST, "control-socket", 2)
    with _another_door(served) as path:
        with ExitStack() as held:
            idle = [held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
            for each in idle:
                each.connect(str(path))
            assert _turned_away(path) == (503, "door_full", "as many callers are connected as the daemon lets in")
            with Client(path) as client, pytest.raises(Unavailable, match="as many callers are connected") as told:
                client.call("version")
            assert (told.value.code, told.value.retry_after) == ("door_full", 5)
        asked = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
        eventually(lambda: _raw(path, asked).startswith(b"HTTP/1.1 200 "))
    assert _count(served, "full") >= 1
