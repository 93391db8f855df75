"""sd_notify: one datagram a message to the socket that systemd named, and never a reason to fail."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from darumad.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def test_each_state_is_told_as_systemd_reads_it(systemd: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    assert notifier.ready("working on 3\nitems")
    assert systemd.recv(1000) == b"READY=1\nSTATUS=working on 3 items"
    assert notifier.alive()
    assert systemd.recv(1000) == b"WATCHDOG=1"
    assert notifier.stopping("draining", within=60)
    assert systemd.recv(1000) == b"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=60000000"


def test_an_abstract_socket_is_reached_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")
        listening.settimeout(10)
        name = listening.getsockname().decode()
        assert Notifier({"NOTIFY_SOCKET": "@" + name[1:]}).alive()
        assert listening.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    assert not Notifier({}).ready("up")
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()
