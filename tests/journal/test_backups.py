"""A copy is made while the daemon writes, and is as good as the journal it is of."""

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from darumad.errors import DarumaError, Refused
from darumad.journal import Accept
from darumad.journal.backups import back_up, restore
from darumad.journal.state_directory import SCHEMA_VERSION, StateDirectory
from darumad.names import Stage
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, Desk, new_item, step
from tests.kit.clock import FakeClock


def state_of(desk: Desk) -> StateDirectory:
    return StateDirectory(desk.directory)


def code(error: pytest.ExceptionInfo[DarumaError]) -> str:
    return error.value.code


def test_a_copy_holds_all_that_was_accepted_before_it_began(desk: Desk, tmp_path: Path, clock: FakeClock) -> None:
    stop, accepted = threading.Event(), [0, 0, 0, 0]

    def hand_in(hand: int) -> None:
        while not stop.is_set():
            desk.submit(new_item(f"{hand}-{accepted[hand]}", stages=(DO,)), max_unfinished=100_000)
            accepted[hand] += 1

    hands = [threading.Thread(target=hand_in, args=(hand,)) for hand in range(len(accepted))]
    for each in hands:
        each.start()
    while min(accepted) < 5:
        stop.wait(0.001)
    before = list(accepted)
    copied = back_up(state_of(desk), tmp_path / "copy.db")
    stop.set()
    for each in hands:
        each.join()
    assert sum(before) <= copied.unfinished <= sum(accepted)

    second = Desk(tmp_path / "second", clock)
    restore(state_of(second), tmp_path / "copy.db")
    second.open()
    known = {each.item.id for each in second.reader.records(limit=100_000)}
    assert {f"{hand}-{number}" for hand, count in enumerate(before) for number in range(count)} <= known
    while held := second.claim(DO, 100):
        for each in held:
            second.succeed(each)
    assert second.reader.counts()[WorkState.SUCCEEDED] == copied.unfinished
    second.close()


def test_what_ran_when_the_copy_was_made_goes_on_behind_its_last_step(desk: Desk, tmp_path: Path) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(step(held, 1))
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.succeed(held)
    desk.close()
    restore(state_of(desk), tmp_path / "copy.db")
    desk.open()
    again = desk.claim_one(DO)
    assert [each[0] for each in again.steps] == [1]
    assert again.record.attempt == 1
    assert list(desk.directory.glob("journal.db.replaced-1")), "the one that was there is kept"


