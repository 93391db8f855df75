"""A door that falls is put up again, and who knocks meanwhile is let in by the next."""

import asyncio
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from darumad.control.server import ControlServer
from darumad.control.sockets import open_metrics_socket
from darumad.daemon.doors import sockets
from darumad.errors import Refused
from darumad.settings import Control, Log, Metrics
from tests.daemon.serving import Serving, served, settings
from tests.kit import eventually

DOOR = "daruma/doors/control-socket"
PATIENCE = 10.0


@pytest.fixture
def early() -> Iterator[socket.socket]:
    """A caller who comes early."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(PATIENCE)
        yield caller


def _door_of(daemon: Serving) -> Any:
    (door,) = [each for each in daemon.client.call("tree")["items"] if each["path"] == DOOR]
    return door


def test_a_door_that_falls_dies_and_its_supervisor_puts_up_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    open_ = ControlServer.open

    def kept(self: ControlServer, *args: Any) -> Any:
        opened.append(open_(self, *args))
        return opened[-1]

    monkeypatch.setattr(ControlServer, "open", kept)
    with served(settings(home), monkeypatch) as daemon:
        opened[0]._end()
        eventually(lambda: len(opened) == 2)
        assert daemon.client.call("health")["live"] is True
        door = _door_of(daemon)
        assert (door["incarnation"], door["state"]) == (2, "up")
        assert door["last_exit"] == "crash: the door control-socket fell: it was closed"
        assert daemon.engine.root.wait(0) is None
    assert daemon.exit_code() == 0
    assert all(each.fallen for each in opened), "a door that is closed on purpose stays closed"


def test_who_comes_before_the_tree_stands_is_answered_once_it_does(
    home: Path, monkeypatch: pytest.MonkeyPatch, early: socket.socket
) -> None:
    """As those do who have waited at a socket of systemd's: the door is a part of the tree, so it opens before."""
    given, open_ = settings(home), ControlServer.open

    def come(self: ControlServer, *args: Any) -> Any:
        door = open_(self, *args)
        early.connect(str(given.control.socket))
        early.sendall(b"GET /v1/tree HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        asyncio.run_coroutine_threadsafe(_many_turns(), self._loop).result(PATIENCE)
        return door

    monkeypatch.setattr(ControlServer, "open", come)
    with served(given, monkeypatch):
        answer = early.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert DOOR.encode() in answer


async def _many_turns() -> None:
    """Of the control loop: enough for it to read a request, and to answer one that need not wait."""
    for _ in range(1000):
        await asyncio.sleep(0)


def test_a_socket_whose_file_was_removed_is_bound_again_and_the_daemon_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(home)
    with served(given, monkeypatch) as daemon:
        given.control.socket.unlink()
        daemon.answers_again()
        (told,) = daemon.client.events(type="daemon.socket_bound")
        assert told["data"]["path"] == str(given.control.socket)
        assert _door_of(daemon)["incarnation"] == 1, "it moved, and did not fall"
    assert daemon.exit_code() == 0
    assert not given.control.socket.exists()


def test_a_socket_that_cannot_be_bound_again_is_told_once_and_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, mine = home / "log", home / "mine"
    written.touch()
    mine.touch()
    given = settings(home, log=Log(level="warning", file=written))

    def told() -> int:
        return written.read_text().count('"socket_lost"')

    with served(given, monkeypatch) as daemon:
        mine.replace(given.control.socket)
        eventually(lambda: told() == 1)
        given.control.socket.unlink()
        daemon.answers_again()
    assert told() == 1


def test_a_metrics_port_that_is_taken_costs_nothing_but_itself_and_is_listened_on_once_it_is_free(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_metrics_socket("127.0.0.1:0") as theirs:
        address = f"127.0.0.1:{theirs.getsockname()[1]}"
        with served(settings(home, metrics=Metrics(listen=address)), monkeypatch) as daemon:
            assert daemon.client.call("health")["live"] is True
            theirs.close()
            eventually(lambda: list(daemon.client.events(type="daemon.socket_bound")))
            eventually(lambda: scraped(address))
            (door,) = [each for each in daemon.client.call("tree")["items"] if each["path"] == "daruma/doors/metrics"]
            assert door["incarnation"] == 1, "it moved, and did not fall"
    assert daemon.exit_code() == 0


def test_a_daemon_whose_metrics_port_is_taken_all_the_while_ends_in_good_order(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_metrics_socket("127.0.0.1:0") as theirs:
        taken = Metrics(listen=f"127.0.0.1:{theirs.getsockname()[1]}")
        with served(settings(home, metrics=taken), monkeypatch) as daemon:
            assert daemon.client.call("health")["live"] is True
        assert daemon.exit_code() == 0


def scraped(address: str) -> bool:
    """Whether the daemon answers there with its metrics."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics") as page:
            return b"daruma_queue_items" in page.read()
    except OSError:
        return False


def test_a_group_that_this_machine_does_not_know_is_refused(home: Path) -> None:
    nobodys = Control(socket=home / "control.sock", group="no-such-group")
    with ExitStack() as stack, pytest.raises(Refused, match="no such group") as refused:
        sockets(settings(home, control=nobodys), stack)
    assert refused.value.code == "bad_settings"
