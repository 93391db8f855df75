"""The units on a real systemd: it is the first process of a small machine in namespaces of its own."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SYSTEMD = Path("/lib/systemd/systemd")
SPACES = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup"]
NEEDED = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && rmdir "$(mktemp -d /sys/fs/cgroup/probe.XXXXXX)"'
"""Of a name of its own: each process of a test run asks, and they share the group that they are in."""


def _can() -> bool:
    """Whether such a machine can be made here: systemd, root's rights, and control groups of one's own."""
    if not SYSTEMD.exists() or shutil.which("unshare") is None:
        return False
    probe = subprocess.run([*SPACES, "sh", "-c", NEEDED], capture_output=True, timeout=20, check=False)
    return probe.returncode == 0


pytestmark = pytest.mark.skipif(not _can(), reason="no systemd can be run in namespaces here")


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, str]]:
    """What the story told, by name."""
    with tempfile.TemporaryDirectory(prefix="daruma-machine-") as made:
        place = Path(made)
        place.chmod(0o755)
        shutil.copy(HERE / "story.sh", place)
        command = ["bash", HERE / "machine.sh", ROOT, sys.base_prefix, sysconfig.get_path("purelib"), place]
        subprocess.run([*SPACES, *command], capture_output=True, timeout=400, check=False)
        lines = (place / "told").read_text().splitlines()
        yield dict(line.split("=", 1) for line in lines if "=" in line)


def test_the_service_is_up_once_its_doors_are_open_and_says_what_it_does(told: dict[str, str]) -> None:
    assert told["active"] == "active"
    assert told["status"].startswith("boot 1")
    assert told["said"] == "Say hello"


def test_the_socket_is_the_daemon_s_and_its_group_s_and_a_stranger_is_kept_out(told: dict[str, str]) -> None:
    assert told["socket"] == "daruma daruma 660"
    assert told["stranger_ends_with"] == "6"


def test_a_killed_service_is_started_again_and_who_asks_meanwhile_waits_at_the_socket(told: dict[str, str]) -> None:
    assert told["after_kill"] == "hello  succeeded"
    assert told["restarts"] == "1"


def test_a_restart_fails_no_caller(told: dict[str, str]) -> None:
    assert told["during_restart"] == "1"


def test_a_restore_under_it_is_told_to_stop_the_socket_too(told: dict[str, str]) -> None:
    assert "`systemctl stop darumad.socket darumad.service`" in told["restored_under_it"]


def test_root_and_the_daemon_s_user_restore_to_the_same_place_and_it_stays_its_own(told: dict[str, str]) -> None:
    assert told["restored_by_root"].startswith("restored to /var/lib/daruma: ")
    assert told["restored_by_its_user"].startswith("restored to /var/lib/daruma: ")
    assert told["not_its_own"] == ""
    assert told["after_restore"] == "hello  succeeded"


def test_wrong_settings_are_not_tried_again_and_again(told: dict[str, str]) -> None:
    assert told["wrong_settings"] == "failed 78 0"
    assert told["still"] == "failed 0 1", "told once, and not again for each caller"
    assert "`journalctl -u darumad`" in told["to_callers"]
    assert told["doctor_of_a_failure"].startswith("BAD   systemd          darumad.service is down: exit-code -> ")


def test_right_settings_and_one_start_bring_up_the_service_and_its_socket(told: dict[str, str]) -> None:
    assert told["mended"] == "active active "


def test_doctor_sees_a_socket_that_is_down_while_its_service_is_up_and_its_fix_mends_it(told: dict[str, str]) -> None:
    assert told["doctor_without_socket"].startswith("BAD   systemd          darumad.socket is down")
    assert told["doctor_without_socket"].endswith("-> systemctl restart darumad")
    assert told["doctor"] == "ok    systemd          darumad.service is installed, and active"


def test_doctor_sees_that_the_file_of_the_socket_was_removed_and_its_fix_mends_it(told: dict[str, str]) -> None:
    removed = "BAD   systemd          darumad.socket is up, and somebody removed its file /run/daruma/control.sock -> "
    assert told["doctor_without_its_file"].startswith(removed)


def test_a_stop_is_a_success(told: dict[str, str]) -> None:
    assert told["stopped"] == "success 0"
