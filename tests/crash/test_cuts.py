"""Power cuts and failing disks under a daemon at work. `make crash` does more of the same."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from darumad.errors import DarumaError
from tests.crash.cuts import Recording, cut, kinds, recorded, shim
from tests.crash.disk import Change
from tests.kit.daemon import PATIENCE, Daemon

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler is here to make what records a disk")

CUTS = 120
BROKEN_DISK = 74


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded((16,))


def never_synced(recording: Recording, which: Callable[[Change], bool]) -> Recording:
    """The same, on a disk that was not asked for these syncs."""
    return replace(
        recording, changes=tuple(each for each in recording.changes if not (each.kind == "S" and which(each)))
    )


def test_no_power_cut_loses_what_was_promised(recording: Recording) -> None:
    cuts = cut(recording, CUTS, seed=1)
    assert [str(each) for each in cuts.violations] == []
    assert cuts.promised > 4


def test_commits_that_are_not_synced_are_seen_to_be_lost(recording: Recording) -> None:
    cuts = cut(never_synced(recording, lambda each: each.path.endswith("-wal")), CUTS, seed=2)
    assert len(cuts.violations) > CUTS / 10


@pytest.mark.parametrize("folder", ["", "/state"])
def test_a_folder_that_is_not_synced_after_a_file_was_made_in_it_is_seen(recording: Recording, folder: str) -> None:
    cuts = cut(never_synced(recording, lambda each: each.path == folder), CUTS, seed=3)
    assert kinds(cuts.violations)["nothing_acknowledged_is_lost"] > 0


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="daruma-") as place:
        yield Path(place)


@pytest.mark.parametrize("fails", ["S:journal.db-wal:150", "W:journal.db-wal:2000"])
def test_an_io_error_ends_the_daemon_and_costs_nothing_that_was_promised(home: Path, fails: str) -> None:
    failing = {"LD_PRELOAD": str(shim()), "DISK_ROOT": str(home), "DISK_EIO": fails}
    daemon = Daemon(home, {"provider": {"use": "offline"}}, failing).start()
    try:
        promised = list(_submitted_until_it_fails(daemon))
        assert daemon.process is not None
        assert daemon.process.wait(PATIENCE) == BROKEN_DISK
        del daemon.environ["LD_PRELOAD"]
        daemon.start()
        assert promised
        assert {daemon.settled(name)["state"] for name in promised} == {"succeeded"}
    finally:
        daemon.close()


def _submitted_until_it_fails(daemon: Daemon) -> Iterator[str]:
    for number in range(1_000):
        try:
            daemon.submit(f"brick-{number}")
        except DarumaError:
            return
        yield f"brick-{number}"
    raise AssertionError("the disk never failed")
