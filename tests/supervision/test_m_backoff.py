"""M and V1: backoff, benches, and what the tree says meanwhile."""

import time

import pytest

from darumad.supervision import Backoff, Restarting
from tests.kit import settle


def crash(house, root, name: str, nth: int) -> None:
    """Crash the child and wait until its supervisor has dealt with it."""
    root.address(name).tell(ValueError())
    house.bus.until("child.exited", f"root/{name}", times=nth)
    settle()


def delays(house, name: str = "a") -> list[float]:
    return [e.data["delay"] for e in house.bus.named("child.restart_scheduled", f"root/{name}")]


def test_m1_delays_double_to_the_cap(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0)))
    for nth, delay in enumerate([1, 2, 4, 8, 8], 1):
        crash(house, root, "a", nth)
        assert root.which_children()[0].state == "restarting"
        house.clock.advance(delay - 0.01)
        assert root.which_children()[0].state == "restarting"
        house.clock.advance(0.01)
        assert root.which_children()[0].incarnation == nth + 1
    assert delays(house) == [1, 2, 4, 8, 8]


def test_m1_a_child_that_gives_up_is_benched_at_its_own_cost(house) -> None:
    backoff = Backoff(1, 8, jitter=0, give_up_after=3, retry_benched=900)
    root = house.start(house.spec("a", backoff=backoff), house.spec("b"), intensity=0)
    for nth in range(1, 4):
        crash(house, root, "a", nth)
        house.clock.advance(8)
    crash(house, root, "a", 4)
    assert delays(house) == [1, 2, 4]
    assert [i.state for i in root.which_children()] == ["benched", "up"]
    house.clock.advance(899)
    assert root.which_children()[0].state == "benched"
    house.clock.advance(1)
    assert root.which_children()[0].state == "up"
    crash(house, root, "a", 5)
    assert root.which_children()[0].state == "benched"
    assert root.restart_child("a").incarnation == 6
    crash(house, root, "a", 6)
    assert delays(house)[-1] == 1
    assert root.which_children()[1].incarnation == 1


def test_m3_health_resets_the_delay(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0, reset_after=30)))
    for nth in range(1, 4):
        crash(house, root, "a", nth)
        house.clock.advance(8)
    house.clock.advance(30)
    crash(house, root, "a", 4)
    assert delays(house) == [1, 2, 4, 1]


def test_m3_a_failed_restart_is_no_health(house) -> None:
    def fails_once(actor) -> None:
        if actor.incarnation == 2:
            raise RuntimeError("not yet")

    backoff = Backoff(1, 8, jitter=0, reset_after=30)
    root = house.start(house.spec("a", backoff=backoff, probe={"on_start": fails_once}))
    crash(house, root, "a", 1)
    house.clock.advance(1)
    assert root.which_children()[0].state == "restarting"
    house.clock.advance(2)
    assert root.which_children()[0].incarnation == 3
    assert delays(house) == [1, 2]


def test_m5_a_waiting_child_holds_nobody_up(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(30, 30, jitter=0)), house.spec("b"))
    crash(house, root, "a", 1)
    begun = time.monotonic()
    assert [i.state for i in root.which_children()] == ["restarting", "up"]
    assert time.monotonic() - begun < 1
    root.address("b").tell(ValueError())
    house.up("root/b", 2)
    house.clock.advance(10)
    with pytest.raises(Restarting) as caught:
        root.address("a").ask("who", within=5)
    assert caught.value.retry_after == pytest.approx(20)
    root.address("a").tell("x")
    house.bus.until("dead_letter", "root/a")


def test_m_a_siblings_restart_starts_the_waiting_child_and_voids_its_timer(house) -> None:
    waiting = house.spec("a", backoff=Backoff(30, 30, jitter=0))
    root = house.start(waiting, house.spec("b"), strategy="one_for_all")
    crash(house, root, "a", 1)
    assert root.which_children()[1].incarnation == 1, "the sibling runs until the delay ends"
    root.address("b").tell(ValueError())
    house.up("root/b", 2)
    assert [i.state for i in root.which_children()] == ["up", "up"]
    house.clock.advance(60)
    assert [i.incarnation for i in root.which_children()] == [2, 2]
    assert house.clock.armed == 0


def test_m_terminating_a_waiting_child_voids_its_timer(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(30, 30)))
    crash(house, root, "a", 1)
    root.terminate_child("a")
    house.clock.advance(60)
    assert root.which_children()[0].state == "undefined"
    assert house.clock.armed == 0


def test_v1_states_and_counts_are_exact(house) -> None:
    root = house.start(
        house.spec("up"), house.spec("waits", backoff=Backoff(30, 30)), house.spec("down"), house.nested("s")
    )
    root.terminate_child("down")
    crash(house, root, "waits", 1)
    assert [(i.id, i.state, i.type) for i in root.which_children()] == [
        ("up", "up", "worker"),
        ("waits", "restarting", "worker"),
        ("down", "undefined", "worker"),
        ("s", "up", "supervisor"),
    ]
    assert root.count_children() == {"specs": 4, "active": 2, "supervisors": 1, "workers": 3}
