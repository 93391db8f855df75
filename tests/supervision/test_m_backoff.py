"""M: backoff, benches, and what the tree says meanwhile."""

import pytest

from darumad.clock import SystemClock
from darumad.supervision import Backoff, Restarting, StartError
from tests.kit import fastest


def delays(house, name: str = "a") -> list[float]:
    return [e.data["delay"] for e in house.bus.named("child.restart_scheduled", f"root/{name}")]


def test_m1_delays_double_to_the_cap(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0)))
    assert delays(house) == [], "the first start is not delayed"
    for nth, delay in enumerate([1, 2, 4, 8, 8], 1):
        house.crash(root, "a")
        assert root.which_children()[0].state == "restarting"
        house.clock.advance(delay - 0.01)
        assert root.which_children()[0].state == "restarting"
        house.clock.advance(0.01)
        assert house.states(root) == [("a", "up", nth + 1)]
    assert delays(house) == [1, 2, 4, 8, 8]


@pytest.mark.real_clock
@pytest.mark.usefixtures("beside_a_spinner")
def test_m1_on_the_real_clock_no_start_comes_early(house) -> None:
    house.clock = SystemClock()
    root = house.start(house.spec("a", backoff=Backoff(0.05, 0.2, jitter=0)))
    for nth in range(1, 5):
        root.address("a").tell(ValueError())
        house.up("root/a", nth + 1)
    exits = [e.t for e in house.bus.named("child.exited")]
    starts = [e.t for e in house.bus.named("child.starting")][1:]
    waits = [start - exit_ for exit_, start in zip(exits, starts, strict=True)]
    assert all(wait >= delay for wait, delay in zip(waits, [0.05, 0.1, 0.2, 0.2], strict=True))
    assert waits[0] < 5.0


def test_m1_a_child_that_gives_up_is_benched_at_its_own_cost(house) -> None:
    backoff = Backoff(1, 8, jitter=0, give_up_after=3, retry_benched=900)
    root = house.start(house.spec("a", backoff=backoff), house.spec("b"), intensity=0)
    for _ in range(3):
        house.crash(root, "a")
        house.clock.advance(8)
    house.crash(root, "a")
    assert delays(house) == [1, 2, 4]
    assert house.states(root) == [("a", "benched", 4), ("b", "up", 1)]
    assert house.bus.until("child.benched").data == {"retry": 900, "failures": 4}
    house.clock.advance(899)
    assert root.which_children()[0].state == "benched"
    house.clock.advance(1)
    assert house.states(root) == [("a", "up", 5), ("b", "up", 1)]
    house.crash(root, "a")
    assert root.which_children()[0].state == "benched", "a crash before its health was proven benches it at once"
    assert root.restart_child("a").incarnation == 6
    house.crash(root, "a")
    assert delays(house)[-1] == 1, "a restart by hand begins the row anew"
    assert house.states(root) == [("a", "restarting", 6), ("b", "up", 1)]


def test_m1_a_child_that_cannot_be_restarted_by_hand_is_tried_again_as_after_a_crash(house) -> None:
    def fails_the_second_time(actor) -> None:
        if actor.incarnation == 2:
            raise RuntimeError("broken")

    backoff = Backoff(1, 8, jitter=0, give_up_after=3, retry_benched=900)
    root = house.start(house.spec("a", backoff=backoff, probe={"on_start": fails_the_second_time}), intensity=0)
    root.terminate_child("a")
    with pytest.raises(StartError):
        root.restart_child("a")
    assert root.which_children()[0].state == "restarting"
    assert delays(house) == [1]
    house.clock.advance(1)
    assert house.states(root) == [("a", "up", 3)]


def test_m1_a_benched_child_that_cannot_be_restarted_by_hand_is_benched_again(house) -> None:
    broken = []

    def fails_while_broken(_) -> None:
        if broken:
            raise RuntimeError("broken")

    backoff = Backoff(1, 8, jitter=0, give_up_after=0, retry_benched=900)
    root = house.start(house.spec("a", backoff=backoff, probe={"on_start": fails_while_broken}), intensity=0)
    house.crash(root, "a")
    broken.append(1)
    with pytest.raises(StartError):
        root.restart_child("a")
    assert root.which_children()[0].state == "benched"
    broken.clear()
    house.clock.advance(900)
    assert house.states(root) == [("a", "up", 3)]


def test_m2_fifty_children_that_fail_together_wait_differently(house) -> None:
    specs = [house.spec(f"c{n}", backoff=Backoff(4, 60, jitter=0.2)) for n in range(50)]
    root = house.start(*specs, intensity=1000)
    house.crash(root, *(spec.id for spec in specs))
    found = [e.data["delay"] for e in house.bus.named("child.restart_scheduled")]
    assert all(4 <= delay <= 4.8 for delay in found)
    assert len(set(found)) >= 45


