"""What is kept on the caller's side: files where they belong, and one sentence where they cannot be written."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from darumad import directories
from darumad.cli.speaking import moment
from darumad.work import Artifact
from tests.cli.conftest import Run
from tests.control.room import CLEAR, Served

PAGE = b"# Page\n"


def _made(served: Served, *, files: bool, within: str = "") -> None:
    """One item has succeeded, with a file or without."""
    served.client.submit({**CLEAR, "id": "one"})
    place = served.room.directory / "workspaces" / "one" / within
    directories.make(place)
    (place / "page.md").write_bytes(PAGE)
    digest = hashlib.sha256(PAGE).hexdigest()
    page = Artifact(name=f"{within}page.md", media_type="text/markdown", size=len(PAGE), sha256=digest)
    served.room.succeed((page,) if files else ())


def test_a_result_without_files_is_saved_in_a_directory_that_is_yet_to_be_made(
    served: Served, run: Run, tmp_path: Path
) -> None:
    _made(served, files=False)
    done = run("result", "one", "--save", str(tmp_path / "new" / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert '"item_id": "one"' in (tmp_path / "new" / "out" / "result.json").read_text()


def test_a_file_is_saved_however_deep_it_lies(served: Served, run: Run, tmp_path: Path) -> None:
    within = "d/" * 1_800
    try:
        _made(served, files=True, within=within)
        done = run("result", "one", "--save", str(tmp_path / "out"))
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "out" / within / "page.md").read_bytes() == PAGE
    finally:
        for each in served.room.directory / "workspaces", tmp_path / "out":
            directories.remove(each)


def test_a_file_that_was_changed_since_its_item_ended_is_named_and_not_saved(
    served: Served, run: Run, tmp_path: Path
) -> None:
    _made(served, files=True)
    (served.room.directory / "workspaces" / "one" / "page.md").write_text("# Another\n")
    done = run("result", "one", "--save", str(tmp_path / "out"))
    assert (done.returncode, list((tmp_path / "out").iterdir())) == (5, [])
    assert done.stderr.startswith("daruma: page.md is no longer what it was when one ended: its digest differs\n")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("taken/out/page.md", "Not a directory"),
        ("out/page.md", "Is a directory"),
        ("made/result.json", "Is a directory"),
        ("/proc/nowhere/page.md", "No such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_with_its_path_and_leaves_nothing_half_done(
    served: Served, run: Run, tmp_path: Path, place: str, why: str
) -> None:
    _made(served, files=True)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "out" / "page.md").mkdir(parents=True)
    (tmp_path / "made" / "result.json").mkdir(parents=True)
    done = run("result", "one", "--save", str((tmp_path / place).parent))
    first, second = done.stderr.splitlines()
    assert (done.returncode, first) == (74, f"daruma: {tmp_path / place} cannot be written: {why}")
    assert second == "  -> Name a place that you may write to; what the daemon was asked for is done, only not told."
    assert not list(tmp_path.rglob(".*.incoming"))


@pytest.mark.parametrize(("to", "code", "said"), [(">/dev/full", 74, "No space left on device"), (">&-", 0, "")])
@pytest.mark.parametrize("command", ["status", "work list", "events -o ndjson", "--help"])
def test_an_output_that_takes_nothing_is_told_and_one_that_is_closed_is_none(
    served: Served, command: str, to: str, code: int, said: str
) -> None:
    socket = "" if command == "--help" else f"--socket {served.path}"
    line = f"{sys.executable} -m darumad {command} {socket} {to}"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("millis", [8_640_000_000_000_000, 2**62, -(2**62)])
def test_a_time_that_no_calendar_has_is_shown_as_its_number(millis: int) -> None:
    assert moment(millis) == str(millis)
