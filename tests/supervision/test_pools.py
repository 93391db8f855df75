"""Pools: children without names, which their refs name. OTP: `simple_one_for_one`."""

import weakref
from typing import Any

import pytest

from darumad.supervision import Backoff, ChildSpec, NotFound
from tests.kit import Probe


def pool(house, *, start: Any = None, **rest: Any):
    return house.start(ChildSpec("w", start or (lambda name: Probe.start(house.log, name)), **rest), strategy="pool")


def test_a_pools_child_that_waits_for_its_next_start_is_stopped_by_the_ref_of_its_last_life(house) -> None:
    """OTP keeps it as `{restarting, Pid}`."""
    root = pool(house, backoff=Backoff(min=60.0, max=60.0))
    first, second = root.start_child("first"), root.start_child("second")
    first.tell(ValueError())
    house.bus.until("child.restart_scheduled", first.path)
    assert root.get_childspec(first).id == "w"
    root.terminate_child(first)
    assert [info.ref for info in root.which_children()] == [second]
    house.clock.advance(120.0)
    assert house.whats("start") == [("start", "first"), ("start", "second")]


def test_a_pools_restart_loop_is_ended_by_the_ref_of_the_last_life(house) -> None:
    """`hanging_restart_loop_simple`: between two tries it is stopped by the only name it ever had."""
    tries = []

    def start(name: str) -> object:
        tries.append(name)
        if len(tries) > 1:
            raise RuntimeError("it will not start again")
        return Probe.start(house.log, name)

    root = pool(house, start=start, backoff=Backoff(min=1.0, max=1.0, jitter=0.0, reset_after=600.0))
    ref = root.start_child("w")
    ref.tell(ValueError())
    house.bus.until("child.restart_scheduled", ref.path)
    house.clock.advance(3.0)
    root.terminate_child(ref)
    assert root.which_children() == []
    tried = len(tries)
    house.clock.advance(60.0)
    assert len(tries) == tried


def test_to_stop_what_is_over_is_no_error_in_a_pool_and_stops_no_other_life(house) -> None:
    root = pool(house)
    ref = root.start_child("w")
    ref.tell(ValueError())
    house.up(ref.path, 2)
    root.terminate_child(ref)
    assert [(info.state, info.incarnation) for info in root.which_children()] == [("up", 2)]
    assert root.get_childspec(ref).id == "w", "a pool has one spec"
    living = Probe.start(house.log, "stranger")
    with pytest.raises(NotFound):
        root.terminate_child(living)
    assert living.stop(timeout=5)
    root.terminate_child(living)


@pytest.mark.parametrize(("restart", "kept"), [("temporary", False), ("transient", True)])
def test_what_a_child_was_started_with_is_kept_only_if_it_may_be_started_again(house, restart, kept) -> None:
    """`do_not_save_start_parameters_for_temporary_children`."""

    class Parcel:
        """Something one may refer to weakly."""

    root = pool(house, start=lambda _: Probe.start(house.log, "w"), restart=restart)
    parcel = Parcel()
    seen = weakref.ref(parcel)
    root.start_child(parcel)
    del parcel
    root.which_children()  # its thread has put the call before down by now
    assert (seen() is not None) == kept
