"""A pause and a panic of the installed daemon: nothing new is claimed, over a restart too, until a resume."""

from collections.abc import Callable

from tests.e2e.conftest import own
from tests.kit.daemon import Daemon

SETTINGS = {
    "provider": {"use": "offline"},
    "executors": {"count": 1},
    "agents": {"slow": own("slow", count=1)},
}


def test_a_panic_stops_what_runs_and_the_pause_survives_a_restart(house: Callable[..., Daemon]) -> None:
    daemon = house(SETTINGS).start()
    witness = daemon.home / "witness"
    daemon.submit("long", agent="slow", input=str(witness))
    daemon.becomes("long", state="running", stage="executing")
    reply = daemon.client.call("panic", {})
    assert reply["stopped"] == ["long"]
    daemon.becomes("long", state="ready", reason="interrupted")
    daemon.submit("next")
    assert daemon.run("drain").returncode == 0
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.client.call("status")["state"] == "paused"
    daemon.submit("third")
    # Whatever would be claimed is claimed within moments of a start; a re-read of the journal is a claim's last chance.
    daemon.until("daemon.ready", times=2)
    assert {each["state"] for each in daemon.listed()} == {"ready"}
    daemon.client.call("resume", {})
    assert [daemon.settled(name)["state"] for name in ("long", "next", "third")] == ["succeeded"] * 3
    assert daemon.item("long")["attempt"] == 1
    assert daemon.item("long")["failures"] == 0
