"""A limited lane: whoever leaves a place in it makes room for the next at once, not when the journal is read anew."""

from collections.abc import Callable

from tests.kit.daemon import Daemon
from tests.kit.waking import wake

ONE_PLACE = {"provider": {"use": "offline"}, "lanes": {"narrow": {"max_running": 1}}, "queue": {"reread": "1h"}}


def test_the_items_of_a_lane_follow_one_another(house: Callable[..., Daemon]) -> None:
    daemon = house(ONE_PLACE).start()
    names = [f"item-{number}" for number in range(8)]
    daemon.client.batch([_saying(name) for name in names])
    assert {daemon.settled(name)["state"] for name in names} == {"succeeded"}


def test_who_is_cancelled_while_it_waits_with_its_place_leaves_it_to_the_next(house: Callable[..., Daemon]) -> None:
    daemon = house(ONE_PLACE).start()
    wake(daemon.client, "echo")
    broken = {"stages": ["execute"], "output_schema": {"type": "object"}, "backoff": "1h"}
    daemon.client.batch([_saying("first") | broken, _saying("second")])
    daemon.becomes("first", state="scheduled", reason="backoff")
    assert "a place in lane narrow" in daemon.item("second")["waits_for"]
    daemon.client.call("work cancel", {}, id="first")
    assert daemon.settled("second")["state"] == "succeeded"


def _saying(name: str) -> dict[str, object]:
    return {"id": name, "description": f"Say {name}", "agent": "echo", "lane": "narrow"}
