"""Following outlives the daemon: no event is missed or told twice, and an end that is none is not taken for one."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darumad.cli.following import followed
from darumad.cli.online import Line
from darumad.cli.waiting import AWAY, Patience
from darumad.control import Client
from darumad.errors import Unavailable
from tests.control.room import CLEAR, Room, built, serving
from tests.kit import FakeClock, eventually

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDaruma-Since: 0\r\nDaruma-Newest: 1\r\n\r\n"
LINE = b'{"seq": 1, "at": 1, "type": "work.ready", "subject": "one", "data": {}}\n'
CHUNK = b"%x\r\n%b\r\n" % (len(LINE), LINE)


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """A daemon that gives one caller this answer, byte by byte, and is gone."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(1 << 16)
                caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def patient(clock: FakeClock, *, knock: float = 0.25) -> Patience:
    return Patience(clock=clock, pause=lambda _: clock.advance(knock))


@pytest.mark.parametrize(
    ("answer", "follow"),
    [(HEAD + CHUNK, True), (HEAD + CHUNK[:-9], True), (HEAD + CHUNK + b"0\r\n\r\n", True), (HEAD + CHUNK, False)],
    ids=["cut off", "cut off within an event", "ended by the daemon", "a page that is cut off"],
)
def test_a_stream_that_breaks_or_that_the_daemon_ends_is_no_end_of_what_happened(
    room: Room, answer: bytes, follow: bool
) -> None:
    path = room.directory / "cut.sock"
    with answering(path, answer), Client(path) as client:
        told = []
        with pytest.raises(Unavailable) as broken:
            told.extend(client.events(follow=follow))
        assert broken.value.code == "hung_up"


def test_a_page_that_is_whole_ends(room: Room) -> None:
    path = room.directory / "whole.sock"
    with answering(path, HEAD + CHUNK + b"0\r\n\r\n"), Client(path) as client:
        assert [each["seq"] for each in client.events()] == [1]


@pytest.mark.parametrize("begin", [(), ("--since", "0"), ("--since", "1h")])
def test_a_follower_goes_on_when_the_daemon_is_restarted_and_hears_each_event_once(
    room: Room, begin: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "darumad", "events", "--follow", *begin, "--until", "work.succeeded",
               "-o", "ndjson", "--socket", str(room.directory / "control.sock")]  # fmt: skip
    with serving(room) as served:
        following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        desk = served.server._desk
        assert desk is not None
        eventually(lambda: desk.watch._all)  # it follows
        present = room.journal.reader().last_position()
        served.client.submit({**CLEAR, "id": "one"})
    assert following.stderr is not None
    assert "the daemon went away" in following.stderr.readline()
    room.succeed()
    with serving(room):
        said, complaint = following.communicate(timeout=30)
    told = [json.loads(line)["seq"] for line in said.splitlines()]
    assert (following.returncode, complaint) == (0, "")
    assert told == [each.seq for each in room.journal.reader().events(0 if begin else present)]


def test_a_daemon_that_stays_away_ends_a_follower_as_unreachable(room: Room) -> None:
    clock = FakeClock()
    with Client(room.directory / "control.sock") as client:
        told = followed(Line(client, "json"), patient(clock), {"since": "0"})
        with serving(room):
            next(told)
        with pytest.raises(Unavailable) as gone:
            list(told)
    assert (gone.value.code, gone.value.entry.exit) == ("unreachable", 3)
    assert AWAY <= clock.monotonic() < AWAY + 1


def test_a_follower_of_a_journal_that_was_put_back_hears_what_happened_since_and_is_told_so(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    with built() as copy, Client() as client:
        told = followed(Line(client, "json"), patient(FakeClock(), knock=60.0), {"since": "0"}, type="work.submitted")
        with serving(room) as served:
            client.path = served.path
            served.client.batch([{**CLEAR, "id": f"i{number}"} for number in range(9)])
            last = [next(told) for _ in range(9)][-1]
        with serving(copy) as served:
            client.path = served.path
            served.client.submit({**CLEAR, "id": "after"})
            heard = next(told)
            assert (heard["subject"], heard["seq"] < last["seq"]) == ("after", True)
            served.client.submit({**CLEAR, "id": "later"})
            assert next(told)["subject"] == "later"
    assert f"the journal was put back to before event {last['seq']}" in capsys.readouterr().err
