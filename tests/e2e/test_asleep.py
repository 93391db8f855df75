"""Executors on the installed daemon that stand only while there is work for them."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import FEW, TEMPLATES
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

BRIEF = {**FEW, "executors": {"count": 2, "idle": "300ms"}, "queue": {"reread": "100ms"}}
SLOW = TEMPLATES / "slow.py"


def asleep(daemon: Daemon) -> list[str]:
    return list(daemon.client.call("agents list")["asleep"])


def test_executors_wake_with_an_item_fall_asleep_without_and_wake_again(house: Callable[..., Daemon]) -> None:
    daemon = house(BRIEF).start()
    assert asleep(daemon) == ["documentation", "echo"]
    for name in ("one", "two"):
        daemon.submit(name)
        assert daemon.settled(name)["state"] == "succeeded"
        eventually(lambda: "echo" in asleep(daemon), PATIENCE)
    assert {each["agent"] for each in daemon.client.call("agents list")["items"]} == {
        "orchestrator", "optimizer", "executor", "reviewer",
    }  # fmt: skip
    started = [each["data"] for each in daemon.events("agent.started") if each["data"]["agent"] == "echo"]
    assert sorted(each["incarnation"] for each in started) == [1, 1, 2, 2]
    assert not daemon.events("agent.restarted")


def test_a_template_that_is_broken_is_told_before_its_first_item_and_an_operators_word_takes_up_its_correction(
    house: Callable[..., Daemon], home: Path
) -> None:
    file = home / "mine.py"
    file.write_text("TEMPLATE = None +")
    daemon = house({**FEW, "agents": {"mine": {"template": "mine.py", "isolation": "none"}}}).start()
    (told,) = daemon.client.call("health")["amiss"]
    assert told.startswith(f"agent mine, which cannot be made: {file}")
    assert f"  ! {file}" in daemon.run("agents", "show", "mine").stdout
    file.write_text(SLOW.read_text())
    assert daemon.run("agents", "restart", "mine").stdout == "mine  starting\n"
    eventually(lambda: daemon.client.call("health")["amiss"] == [], PATIENCE)
    daemon.submit("one", agent="mine", input=str(home / "witness"))
    assert daemon.settled("one")["state"] == "succeeded"
