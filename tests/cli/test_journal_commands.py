"""Copying, putting back, checking and purging, as programs."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from darumad.journal.state_directory import StateDirectory
from darumad.names import ItemId
from tests.cli.conftest import Run
from tests.control.room import CLEAR, Served
from tests.journal.desk import Desk
from tests.kit.clock import FakeClock

TEXT = "Write a report of all the specific files because the goal must be met using only the tools"
Offline = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def offline(served: Served, tmp_path: Path) -> Offline:
    """Runs an offline command on the served room's directory, or on another."""

    def run(*argv: str, state: Path | None = None) -> Any:
        directory = state or served.room.directory / "state"
        environ = {"DARUMA_STATE_DIR": os.fspath(directory), "PATH": "/usr/bin:/bin", "HOME": os.fspath(tmp_path)}
        command = [sys.executable, "-m", "darumad", *argv]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_running_journal_is_copied_checked_and_put_back_elsewhere(
    served: Served, offline: Offline, tmp_path: Path
) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    copy = tmp_path / "copy.db"
    done = offline("backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert "1 unfinished item," in done.stdout
    assert offline("backup", str(copy)).returncode == 5, "what is there is not overwritten"
    done = offline("restore", str(copy), "--json", state=tmp_path / "second")
    assert json.loads(done.stdout)["unfinished"] == 1
    assert "1 unfinished item," in offline("restore", str(copy), state=tmp_path / "third").stdout
    done = offline("journal", "check", state=tmp_path / "second")
    assert (done.returncode, "is what was written" in done.stdout) == (0, True)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_who_cannot_look_at_a_copy_is_told_so_in_one_sentence(command: str, offline: Offline, tmp_path: Path) -> None:
    place = tmp_path / ("long" * 64)
    done = offline(command, str(place))
    assert done.returncode == 78
    assert done.stderr.startswith(f"daruma: {place} cannot be looked at: File name too long\n  -> Run it as ")


def test_doctor_says_that_it_cannot_look_at_the_state_directory(offline: Offline, tmp_path: Path) -> None:
    place = tmp_path / ("long" * 64)
    done = offline("doctor", state=place)
    assert done.returncode == 1
    assert f"BAD   state directory  {place} cannot be looked at: File name too long -> Run this as " in done.stdout


def test_nothing_is_put_back_under_a_running_daemon(served: Served, offline: Offline, tmp_path: Path) -> None:
    offline("backup", str(tmp_path / "copy.db"))
    done = offline("restore", str(tmp_path / "copy.db"))
    assert done.returncode == 78
    assert "Stop it" in done.stderr


def test_what_a_check_finds_is_told_and_ends_with_1(served: Served, offline: Offline) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    served.room.journal._booted.db.all("UPDATE payload SET sha256 = ''")
    done = offline("journal", "check")
    assert done.returncode == 1
    assert "the payload of one" in done.stdout
    assert "daruma restore" in done.stdout
    assert offline("journal", "check", "--quick").returncode == 0


def _sql(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as db:
        for each in statements:
            db.execute(each)


def _foreign_journal(state: StateDirectory) -> None:
    """A whole journal of Daruma's, but that of another state directory."""
    Desk(state.path, FakeClock()).open().close()
    state.marker.write_text("another")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: _sql(state.database, "CREATE TABLE theirs (x)"), "journal.db belongs to another program"),
        (lambda state: state.database.write_text("my diary" * 1000), "journal.db cannot be read"),
        (lambda state: state.marker.write_text("a name"), "journal.db is missing, but a journal was made here"),
        (_foreign_journal, "is not the journal that was made here"),
    ],
)
def test_doctor_names_a_journal_that_no_daemon_could_begin_on_and_leaves_it_as_it_is(
    offline: Offline, tmp_path: Path, spoil: Callable[[StateDirectory], None], says: str
) -> None:
    state = StateDirectory(tmp_path / "state")
    state.path.mkdir(0o700)
    spoil(state)
    before = state.database.read_bytes() if state.database.exists() else None
    done = offline("doctor", state=state.path)
    (line,) = (line for line in done.stdout.splitlines() if "state directory" in line)
    assert (done.returncode, line.startswith("BAD ")) == (1, True)
    assert says in line
    assert "-> Follow what the message says of the file" in line
    assert (state.database.read_bytes() if state.database.exists() else None) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_doctor_tells_root_of_a_file_that_the_daemon_could_not_open(offline: Offline, tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    Desk(state.path, FakeClock()).open().close()
    for each in (state.path, *state.path.iterdir()):
        os.chown(each, 65534, 65534)
    os.chown(state.database, 0, 0)
    done = offline("doctor", state=state.path)
    (line,) = (line for line in done.stdout.splitlines() if "state directory" in line)
    assert (done.returncode, line.startswith("BAD ")) == (1, True)
    assert f"{state.database} belongs to root (uid 0), and {state.path} to nobody (uid 65534) -> " in line
    assert "`chown -R USER: DIRECTORY`" in line


def test_where_there_is_no_journal_each_says_so(offline: Offline, tmp_path: Path) -> None:
    for argv in (["backup", str(tmp_path / "copy.db")], ["journal", "check"]):
        assert offline(*argv, state=tmp_path / "nowhere").returncode == 4


def test_a_purge_leaves_the_id_and_nothing_else(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "one"})
    home = served.room.directory / "workspaces" / "one"
    home.mkdir(parents=True)
    (home / "note.txt").write_text("hunter2")
    refused = run("work", "purge", "one")
    assert refused.returncode == 5
    assert "cancel it first" in refused.stderr
    run("work", "cancel", "one")
    done = run("work", "purge", "one")
    assert done.returncode == 0, done.stderr
    assert "one  purged" in done.stdout
    assert "backups made before" in done.stdout
    assert served.room.journal.reader().record(ItemId("one")) is None
    assert not home.exists()
    told = [each for each in served.client.events(since="0") if each["subject"] == "one"]
    assert [each["data"] for each in told[:-1]] == [{}] * (len(told) - 1)
    assert run("work", "show", "one").returncode == 4
    again = served.client.submit({**CLEAR, "id": "one"})
    assert (again["created"], again["state"]) == (False, "cancelled")


