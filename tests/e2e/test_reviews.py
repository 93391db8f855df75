"""The installed daemon and work that is not good enough, or that nobody can judge: it never passes for done."""

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import FEW, own
from tests.kit.daemon import Daemon

SETTINGS = {**FEW, "agents": {"obeys": own("obeys", count=1)}}


def _judged(daemon: Daemon, verdict: str) -> dict[str, Any]:
    """Hand in an item whose check always says this of it; what becomes of it."""
    given = {"witness": str(daemon.home / "witness"), "acts": ["work"], "verdict": verdict}
    daemon.submit("wall", agent="obeys", input=given, stages=["execute", "review"])
    return daemon.settled("wall")


def test_what_is_never_good_enough_is_dead_after_the_fourth_review_with_all_that_was_found(
    house: Callable[..., Daemon],
) -> None:
    daemon = house(SETTINGS).start()
    ended = _judged(daemon, "fail")
    assert (ended["state"], ended["attempt"], ended["reviews"], ended["failures"]) == ("dead", 4, 4, 0)
    assert ended["error"]["kind"] == "review_rejected"
    assert [each["issues"] for each in ended["feedback"]] == [["the north wall"]] * 4
    assert len(daemon.events("work.review_failed", "wall")) == 3, "the fourth is its end"


def test_what_nobody_can_judge_waits_and_names_the_gate(house: Callable[..., Daemon]) -> None:
    daemon = house(SETTINGS).start()
    ended = _judged(daemon, "unknown")
    assert (ended["state"], ended["attempt"], ended["reviews"]) == ("parked", 1, 0)
    assert "completeness" in ended["error"]["message"]
    assert daemon.run("result", "wall").returncode == 5
