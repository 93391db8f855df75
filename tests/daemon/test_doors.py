"""A door that falls is put up again, and who knocks meanwhile is let in by the next."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from darumad.control.server import ControlServer
from darumad.daemon.doors import sockets
from darumad.errors import Refused
from darumad.settings import Control, Log
from tests.daemon.serving import Serving, served, settings
from tests.kit import eventually

DOOR = "daruma/doors/control-socket"


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


def test_a_group_that_this_machine_does_not_know_is_refused(home: Path) -> None:
    nobodys = Control(socket=home / "control.sock", group="no-such-group")
    with ExitStack() as stack, pytest.raises(Refused, match="no such group") as refused:
        sockets(settings(home, control=nobodys), stack)
    assert refused.value.code == "bad_settings"
