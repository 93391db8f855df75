"""What a template forks off the daemon holds nothing of it: not its locks, not its sockets, not its signals."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import FEW, own
from tests.kit.daemon import PATIENCE, Daemon
from tests.kit.house import eventually


@pytest.fixture
def ended() -> Iterator[Callable[[int], int]]:
    """Ends children with the test that nobody else waits for."""
    pids: list[int] = []

    def note(pid: int) -> int:
        pids.append(pid)
        return pid

    yield note
    for pid in filter(runs, pids):
        os.kill(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def holds(pid: int) -> set[str]:
    """What its descriptors are open on."""
    return {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_child_that_outlives_the_daemon_keeps_no_other_from_starting(
    house: Callable[..., Daemon], ended: Callable[[int], int], end: str
) -> None:
    daemon = house({**FEW, "agents": {"forks": own("forks")}, "metrics": {"listen": "127.0.0.1:0"}}).start()
    daemon.submit("a", "forks")
    assert daemon.settled("a")["state"] == "succeeded"
    child = ended(daemon.client.call("result", id="a")["data"])
    eventually(lambda: not [each for each in holds(child) if each.startswith("socket:") or each.endswith(".lock")])
    assert any(each.endswith("journal.db") for each in holds(child)), "whose locks are no child's, and guard it"
    getattr(daemon, end)()
    daemon.start()
    assert runs(child)
    os.kill(child, signal.SIGTERM)
    eventually(lambda: not runs(child), PATIENCE)
