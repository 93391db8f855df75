"""A disk without room: nothing new is taken in, what has happened is kept until it can be written, reads go on."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from darumad.errors import Unavailable
from darumad.journal import Claim, Held, Moved, Settle, Slot
from darumad.journal import writer as writers
from darumad.journal.backups import back_up
from darumad.journal.checking import check
from darumad.journal.database import Database
from darumad.journal.room import Room
from darumad.journal.state_directory import StateDirectory, examine
from darumad.names import AgentName, Seconds
from darumad.work.result import Usage
from darumad.work.states import WorkState
from tests.journal.desk import DO, Desk, new_item, step, success
from tests.kit import eventually
from tests.kit.clock import FakeClock

MIB = 1 << 20
SMALL = 24 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of its own, of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here: it takes root and a kernel that lets it mount")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def full(disk: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A journal on that disk with a ballast of 4 MiB and a mark at 2 MiB, and one item held."""
    monkeypatch.setattr(writers, "AGAIN", 0.01)
    desk = Desk(disk / "state", clock, ballast=4 * MIB, low_water=2 * MIB).open()
    yield desk
    release(disk)
    desk.close()


def held(desk: Desk) -> Held:
    desk.submit(new_item("a", stages=(DO,)))
    return desk.claim_one(DO)


def fill(disk: Path, *, but: int = 0) -> None:
    """Take all the room there is, except so many bytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with (disk / "filler").open("ab") as file:
        file.write(bytes(max(0, free - but)))


def release(disk: Path) -> None:
    (disk / "filler").unlink(missing_ok=True)


def ballast(desk: Desk) -> bool:
    return (desk.directory / "ballast").exists()


BIG = "x" * 3 * MIB


def test_below_the_mark_nothing_new_is_taken_in_and_all_else_goes_on(full: Desk, disk: Path) -> None:
    one = held(full)
    fill(disk, but=MIB)
    with pytest.raises(Unavailable) as refused:
        full.submit(new_item("b", stages=(DO,)))
    assert refused.value.code == "disk_full"
    assert refused.value.retry_after
    assert full.submit(new_item("a", stages=(DO,))).created == (False,), "what was accepted before is answered"
    full.call(step(one, 1))
    assert isinstance(full.succeed(one), Moved)
    assert ballast(full), "nobody needed it"
    release(disk)
    assert full.submit(new_item("b", stages=(DO,))).created == (True,)


def test_a_journal_says_how_much_room_its_disk_has_and_what_waits_for_it(full: Desk, disk: Path) -> None:
    one = held(full)
    assert full.journal.no_room() is None
    fill(disk, but=MIB)
    assert full.journal.room() <= MIB
    assert str(full.journal.no_room()).endswith("with less than 2 MiB (`journal.low_water`) nothing new is taken in")
    (full.directory / "ballast").unlink()
    fill(disk)
    full.journal.post(success(one, result={"text": BIG}))
    eventually(lambda: str(full.journal.no_room()).endswith("; 1 ends and steps wait to be written"))


def test_a_stopped_journal_on_a_full_disk_is_called_no_damaged_one(full: Desk, disk: Path, tmp_path: Path) -> None:
    held(full)
    full.close()
    (full.directory / "ballast").unlink(missing_ok=True)
    fill(disk)
    state = StateDirectory(full.directory)
    for look in (examine, partial(check, quick=True), partial(back_up, target=tmp_path / "copy.db")):
        with pytest.raises(Unavailable, match="is full") as refused:
            look(state)
        assert refused.value.code == "disk_full"
    release(disk)
    examine(state)
    full.open()


def test_what_is_finished_is_written_in_the_room_that_was_set_aside(full: Desk, disk: Path) -> None:
    one = held(full)
    assert ballast(full)
    fill(disk)
    assert isinstance(full.succeed(one, result={"text": BIG}), Moved)
    assert not ballast(full)
    assert full.fatal == []
    release(disk)
    full.submit(new_item("b", stages=(DO,)))
    eventually(lambda: ballast(full))  # set aside again when there is room


def test_without_ballast_what_happened_waits_and_what_begins_is_told_to_come_back(full: Desk, disk: Path) -> None:
    one = held(full)
    fill(disk)
    (full.directory / "ballast").unlink()
    fill(disk)
    answers: list[Any] = []
    arrived = threading.Event()

    def hear(outcomes: Any) -> None:
        answers.extend(each.answer for each in outcomes)
        arrived.set()

    full.journal.post(success(one, result={"text": BIG}), hear)
    full.journal.post(Settle(id="never reserved", usage=Usage(), limits={}), None)
    eventually(lambda: full.journal.health().held)
    with pytest.raises(Unavailable) as refused:
        full.call(a_claim())
    assert refused.value.code == "disk_full"
    assert full.state("a") is WorkState.RUNNING, "reads go on"
    assert not arrived.is_set()
    release(disk)
    assert arrived.wait(10)
    assert isinstance(answers[0], Moved)
    assert full.state("a") is WorkState.SUCCEEDED
    assert full.fatal == []


def a_claim() -> Any:
    """Something that begins: a claim."""
    return Claim(slots=(Slot(AgentName("executor"), DO, "actor/7#1"),))


def test_who_waits_for_room_at_the_end_is_told(full: Desk, disk: Path) -> None:
    one = held(full)
    (full.directory / "ballast").unlink()
    fill(disk)
    said: list[Any] = []
    full.journal.post(success(one, result={"text": BIG}), said.extend)
    eventually(lambda: full.journal.health().held)
    full.journal._writer.close(Seconds(10.0))
    assert [type(each.answer) for each in said] == [Unavailable]


def test_a_boot_throws_the_ballast_off_and_is_refused_when_that_is_not_enough(full: Desk, disk: Path) -> None:
    held(full)
    full.die()
    for log in full.directory.glob("journal.db-*"):
        log.unlink()  # what a clean end leaves: a boot must make its log anew
    fill(disk)
    full.open()
    assert not ballast(full)
    full.die()
    for log in full.directory.glob("journal.db-*"):
        log.unlink()
    fill(disk)
    with pytest.raises(Unavailable) as refused:
        full.open()
    assert refused.value.code == "disk_full"
    release(disk)
    full.open()


def test_where_nothing_can_be_set_aside_the_journal_does_without(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    desk = Desk(tmp_path / "state", clock, ballast=MIB).open()
    desk.submit("a")
    desk.close()  # until then the writer tries again and again
    assert not ballast(desk)


def test_a_ballast_that_cannot_even_be_looked_at_ends_the_writing_and_leaves_nobody_unanswered(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Room) -> None:
        raise OSError(5, "Input/output error")

    desk = Desk(tmp_path / "state", clock, ballast=MIB).open()
    monkeypatch.setattr(Room, "set_aside", broken)
    desk.submit("a")
    with pytest.raises(Unavailable) as after:
        desk.submit("b")
    assert (after.value.code, len(desk.fatal)) == ("io_error", 1)
    desk.close()


@pytest.mark.parametrize("moment", ["a commit", "a statement"])
def test_any_other_trouble_with_the_disk_ends_the_writing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    desk.submit("a")

    def broken(*_: Any, **__: Any) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(Database, "commit" if moment == "a commit" else "all", broken)
    with pytest.raises(Unavailable) as failed:
        desk.submit("b")
    monkeypatch.undo()
    assert failed.value.code == "io_error"
    assert len(desk.fatal) == 1
    with pytest.raises(Unavailable) as after:
        desk.submit("c")
    assert after.value.code == "io_error"
    assert desk.state("a") is WorkState.READY, "reads go on"
