"""A supervisor that was fenced does nothing more, wherever its thread stands, and nothing it was about stays behind."""

import itertools
import threading

import pytest

from darumad.supervision import ChildSpec, StartError, SupervisorDead
from tests.kit import Bus, Probe, eventually, fastest


def impatient(house, *specs, within: float = 0.1) -> ChildSpec:
    """A nested supervisor that must be READY within this time."""
    return ChildSpec("s", house.nested("s", *specs).start, type="supervisor", start_timeout=within)


def test_what_its_factory_makes_too_late_never_lives(house, wake) -> None:
    calls = itertools.count(1)

    def slow_once():
        if next(calls) > 1:
            return Probe.start(house.log, "a")
        wake.wait(60)
        return Probe.start(house.log, "late")

    root = house.start()
    with pytest.raises(StartError):
        root.start_child(impatient(house, ChildSpec("a", slow_once), house.spec("b")))
    again = root.start_child(impatient(house, ChildSpec("a", slow_once), house.spec("b"), within=30))
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.whats("start", "stop") == [("start", "a"), ("start", "b")], "the late one did not even begin"
    assert house.states(again) == [("a", "up", 2), ("b", "up", 1)]


def test_it_enters_no_further_child_over_its_successors(house, wake) -> None:
    class Held(Bus):
        """Holds the first supervisor's thread after its first child is up, before it goes on to the next."""

        def __call__(self, event) -> None:
            super().__call__(event)
            if (event.name, event.path, event.incarnation) == ("child.started", "root/s/a", 1):
                wake.wait(60)

    house.bus = Held()
    root = house.start()
    with pytest.raises(StartError):
        root.start_child(impatient(house, house.spec("a"), house.spec("b")))
    again = root.start_child(impatient(house, house.spec("a"), house.spec("b"), within=30))
    places = [row.ref for row in root.tree()]
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert [row.ref for row in root.tree()] == places
    assert again.address("b").ask("who", within=5) == ("b", 1)
    assert house.bus.named("child.starting", "root/s/b")[-1].incarnation == 1


@pytest.mark.parametrize("where", ["in a factory", "in a start"])
def test_who_waits_for_its_answer_is_told_at_once(house, wake, where) -> None:
    nested = ChildSpec("s", house.nested("s").start, type="supervisor", shutdown=0.1)
    root, ends, begun = house.start(nested), [], threading.Event()
    inner = root.which_children()[0].ref

    def blocks(*_):
        begun.set()
        wake.wait(60)

    slow = ChildSpec("slow", blocks) if where == "in a factory" else house.spec("slow", probe={"on_start": blocks})

    def call() -> None:
        try:
            inner.start_child(slow)
        except SupervisorDead as dead:
            ends.append(dead)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    assert begun.wait(10)
    root.terminate_child("s")
    assert fastest(lambda: caller.join(10), of=1) < 5
    assert len(ends) == 1
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert house.bus.named("supervisor.exited") == [], "it is not missed: its end has been told"


def test_a_stop_that_it_was_waiting_for_is_not_waited_for(house, wake) -> None:
    stuck = house.spec("stuck", shutdown="infinity", probe={"on_stop": lambda _: wake.wait(60)})
    nested = ChildSpec("s", house.nested("s", house.spec("a"), stuck).start, type="supervisor", shutdown=0.1)
    root = house.start(nested)
    root.terminate_child("s")
    eventually(lambda: root.leaked == 1)
    exits = [(e.path, e.data["reason"].kind) for e in house.bus.named("child.exited")]
    assert sorted(exits) == [("root/s", "abandoned"), ("root/s/a", "abandoned"), ("root/s/stuck", "abandoned")]
    wake.set()
    eventually(lambda: root.leaked == 0)
    assert len(house.bus.named("child.exited")) == 3