def test_a_copy_is_one_private_file_and_no_half_of_one_is_ever_there(desk: Desk, tmp_path: Path) -> None:
    desk.submit("a")
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    back_up(state_of(desk), target)
    assert [each.name for each in target.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def stale(draft: Path) -> None:
    """What a kill in the middle leaves, and SQLite would take for the draft's own."""
    for end in ("", "-journal", "-wal", "-shm"):
        draft.with_name(f"{draft.name}{end}").write_bytes(b"half of a copy")


def test_what_a_killed_copy_left_goes_with_the_next_one(desk: Desk, tmp_path: Path) -> None:
    desk.submit("a")
    stale(tmp_path / "copy.db.part")
    back_up(state_of(desk), tmp_path / "copy.db")
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy.db"]
    desk.close()
    stale(desk.directory / "journal.db.restoring")
    restore(state_of(desk), tmp_path / "copy.db")
    assert not list(desk.directory.glob("*restoring*"))
    assert desk.open().state("a") is WorkState.READY


def test_a_copy_that_fails_leaves_nothing_of_itself(desk: Desk, tmp_path: Path) -> None:
    for number in range(30):
        desk.submit(new_item(f"i{number}", description="x" * 4000))
    desk.close()
    spoil(desk.directory / "journal.db", "torn")
    with pytest.raises(DarumaError):
        back_up(state_of(desk), tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def test_a_directory_that_is_not_there_is_told(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no directory") as refused:
        back_up(state_of(desk), tmp_path / "none" / "copy.db")
    assert code(refused) == "no_file"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_place_that_one_may_not_write_to_is_told_and_is_no_failing_disk(
    desk: Desk, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for each in (tmp_path, *tmp_path.parents[:-2]):
        each.chmod(0o755)
    state = state_of(desk)
    for each in (state.path, *state.path.rglob("*")):
        os.chown(each, 65534, 65534)
    request.addfinalizer(lambda: os.seteuid(0))
    os.seteuid(65534)
    with pytest.raises(Refused, match="may not be written") as refused:
        back_up(state, tmp_path / "copy.db")
    assert code(refused) == "denied"


def test_what_is_there_is_not_overwritten(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Refused) as refused:
        back_up(state_of(desk), tmp_path / "mine")
    assert code(refused) == "file_exists"
    assert (tmp_path / "mine").read_text() == "mine"


def test_no_copy_is_made_where_the_log_of_an_earlier_one_would_be_taken_for_its_own(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "copy.db-wal").write_text("of a copy that was looked into, and removed")
    with pytest.raises(Refused, match=r"copy\.db-wal is there already"):
        back_up(state_of(desk), tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_place_without_a_journal_has_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        back_up(StateDirectory(tmp_path), tmp_path / "copy.db")
    assert code(refused) == "no_file"


def test_a_copy_of_a_stopped_daemon_is_as_good(desk: Desk, tmp_path: Path) -> None:
    desk.submit("a")
    desk.die()
    assert back_up(state_of(desk), tmp_path / "copy.db").unfinished == 1


def test_nothing_is_put_back_under_a_daemon_that_runs(desk: Desk, tmp_path: Path) -> None:
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.submit("a")
    with pytest.raises(Refused) as refused:
        restore(state_of(desk), tmp_path / "copy.db")
    assert code(refused) == "already_running"
    assert desk.state("a") is WorkState.READY


@pytest.mark.parametrize("how", ["torn", "another program's", "newer", "not there", "no database"])
def test_what_is_no_sound_copy_is_refused_and_nothing_is_touched(desk: Desk, tmp_path: Path, how: str) -> None:
    for number in range(30):
        desk.submit(new_item(f"i{number}", description="x" * 4000))
    copy = tmp_path / "copy.db"
    back_up(state_of(desk), copy)
    desk.close()
    spoil(copy, how)
    before = (desk.directory / "journal.db").read_bytes()
    with pytest.raises(Refused) as refused:
        restore(state_of(desk), copy)
    assert code(refused) == ("no_file" if how == "not there" else "bad_journal")
    assert (desk.directory / "journal.db").read_bytes() == before
    desk.open()


def test_a_journal_whose_last_commits_lie_in_its_log_is_no_copy(desk: Desk, tmp_path: Path) -> None:
    desk.submit("a")
    half = tmp_path / "half.db"
    for end in ("", "-wal"):
        half.with_name(f"half.db{end}").write_bytes((desk.directory / f"journal.db{end}").read_bytes())
    desk.close()
    with pytest.raises(Refused, match=r"half\.db-wal"):
        restore(state_of(desk), half)
    assert desk.open().state("a") is WorkState.READY


def test_the_database_of_another_program_is_not_copied_and_is_named(desk: Desk, tmp_path: Path) -> None:
    desk.close()
    with closing(sqlite3.connect(desk.directory / "journal.db")) as db:
        db.execute("PRAGMA application_id = 7")
    with pytest.raises(Refused, match=r"journal\.db belongs to another program"):
        back_up(state_of(desk), tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


def spoil(copy: Path, how: str) -> None:
    if how == "torn":
        body = bytearray(copy.read_bytes())
        body[len(body) // 2 : len(body) // 2 + 5000] = bytes(5000)
        copy.write_bytes(body)
    elif how == "no database":
        copy.write_text("my diary\n" * 1000)
    elif how == "not there":
        copy.unlink()
    else:
        with closing(sqlite3.connect(copy)) as db:
            db.execute("PRAGMA application_id = 1" if how != "newer" else f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
            db.commit()


def test_a_restore_that_was_killed_is_told_as_a_missing_journal_and_can_be_done_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit("a")
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.close()

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("darumad.journal.backups.write_marker", killed)
        with pytest.raises(Killed):
            restore(state_of(desk), tmp_path / "copy.db")
    with pytest.raises(Refused, match="is missing"):
        desk.open()
    restore(state_of(desk), tmp_path / "copy.db")
    desk.open()
    assert desk.state("a") is WorkState.READY


def test_a_log_that_outlived_its_journal_is_kept_and_not_played_into_the_copy(
    desk: Desk, tmp_path: Path, clock: FakeClock
) -> None:
    desk.submit(*(f"a{number}" for number in range(300)))
    desk.cancel(*(f"a{number}" for number in range(300)))
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    desk.submit(*(f"since{number}" for number in range(50)))
    left = (desk.directory / "journal.db-wal").read_bytes()
    killed = Desk(tmp_path / "killed", clock)
    killed.directory.mkdir()
    (killed.directory / "journal.db-wal").write_bytes(left)
    restore(state_of(killed), tmp_path / "copy.db")
    killed.open()
    assert killed.sql("PRAGMA integrity_check") == [("ok",)]
    assert {each.state for each in killed.reader.records(limit=1000)} == {WorkState.CANCELLED}
    assert (killed.directory / "journal.db.replaced-1-wal").read_bytes() == left
    killed.close()


def test_what_is_put_aside_is_never_paired_with_what_was_put_aside_before(desk: Desk, tmp_path: Path) -> None:
    desk.submit("a")
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.close()
    for left in ("journal.db", "journal.db-wal", "journal.db"):
        restore(state_of(desk), tmp_path / "copy.db")
        (desk.directory / "journal.db").rename(desk.directory / left)
    restore(state_of(desk), tmp_path / "copy.db")
    assert sorted(each.name for each in desk.directory.glob("*replaced*")) == [
        "journal.db.replaced-1", "journal.db.replaced-2", "journal.db.replaced-3-wal", "journal.db.replaced-4",
    ]  # fmt: skip


def test_a_lost_state_directory_is_made_anew_by_a_restore(desk: Desk, tmp_path: Path) -> None:
    desk.submit(new_item("a", stages=(Stage.EXECUTING,)))
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.close()
    shutil.rmtree(desk.directory)
    restore(state_of(desk), tmp_path / "copy.db")
    desk.open()
    assert desk.state("a") is WorkState.READY
    desk.call(Accept(items=(new_item("b"),), audit=AUDIT, max_unfinished=10))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_root_puts_back_belongs_to_whom_the_state_directory_belongs_to(desk: Desk, tmp_path: Path) -> None:
    back_up(state_of(desk), tmp_path / "copy.db")
    desk.close()
    os.chown(desk.directory, 65534, 65533)
    restore(state_of(desk), tmp_path / "copy.db")
    here = state_of(desk)
    for each in (here.database, here.marker, here.lock):
        found = each.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65533, 0o600), each
    assert (tmp_path / "copy.db").stat().st_uid == 0, "the copy stays whose it was"