def test_m2_jitter_never_passes_the_cap(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0.2)))
    for _ in range(12):
        house.crash(root, "a")
        house.clock.advance(8)
    found = delays(house)
    assert all(base <= delay <= min(8, 1.2 * base) for base, delay in zip([1, 2, 4, *[8] * 9], found, strict=True))
    assert found[3:] == [8] * 9


def test_m3_health_resets_the_delay(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0, reset_after=30)))
    for _ in range(3):
        house.crash(root, "a")
        house.clock.advance(8)
    house.clock.advance(30)
    house.crash(root, "a")
    assert delays(house) == [1, 2, 4, 1]


def test_m3_the_health_of_one_life_does_not_reset_the_count_of_the_next(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(1, 8, jitter=0, reset_after=30)))
    for _ in range(3):
        house.crash(root, "a")
        house.clock.advance(4)
    house.clock.advance(29 - house.clock.monotonic() + 12)
    house.crash(root, "a")
    house.clock.advance(8)
    # By now 30 s have passed since incarnation 4 was started, and incarnation 5 has just begun.
    assert house.states(root) == [("a", "up", 5)]
    house.crash(root, "a")
    assert delays(house) == [1, 2, 4, 8, 8]


def test_m3_a_failed_restart_is_no_health(house) -> None:
    def fails_once(actor) -> None:
        if actor.incarnation == 2:
            raise RuntimeError("not yet")

    backoff = Backoff(1, 8, jitter=0, reset_after=0.5)
    root = house.start(house.spec("a", backoff=backoff, probe={"on_start": fails_once}))
    house.crash(root, "a")
    house.clock.advance(1)
    assert root.which_children()[0].state == "restarting"
    house.clock.advance(2)
    assert house.states(root) == [("a", "up", 3)]
    assert delays(house) == [1, 2]


def test_m5_a_waiting_child_holds_nobody_up(house) -> None:
    root = house.start(house.spec("a", backoff=Backoff(30, 30, jitter=0)), house.spec("b"))
    address = root.address("a")
    house.crash(root, "a")
    assert fastest(root.which_children, enough=0.05) < 0.05
    house.crash(root, "b")
    assert house.states(root) == [("a", "restarting", 1), ("b", "up", 2)]
    house.clock.advance(10)

    def refused() -> None:
        with pytest.raises(Restarting) as caught:
            address.ask("who", within=5)
        assert caught.value.retry_after == pytest.approx(20)

    assert fastest(refused, enough=0.05) < 0.05
    address.tell("x")
    assert house.bus.until("dead_letter", "root/a").data == {"message": "str"}
    house.clock.advance(20)
    assert address.ask("who", within=5) == ("a", 2)
    assert house.whats("x") == []


def test_a_siblings_restart_starts_the_waiting_child_and_voids_its_timer(house) -> None:
    waiting = house.spec("a", backoff=Backoff(30, 30, jitter=0))
    root = house.start(waiting, house.spec("b"), strategy="one_for_all")
    house.crash(root, "a")
    assert house.states(root) == [("a", "restarting", 1), ("b", "up", 1)], "the sibling runs until the delay ends"
    house.crash(root, "b")
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]
    house.clock.advance(60)
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]
    assert house.clock.armed == 0


def test_when_the_delay_ends_the_whole_group_goes_down_and_up(house) -> None:
    waiting = house.spec("b", backoff=Backoff(30, 30, jitter=0))
    root = house.start(house.spec("a"), waiting, house.spec("c"), strategy="rest_for_one")
    house.crash(root, "b")
    house.log.clear()
    house.clock.advance(30)
    assert house.whats("stop", "start") == [("stop", "c"), ("start", "b"), ("start", "c")]
    assert house.states(root) == [("a", "up", 1), ("b", "up", 2), ("c", "up", 2)]


def test_a_groups_restart_starts_a_benched_child(house) -> None:
    benched = house.spec("a", backoff=Backoff(1, 1, give_up_after=0))
    root = house.start(benched, house.spec("b"), strategy="one_for_all")
    house.crash(root, "a")
    assert house.states(root) == [("a", "benched", 1), ("b", "up", 1)]
    house.crash(root, "b")
    assert house.states(root) == [("a", "up", 2), ("b", "up", 2)]
    assert house.clock.armed == 0


@pytest.mark.parametrize("backoff", [Backoff(30, 30), Backoff(30, 30, give_up_after=0)], ids=["waiting", "benched"])
def test_terminating_a_waiting_child_voids_its_timer(house, backoff) -> None:
    root = house.start(house.spec("a", backoff=backoff))
    house.crash(root, "a")
    root.terminate_child("a")
    house.clock.advance(1000)
    assert house.states(root) == [("a", "undefined", 1)]
    assert house.clock.armed == 0


def test_a_stop_voids_every_timer(house) -> None:
    root = house.start(
        house.spec("a", backoff=Backoff(30, 30)), house.nested("s", house.spec("b", backoff=Backoff(9, 9)))
    )
    house.crash(root, "a")
    house.crash(root.which_children()[1].ref, "b")
    assert house.clock.armed == 2
    root.stop()
    assert house.clock.armed == 0
