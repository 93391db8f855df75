"""What a command does that was started without the standard streams, as some that start others do."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.daemon import DARUMA, Daemon

CLOSED = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")


class _Closed(Daemon):
    def launch(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen([*CLOSED, DARUMA, "serve", "--config", self.config], env=self.environ)
        return self.process


def test_a_daemon_that_was_started_with_the_standard_streams_closed_works_and_writes_into_no_file_of_its_own(
    tmp_path: Path,
) -> None:
    daemon = _Closed(tmp_path, {"provider": {"use": "offline"}})
    try:
        daemon.start()
        assert daemon.process is not None
        leads_to = [Path(f"/proc/{daemon.process.pid}/fd/{number}").readlink() for number in range(3)]
        daemon.submit("a")
        assert daemon.settled("a")["state"] == "succeeded"
        assert daemon.stop() == 0
    finally:
        daemon.close()
    assert leads_to == [Path(os.devnull)] * 3


def test_a_command_that_was_started_with_the_standard_streams_closed_ends_as_it_would_with_them() -> None:
    assert subprocess.run([*CLOSED, DARUMA, "version"], check=False).returncode == 0


@pytest.mark.parametrize("argv", [("doctor",), ("config", "check"), ("backup", "copy.db"), ("serve",)], ids=" ".join)
def test_a_command_that_is_called_in_a_directory_that_was_removed_says_so(
    argv: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh", DARUMA, *argv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("daruma: the directory that this was called in is not there any more\n  -> Go to ")


def test_an_error_that_names_a_path_which_is_no_text_ends_as_it_would_where_nobody_reads_it() -> None:
    assert subprocess.run([*CLOSED, DARUMA, "serve", "--config", b"/\xff.yaml"], check=False).returncode == 78
