"""Starting collects no garbage; what comes after it does, and never looks among what stood by then."""

from collections.abc import Callable

from tests.e2e.conftest import FEW, own
from tests.kit.daemon import Daemon

PYTHONS_OWN = 700
"""New objects after which Python looks through them if nobody says more."""


def test_garbage_is_collected_once_all_stands_and_not_among_what_stands(house: Callable[..., Daemon]) -> None:
    daemon = house({**FEW, "agents": {"mine": own("collects")}}).start()
    daemon.submit("one", agent="mine")
    assert daemon.settled("one")["state"] == "succeeded"
    told = daemon.client.call("result", id="one")["data"]
    assert not told["starting"]
    assert told["now"]
    assert told["frozen"] > 10_000
    assert told["young"] > PYTHONS_OWN
