import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from darumad.errors import DarumaError, Refused, Unavailable
from darumad.journal.reader import Reader
from darumad.journal.state_directory import SCHEMA_VERSION, StateDirectory, check_owner
from darumad.names import AgentName, ItemId
from darumad.work.states import WorkState
from tests.journal.desk import DO, MADE, Desk, move, new_item, step
from tests.kit.clock import FakeClock


@pytest.fixture
def closed(desk: Desk) -> Desk:
    desk.submit("a")
    desk.close()
    return desk


def refusal(desk: Desk) -> DarumaError:
    with pytest.raises(Refused) as refused:
        desk.open()
    return refused.value


def _raise(error: Exception) -> None:
    raise error


def database(desk: Desk) -> Path:
    return desk.directory / "journal.db"


def test_everything_is_kept_to_its_owner(desk: Desk) -> None:
    desk.submit("a")
    assert stat.S_IMODE(desk.directory.stat().st_mode) == 0o700
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in desk.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"journal.db", "journal.db-wal", "journal.lock", "INITIALISED"} <= set(modes)


def test_a_directory_that_others_may_read_is_closed_to_them(closed: Desk) -> None:
    closed.directory.chmod(0o755)
    database(closed).chmod(0o644)
    closed.open()
    assert stat.S_IMODE(closed.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(database(closed).stat().st_mode) == 0o600


def test_every_start_is_a_boot_of_its_own(desk: Desk) -> None:
    assert desk.journal.boot == 1
    desk.close()
    assert desk.open().journal.boot == 2
    assert desk.events("daemon") == ["daemon.starting", "daemon.starting"]
    assert [each.type for each in desk.published] == desk.events(), "a boot's own facts are published too"


def test_a_second_daemon_is_refused_with_the_firsts_pid(desk: Desk) -> None:
    error = refusal(Desk(desk.directory, desk.clock))
    assert error.code == "already_running"
    assert str(os.getpid()) in error.message
    desk.submit("a")


def test_a_refused_boot_lets_the_lock_go(closed: Desk) -> None:
    sql(closed, "PRAGMA user_version = 99")
    assert refusal(closed).code == "bad_journal"
    sql(closed, f"PRAGMA user_version = {SCHEMA_VERSION}")
    closed.open()


def sql(desk: Desk, statement: str) -> None:
    connection = sqlite3.connect(database(desk))
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_database_is_left_untouched(closed: Desk) -> None:
    sql(closed, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = database(closed).read_bytes()
    error = refusal(closed)
    assert (error.code, f"version {SCHEMA_VERSION}" in error.message) == ("bad_journal", True)
    assert database(closed).read_bytes() == before


def test_the_database_of_another_program_is_refused(closed: Desk) -> None:
    sql(closed, "PRAGMA application_id = 7")
    assert "another program" in refusal(closed).message


def test_a_first_start_that_a_power_cut_ended_is_made_again(desk: Desk, tmp_path: Path) -> None:
    """The switch to another journal mode is a transaction of the old one: its rollback journal lies beside the file."""
    cut = tmp_path / "cut.db"
    connection = sqlite3.connect(cut, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE half (x)")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
        " INSERT INTO half SELECT randomblob(4000) FROM n"
    )
    begun = Desk(tmp_path / "begun", desk.clock)
    begun.directory.mkdir()
    for ending in ("", "-journal"):
        database(begun).with_name(f"journal.db{ending}").write_bytes(cut.with_name(f"cut.db{ending}").read_bytes())
    connection.close()
    begun.open()
    begun.submit("a")
    assert begun.state("a") is WorkState.READY
    begun.close()


def test_a_foreign_database_in_a_new_place_is_refused(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other", desk.clock)
    other.directory.mkdir()
    sql(other, "CREATE TABLE theirs (x)")
    before = database(other).read_bytes()
    assert "another program" in refusal(other).message
    assert database(other).read_bytes() == before


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_lost_database_is_a_loss_and_not_a_beginning(closed: Desk, how: str) -> None:
    database(closed).unlink()
    if how == "empty":
        database(closed).touch()
    error = refusal(closed)
    assert (error.code, how in error.message, "backup" in error.message) == ("bad_journal", True, True)


def test_another_journal_in_its_place_is_refused(closed: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other", closed.clock).open()
    other.close()
    database(other).replace(database(closed))
    assert "not the journal that was made here" in refusal(closed).message


def test_a_file_that_is_no_database_is_refused(closed: Desk) -> None:
    database(closed).write_bytes(b"this is a letter to my aunt" * 100)
    assert refusal(closed).code == "bad_journal"


def damage(desk: Desk) -> bytes:
    """Every page but the first is overwritten; what the file holds then."""
    whole = database(desk).read_bytes()
    damaged = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    database(desk).write_bytes(damaged)
    return damaged


def test_a_page_that_is_met_damaged_later_is_told_in_words_to_whoever_reads(closed: Desk) -> None:
    reader = Reader(database(closed))
    assert len(reader.records()) == 1
    reader.close()
    damage(closed)
    with pytest.raises(Refused, match=r"damaged.*malformed.*backup") as refused:
        reader.records()
    reader.close()
    assert refused.value.code == "bad_journal"


def test_a_journal_whose_pages_are_damaged_is_refused_and_left_as_it_is(closed: Desk) -> None:
    whole = database(closed).read_bytes()
    damaged = damage(closed)
    error = refusal(closed)
    assert (error.code, "malformed" in error.message, "backup" in error.message) == ("bad_journal", True, True)
    assert database(closed).read_bytes() == damaged
    database(closed).write_bytes(whole)
    closed.open()


def test_a_disk_that_fails_while_it_boots_is_told_apart_from_a_damaged_journal(
    closed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    monkeypatch.setattr("darumad.journal.boot.settle_orphans", lambda _: _raise(failed))
    with pytest.raises(Unavailable) as told:
        closed.open()
    assert (told.value.code, told.value.entry.exit) == ("io_error", 74)


def test_a_marker_that_was_not_written_in_time_is_written_at_the_next_boot(closed: Desk) -> None:
    marker = closed.directory / "INITIALISED"
    before = marker.read_text()
    marker.unlink()
    closed.open()
    assert marker.read_text() == before


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_filesystem_is_refused_before_anything_is_written_there(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    far = tmp_path / "far"
    monkeypatch.setattr("darumad.journal.state_directory._mounts", lambda: [(Path("/"), "ext4"), (far, kind)])
    error = refusal(Desk(far / "state", desk.clock))
    assert error.code == "bad_journal"
    assert kind in error.message
    assert not (far / "state" / "journal.db").exists()


def test_a_reader_that_stays_keeps_the_log_and_costs_no_commit(desk: Desk) -> None:
    desk.submit("a")
    reader = sqlite3.connect(f"file:{database(desk)}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM item").fetchone() == (1,)
    for number in range(20):
        desk.submit(new_item(f"i{number}", input="x" * 300_000))
    log = desk.directory / "journal.db-wal"
    assert log.stat().st_size > 6_000_000, "what the reader may still want is kept"
    assert reader.execute("SELECT count(*) FROM item").fetchone() == (1,)
    reader.close()
    for number in range(20, 40):
        desk.submit(new_item(f"i{number}", input="x" * 300_000))
    assert log.stat().st_size < 64_000_000
    assert len(desk.reader.records()) == 41


def test_a_directory_that_cannot_be_made_says_so(desk: Desk) -> None:
    desk.close()
    blocked = Desk(database(desk) / "below", desk.clock)
    error = refusal(blocked)
    assert "the state directory" in error.message
    assert "or set `state_dir`" in error.entry.next_step


_AS_NOBODY = """
import os, sys
import urllib.parse  # a path becomes an URI with it, and nobody may not be let to where this Python lies
from pathlib import Path
from darumad.errors import DarumaError
from darumad.journal.backups import back_up
from darumad.journal.checking import check
from darumad.journal.state_directory import StateDirectory, examine, open_database, prepare, take_lock

def boot(state):
    prepare(state)
    take_lock(state).close()
    open_database(state)

state = StateDirectory(Path(sys.argv[1]))
os.setuid(65534)
for act in (boot, examine, lambda state: check(state, quick=True), lambda state: back_up(state, Path("/nowhere/copy"))):
    try:
        act(state)
    except DarumaError as error:
        print(error.code, error.message)
    else:
        print("can be used")
"""
BOOTS, LOOKS, CHECKS, COPIES = range(4)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("foreign", "who"),
    [
        ("", {BOOTS, LOOKS, CHECKS, COPIES}),
        ("journal.lock", {BOOTS, LOOKS}),
        ("INITIALISED", {BOOTS, LOOKS}),
        ("journal.db", {BOOTS, LOOKS, CHECKS, COPIES}),
        ("journal.db-wal", {BOOTS, LOOKS, CHECKS, COPIES}),
    ],
)
def test_what_another_user_left_behind_is_told_of_by_its_name_and_its_owner(
    clock: FakeClock, foreign: str, who: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as made:  # those that pytest makes are closed to others on the whole way
        state = Path(made, "state")
        Desk(state, clock).open().close()
        (state / "journal.db-wal").touch(0o600)
        for each in (state.parent, state, *state.iterdir()):
            if each != state / foreign:
                os.chown(each, 65534, 65534)
        done = subprocess.run([sys.executable, "-c", _AS_NOBODY, state], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    mode = "0600" if foreign else "0700"
    whose = f"{state / foreign} belongs to root (uid 0) with mode {mode}"
    wanted = f"bad_place {whose}, and this runs as nobody (uid 65534)"
    told = {number for number, line in enumerate(said) if line == wanted}
    assert (told, len(said)) == (who, 4), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_begins_no_daemon_in_the_directory_of_another_user_for_its_files_would_be_root_s(closed: Desk) -> None:
    os.chown(closed.directory, 65534, 65534)
    error = refusal(closed)
    said = f"{closed.directory} belongs to nobody (uid 65534), and this runs as root (uid 0)"
    assert (error.code, error.message) == ("bad_place", said)
    assert "`chown -R USER: DIRECTORY`" in error.entry.next_step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_is_not_its_owner_s_in_a_state_directory_is_told_to_root_too(closed: Desk) -> None:
    here = StateDirectory(closed.directory)
    check_owner(here)
    for each in (closed.directory, *closed.directory.iterdir()):
        os.chown(each, 65534, 65534)
    os.chown(here.marker, 0, 0)
    with pytest.raises(Refused) as refused:
        check_owner(here)
    said = f"{here.marker} belongs to root (uid 0), and {here.path} to nobody (uid 65534)"
    assert refused.value.message == said


def test_a_directory_in_the_databases_place_is_called_that_and_no_disk_that_fails(closed: Desk) -> None:
    database(closed).unlink()
    database(closed).mkdir()
    error = refusal(closed)
    assert (error.code, error.message) == ("bad_place", f"{database(closed)} is a directory and no file; move it away")


# --- rescue and blame -----------------------------------------------------------------------------------------------


def test_what_an_earlier_life_held_is_ready_before_anybody_asks(desk: Desk) -> None:
    desk.submit("a", "b")
    held = desk.claim_one()
    desk.call(move(held, WorkState.RUNNING, DO, output={"brief": 1}))
    desk.die()
    desk.open(start=False)
    assert desk.journal.rescued == ("a",)
    record = desk.record("a")
    assert (record.state, record.stage, record.fence, record.holder) == (WorkState.READY, DO, 2, None)
    assert record.attempt_open
    assert desk.sql("SELECT rescued FROM boot ORDER BY boot") == [(0,), (1,)]
    desk.journal.start()
    again = desk.claim_one(DO)
    assert (again.record.attempt, again.brief) == (1, {"brief": 1})


def live(desk: Desk, *, stepping: bool = False, stop: bool = False) -> None:
    """One life of the daemon that ends while it holds what it could claim."""
    for held in desk.claim(count=5):
        if stepping:
            desk.call(step(held, held.record.fence))
    desk.close() if stop else desk.die()
    desk.open()


def test_one_death_makes_no_suspect_and_two_in_a_row_do(desk: Desk) -> None:
    desk.submit("a")
    live(desk)
    assert not desk.record("a").suspect
    live(desk)
    assert desk.record("a").suspect


@pytest.mark.parametrize("how", ["stepping", "stop"])
def test_who_makes_steps_or_was_stopped_in_order_is_no_suspect(desk: Desk, how: str) -> None:
    desk.submit("a")
    for _ in range(4):
        live(desk, **{how: True})
    record = desk.record("a")
    assert (record.suspect, record.crashes, record.state) == (False, 0, WorkState.READY)


def test_a_step_breaks_the_row_of_barren_lives(desk: Desk) -> None:
    desk.submit("a")
    live(desk, stepping=True)
    live(desk)
    assert not desk.record("a").suspect


def test_a_stage_that_was_finished_breaks_it_too(desk: Desk) -> None:
    desk.submit("a")
    live(desk)
    desk.call(move(desk.claim_one(), WorkState.READY, DO, output={"brief": 1}))
    desk.claim_one(DO)
    desk.die()
    desk.open()
    assert not desk.record("a").suspect


def test_a_suspect_is_claimed_alone_and_only_by_a_daemon_that_has_lived(desk: Desk) -> None:
    desk.submit("a", "b")
    live(desk)
    live(desk)
    desk.submit("c")
    assert [each.record.item.id for each in desk.claim(count=5)] == ["c"]
    desk.clock.advance(10.0)
    assert [each.record.item.id for each in desk.claim(count=5)] == ["a"]
    assert desk.claim(count=5) == (), "one suspect at a time"


def test_a_suspect_is_no_second_one_where_all_but_one_are_barred(desk: Desk) -> None:
    desk.submit("a")
    live(desk)
    live(desk)
    desk.submit("b")
    desk.clock.advance(10.0)
    one = {AgentName("executor"): "near"}
    assert [each.record.item.id for each in desk.claim(count=5, but_one=one)] == ["b"]
    assert [each.record.item.id for each in desk.claim(count=5, but_one=one)] == ["a"]


def test_a_step_clears_a_suspect(desk: Desk) -> None:
    desk.submit("a")
    live(desk)
    live(desk)
    desk.clock.advance(10.0)
    desk.call(step(desk.claim_one()))
    record = desk.record("a")
    assert (record.suspect, record.crashes) == (False, 0)


def test_a_killer_is_dead_after_its_third_crash_and_nobody_else_is(desk: Desk) -> None:
    desk.submit("killer")
    for _ in range(2):
        live(desk)
    desk.submit("innocent")
    for crashes in (1, 2, 3):
        desk.clock.advance(10.0)
        held = desk.claim(count=5)
        for each in held:
            if each.record.item.id == "innocent":
                desk.call(step(each, each.record.fence))
        desk.die()
        desk.open()
        assert desk.record("killer").crashes == crashes
    assert desk.state("killer") is WorkState.DEAD
    assert desk.events("killer")[-1] == "work.dead"
    innocent = desk.record("innocent")
    assert (innocent.state, innocent.crashes, innocent.suspect) == (WorkState.READY, 0, False)


# --- kill -9 --------------------------------------------------------------------------------------------------------

WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from darumad.clock import SystemClock
from tests.journal.desk import Desk, new_item, success
desk = Desk(Path(sys.argv[1]), SystemClock()).open()
n = 0
while True:
    n += 1
    desk.submit(*(f"i{n}-{each}" for each in range(5)))
    print("accepted", n, flush=True)
    held = desk.claim(count=3)
    for each in held:
        desk.succeed(each)
        print("succeeded", each.record.item.id, flush=True)
"""


@pytest.mark.parametrize("lines", [3, 40])
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path, clock, lines: int) -> None:
    directory = tmp_path / "state"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(directory)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    with child.stdout:
        said = [child.stdout.readline().split() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += [each.split() for each in child.stdout.read().splitlines() if len(each.split()) == 2]
    assert child.wait(20) == -signal.SIGKILL
    desk = Desk(directory, clock).open()
    try:
        for what, which in said:
            if what == "accepted":
                assert all(desk.reader.record(ItemId(f"i{which}-{each}")) for each in range(5))
            else:
                assert desk.state(which) is WorkState.SUCCEEDED
                assert desk.reader.result(ItemId(which)) == MADE
        assert desk.reader.counts()[WorkState.RUNNING] == 0
        assert desk.sql("PRAGMA integrity_check") == [("ok",)]
    finally:
        desk.close()
