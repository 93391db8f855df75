"""D: intensity and escalation."""

import pytest

from darumad.clock import SystemClock
from tests.kit import eventually


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_d1_one_restart_too_many_ends_the_supervisor(house, limit) -> None:
    root = house.start(*map(house.spec, "abc"), intensity=limit, period=60)
    for n in range(limit):
        root.address("b").tell(ValueError())
        house.up("root/b", n + 2)
    assert root.is_alive()
    house.log.clear()
    root.address("b").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert house.whats("start", "stop") == [("stop", "c"), ("stop", "a")]
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == limit + 1
    assert house.bus.until("supervisor.exited").data["reason"].kind == "shutdown"
    assert house.order("child.exited", "supervisor.exited")[-3:] == [
        ("exited", "c"),
        ("exited", "a"),
        ("supervisor.exited", "root"),
    ]


@pytest.mark.parametrize(
    ("crashes", "exits"), [((0, 1.5, 3.0, 4.5), False), ((0, 1.0, 2.0), False), ((0, 1.0, 1.999), True)]
)
def test_d2_the_window_is_half_open_and_slides(house, crashes, exits) -> None:
    root, at = house.start(house.spec("a"), intensity=2, period=2.0), 0.0
    for when in crashes:
        house.clock.advance(when - at)
        at = when
        assert root.is_alive()
        house.crash(root, "a")
    if exits:
        assert root.wait(10).kind == "shutdown"
        assert house.bus.until("supervisor.intensity_exceeded").data["history"] == (0, 1.0, 1.999)
    else:
        assert house.states(root) == [("a", "up", len(crashes) + 1)]


@pytest.mark.real_clock
@pytest.mark.usefixtures("beside_a_spinner")
def test_d2_the_window_slides_on_the_real_clock_too(house) -> None:
    house.clock = clock = SystemClock()
    slow = house.start(house.spec("a"), intensity=1, period=0.2, name="slow")
    quick = house.start(house.spec("a"), intensity=1, period=600.0, name="quick")
    for nth in range(3):
        slow.address("a").tell(ValueError())
        house.up("slow/a", nth + 2)
        crashed = clock.monotonic()
        eventually(lambda since=crashed: clock.monotonic() - since > 0.2)
    assert slow.is_alive()
    quick.address("a").tell(ValueError())
    house.up("quick/a", 2)
    quick.address("a").tell(ValueError())
    assert quick.wait(10).kind == "shutdown"


def test_d3_a_start_that_fails_for_ever_is_tried_a_finite_number_of_times(house) -> None:
    def fails_later(actor) -> None:
        if actor.incarnation > 1:
            raise RuntimeError("never again")

    root = house.start(house.spec("a", probe={"on_start": fails_later}), intensity=4)
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    attempts = [2, 3, 4, 5]
    assert [e.incarnation for e in house.bus.named("child.starting")] == [1, *attempts]
    assert [e.incarnation for e in house.bus.named("child.start_failed")] == attempts
    assert {e.data["error"] for e in house.bus.named("child.start_failed")} == {"RuntimeError: never again"}
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == 5


@pytest.mark.parametrize(("levels", "starts"), [((2, 1), 6), ((3, 3), 16), ((2, 2, 2), 27)])
def test_d5_total_starts_are_the_product_of_the_levels(house, levels, starts) -> None:
    spec = house.spec("w", probe={"on_start": lambda actor: actor.actor_ref.tell(ValueError())})
    for depth, limit in enumerate(levels[:0:-1]):
        spec = house.nested(f"n{depth}", spec, intensity=limit)
    root = house.start(spec, intensity=levels[0])
    assert root.wait(30).kind == "shutdown"
    assert house.whats("start") == [("start", "w")] * starts
    breaches = [e for e in house.bus.named("supervisor.intensity_exceeded") if e.path != "root"]
    assert {len(e.data["history"]) for e in breaches} == {levels[-1] + 1}, "each life began with an empty window"