def test_a_time_to_begin_and_a_time_to_end_are_said_as_a_moment_or_as_so_much_later(served: Served, run: Run) -> None:
    before = served.room.clock.wall()
    assert run("submit", "-", "--id", "one", "--in", "1h", "--expires-in", "2h", input=TEXT).returncode == 0
    at = "2100-01-01T00:00:00Z"
    assert run("submit", "-", "--id", "two", "--at", at, input=TEXT).returncode == 0
    one, two = (served.room.journal.reader().record(ItemId(name)) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert one.run_at is not None
    assert one.item.expires_at is not None
    assert 3_600_000 <= one.run_at - before <= 3_700_000
    assert one.item.expires_at - one.run_at == pytest.approx(3_600_000, abs=1000)
    assert two.run_at == 4_102_444_800_000
    assert run("submit", TEXT, "--at", "soon").returncode == 2
    for both in (("--at", at, "--in", "1h"), ("--expires-at", at, "--expires-in", "1h")):
        done = run("submit", TEXT, *both)
        assert (done.returncode, "not both" in done.stderr) == (2, True)


def test_items_are_cancelled_retried_and_edited_by_what_they_have_in_common(served: Served, run: Run) -> None:
    for name in ("a", "b"):
        served.client.submit({**CLEAR, "id": name, "labels": {"wall": "north"}})
    done = run("work", "edit", "a", "--priority", "9", "--label", "wall=south")
    assert (done.returncode, done.stdout) == (0, "a  ready  edited\n")
    done = run("work", "cancel", "--label", "wall=north")
    assert (done.returncode, done.stdout) == (0, "b  cancelled\n")
    nothing = run("work", "retry", "--label", "wall=south", "--state", "dead")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "daruma: no item was released: none fits\n"
    for argv in (["cancel"], ["retry"], ["retry", "a", "--state", "dead"], ["edit", "a"]):
        assert run("work", *argv).returncode == 2, argv


def test_an_item_that_cannot_be_read_is_listed_shown_and_let_go_of(served: Served, run: Run) -> None:
    for name in ("a", "b"):
        served.client.submit({**CLEAR, "id": name})
    served.room.write_unread("a")
    listed = run("work", "list").stdout.splitlines()
    assert [each.split()[:2] for each in listed] == [["ID", "STATE"], ["a", "ready"], ["b", "ready"]]
    assert "cannot be read" in listed[1]
    shown = run("work", "show", "a")
    told = [word in shown.stdout for word in ("unreadable", "phase", "description")]
    assert (shown.returncode, told) == (0, [True, True, False])
    assert run("work", "cancel", "a").returncode == 0
    assert run("work", "purge", "a").stdout.startswith("a  purged\n")


def test_an_id_that_is_refused_keeps_none_of_the_others_from_being_done(served: Served, run: Run) -> None:
    for name in ("a", "b"):
        served.client.submit({**CLEAR, "id": name})
    done = run("work", "cancel", "a", "ghost", "b")
    assert (done.returncode, done.stdout.count("cancelled")) == (4, 2)
    assert "ghost" in done.stderr
    assert run("work", "retry", "b", "ghost").returncode == 5
    done = run("work", "purge", "ghost", "a", "b")
    assert (done.returncode, done.stdout.count("purged")) == (4, 2)


@pytest.mark.parametrize("argv", [["submit", TEXT, "--id", ""], ["submit", "--item", "-"]])
def test_an_empty_id_is_refused_and_not_replaced(served: Served, run: Run, argv: list[str]) -> None:
    done = run(*argv, input=json.dumps({**CLEAR, "id": ""}))
    assert (done.returncode, "/id" in done.stderr) == (2, True)
    assert not served.client.call("work list")["items"]


def test_a_page_behind_an_item_that_is_not_there_is_refused(served: Served, run: Run) -> None:
    served.client.submit({**CLEAR, "id": "last"})
    assert run("work", "list", "--after", "last").returncode == 0
    assert run("work", "list", "--after", "ghost").returncode == 4


def test_a_pause_is_asked_for_and_told(served: Served, run: Run) -> None:
    assert run("pause").stdout == "paused\n"
    assert run("panic").stdout == "paused\n"
    assert run("resume").stdout == "running\n"
