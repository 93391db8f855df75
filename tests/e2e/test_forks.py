"""What a template forks off the daemon holds nothing of it - no lock, no socket, no signal - and ends with it."""

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


@pytest.fixture
def forked(house: Callable[..., Daemon], ended: Callable[[int], int]) -> tuple[Daemon, int, int]:
    """A daemon, a child of it, and a child of that."""
    daemon = house({**FEW, "agents": {"forks": own("forks")}, "metrics": {"listen": "127.0.0.1:0"}}).start()
    daemon.submit("a", "forks")
    assert daemon.settled("a")["state"] == "succeeded"
    child, grandchild = map(ended, daemon.client.call("result", id="a")["data"])
    return daemon, child, grandchild


def test_a_forked_child_holds_nothing_that_is_the_daemon_s_alone(forked: tuple[Daemon, int, int]) -> None:
    for each in forked[1:]:
        eventually(lambda pid=each: not [at for at in holds(pid) if at.startswith("socket:") or at.endswith(".lock")])
        assert any(at.endswith("journal.db") for at in holds(each)), "whose locks are no child's, and guard it"
    os.kill(forked[1], signal.SIGTERM)
    eventually(lambda: not runs(forked[1]), PATIENCE)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_forked_child_ends_with_the_daemon_and_its_own_children_too(
    forked: tuple[Daemon, int, int], end: str
) -> None:
    daemon, *family = forked
    assert all(map(runs, family))
    getattr(daemon, end)()
    eventually(lambda: not any(map(runs, family)), PATIENCE)
    daemon.start()
