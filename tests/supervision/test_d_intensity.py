"""D: intensity and escalation."""

import pytest

from tests.kit import FakeClock


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_d1_one_restart_too_many_ends_the_supervisor(house, limit) -> None:
    root = house.start(*map(house.spec, "abc"), intensity=limit, period=60)
    for n in range(limit):
        root.address("b").tell(ValueError())
        house.up("root/b", n + 2)
    house.log.clear()
    root.address("b").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert house.whats("start", "stop") == [("stop", "c"), ("stop", "a")]
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == limit + 1


def test_d2_the_window_slides_on_the_trees_clock(house) -> None:
    root = house.start(house.spec("a"), intensity=2, period=2.0)
    for n in range(4):
        root.address("a").tell(ValueError())
        house.up("root/a", n + 2)
        house.clock.advance(1.5)
    assert root.is_alive()


def test_d3_a_start_that_fails_for_ever_is_tried_a_finite_number_of_times(house) -> None:
    def fails_later(actor) -> None:
        if actor.incarnation > 1:
            raise RuntimeError("never again")

    root = house.start(house.spec("a", probe={"on_start": fails_later}), intensity=4)
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert [e.incarnation for e in house.bus.named("child.start_failed")] == [2, 3, 4, 5]


@pytest.mark.parametrize(("levels", "starts"), [((2, 1), 6), ((3, 3), 16), ((2, 2, 2), 27)])
def test_d5_total_starts_are_the_product_of_the_levels(house, levels, starts) -> None:
    spec = house.spec("w", probe={"on_start": lambda actor: actor.actor_ref.tell(ValueError())})
    for depth, limit in enumerate(levels[:0:-1]):
        spec = house.nested(f"n{depth}", spec, intensity=limit)
    house.clock = FakeClock()
    root = house.start(spec, intensity=levels[0])
    assert root.wait(30).kind == "shutdown"
    assert house.whats("start") == [("start", "w")] * starts
