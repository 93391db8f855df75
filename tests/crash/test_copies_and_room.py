"""A backup under the load of many, restored into a second daemon; and a disk that fills up under a daemon at work."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from darumad.control.client import Client
from darumad.errors import DarumaError, Unavailable
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

CLIENTS = 64
OFFLINE = {"provider": {"use": "offline"}}
MIB = 1 << 20
SMALL = 40 * MIB
LITTLE_ROOM = {**OFFLINE, "journal": {"ballast": "4 MiB", "low_water": "8 MiB"}}


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        yield Path(place)


@pytest.fixture
def disk(home: Path) -> Iterator[Path]:
    """A real disk of its own, of 40 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here: it takes root and a kernel that lets it mount")
    yield home
    subprocess.run(["umount", "-l", home], check=True)


class Crowd:
    """Clients that hand in item after item, each on a connection of its own. `accepted` is what they were told of."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        self._socket = daemon.socket
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._submit, args=(number,)) for number in range(count)]
        self.accepted: list[str] = []

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stopping.set()
        for each in self._threads:
            each.join()

    def _submit(self, number: int) -> None:
        count = 0
        with Client(self._socket) as client:
            while not self._stopping.is_set():
                name = f"c{number}-{count}"
                client.submit({"id": name, "description": f"Do what {name} is about", "agent": "echo"})
                self.accepted.append(name)
                count += 1


def test_a_backup_under_64_clients_is_finished_by_a_second_daemon(home: Path) -> None:
    for each in ("one", "two"):
        (home / each).mkdir()
    first, second = Daemon(home / "one", OFFLINE), Daemon(home / "two", OFFLINE)
    try:
        first.start()
        with Crowd(first, CLIENTS) as crowd:
            eventually(lambda: len({each.split("-")[0] for each in list(crowd.accepted)}) == CLIENTS, PATIENCE)
            before = list(crowd.accepted)
            copied = first.run("backup", str(home / "copy.db"))
        assert copied.returncode == 0, copied.stderr
        first.kill()
        restored = second.run("restore", str(home / "copy.db"))
        assert restored.returncode == 0, restored.stderr
        second.start()
        eventually(lambda: not unfinished(second), PATIENCE, 0.05)
        ((ended,),) = second.dead_rows("SELECT group_concat(uid) FROM item WHERE state = 'succeeded'")
        assert set(before) - set(ended[0].split(",")) == set()
    finally:
        first.close()
        second.close()


def unfinished(daemon: Daemon) -> int:
    queue = daemon.client.call("status")["queue"]
    return sum(queue[each] for each in ("waiting", "ready", "scheduled", "running", "parked", "dead"))


def test_a_disk_that_fills_up_costs_nothing_that_was_promised(disk: Path) -> None:
    daemon = Daemon(disk, LITTLE_ROOM).start()
    try:
        assert daemon.submit("early")
        daemon.settled("early")
        fill(disk)
        promised = [name for name in map("late-{}".format, range(40)) if taken(daemon, name)]
        assert len(promised) < 40
        with pytest.raises(Unavailable, match="MiB left"):
            daemon.submit("too-much")
        assert daemon.item("early")["state"] == "succeeded", "reads go on"
        daemon.kill()
        (disk / "filler").unlink()
        daemon.start()
        assert {daemon.settled(name)["state"] for name in ["early", *promised]} == {"succeeded"}
        assert daemon.submit("after")
        assert daemon.settled("after")["state"] == "succeeded"
    finally:
        daemon.close()


def test_what_a_read_only_disk_keeps_from_being_done_is_told_as_that(disk: Path, tmp_path: Path) -> None:
    daemon = Daemon(disk, OFFLINE).start()
    try:
        daemon.stop()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert_read_only(daemon.run("serve"), daemon.socket)
        daemon.environ["DARUMA_CONTROL__SOCKET"] = os.fspath(tmp_path / "control.sock")
        for argv in (["serve"], ["backup", os.fspath(tmp_path / "copy.db")], ["journal", "check"]):
            assert_read_only(daemon.run(*argv), daemon.state)
        (found,) = (line for line in daemon.run("doctor").stdout.splitlines() if "state directory" in line)
        assert found.startswith("BAD ")
        assert f"{daemon.state} lies on a file system that is mounted read-only -> Remount it" in found
    finally:
        daemon.close()
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def assert_read_only(done: "subprocess.CompletedProcess[str]", place: Path) -> None:
    assert done.returncode == 74
    said, step = done.stderr.splitlines()
    assert said == f"daruma: {place} lies on a file system that is mounted read-only"
    assert step.startswith("  -> Remount it read-write")


def taken(daemon: Daemon, name: str) -> bool:
    with suppress(DarumaError):
        return bool(daemon.submit(name, input="x" * 20_000))
    return False


def fill(disk: Path) -> None:
    """Take all the room there is."""
    free = shutil.disk_usage(disk).free
    descriptor = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, free)
    os.close(descriptor)
