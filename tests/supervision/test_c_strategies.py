"""C: strategies."""

import threading

import pytest

from darumad.supervision import ActorDeadError, ChildSpec, NotFound, PoolNeedsRef
from tests.kit import Probe, pause
from tests.supervision.conftest import SWITCHING


def test_c1_one_for_one_touches_nobody_else(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    b, over, answers = root.which_children()[1].ref, threading.Event(), []

    def keep_asking() -> None:
        while not over.is_set():
            answers.append(b.ask("who", timeout=10))

    asker = threading.Thread(target=keep_asking)
    asker.start()
    house.crash(root, "a", "a", "a")
    over.set()
    asker.join()
    assert set(answers) == {("b", 1)}
    assert house.states(root) == [("a", "up", 4), ("b", "up", 1)]
    assert root.which_children()[1].ref is b


def test_c2_one_for_all_goes_down_in_reverse_and_up_in_order(house) -> None:
    root = house.start(*map(house.spec, "abc"), strategy="one_for_all", intensity=1)
    house.log.clear()
    root.address("b").tell(ValueError())
    house.up("root/c", 2)
    round_trip = [("stop", "c"), ("stop", "a"), ("start", "a"), ("start", "b"), ("start", "c")]
    assert house.whats("stop", "start") == round_trip
    root.address("b").tell(ValueError())
    assert root.wait(10).kind == "shutdown"
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == 2, "a group is one restart"


def test_c3_rest_for_one_takes_those_after(house) -> None:
    root = house.start(*map(house.spec, "abcde"), strategy="rest_for_one")
    refs = [info.ref for info in root.which_children()]
    root.start_child(house.spec("f"))
    house.log.clear()
    root.address("c").tell(ValueError())
    house.up("root/f", 2)
    down = [("stop", name) for name in "fed"]
    assert house.whats("stop", "start") == [*down, *(("start", name) for name in "cdef")]
    assert [info.ref for info in root.which_children()][:2] == refs[:2]
    house.log.clear()
    root.address("f").tell(ValueError())
    house.up("root/f", 3)
    assert house.whats("stop", "start") == [("start", "f")]
    assert [i.incarnation for i in root.which_children()] == [1, 1, 2, 2, 2, 3]


def test_c7_a_sibling_that_fails_to_start_takes_the_group_down_again(house) -> None:
    starts = []

    def second_fails(actor) -> None:
        starts.append(1)
        if len(starts) == 2:
            raise RuntimeError("not now")

    specs = (house.spec("a"), house.spec("b", probe={"on_start": second_fails}), house.spec("c"))
    root = house.start(*specs, strategy="one_for_all", intensity=2)
    house.log.clear()
    root.address("a").tell(ValueError())
    house.up("root/c", 2)
    assert house.whats("stop", "start") == [
        ("stop", "c"),
        ("stop", "b"),
        ("start", "a"),
        ("start", "b"),
        ("stop", "a"),
        ("start", "a"),
        ("start", "b"),
        ("start", "c"),
    ]
    root.address("a").tell(ValueError())
    assert root.wait(10).kind == "shutdown", "two restarts were counted, the third is one too many"
    assert len(house.bus.until("supervisor.intensity_exceeded").data["history"]) == 3


@SWITCHING
def test_c9_a_crash_during_a_slow_stop_is_handled_after_it(house, switching) -> None:
    stopping = threading.Event()

    def slowly(actor) -> None:
        stopping.set()
        pause(0.4)
        actor.note("has stopped")

    def stop() -> None:
        root.terminate_child("b")
        house.log.append(("terminated", "b", 1))

    root = house.start(house.spec("a"), house.spec("b", probe={"on_stop": slowly}), house.spec("c"))
    stopper = threading.Thread(target=stop)
    stopper.start()
    assert stopping.wait(10)
    root.address("a").tell(ValueError())
    stopper.join()
    house.up("root/a", 2)
    assert house.whats("has stopped", "terminated") == [("has stopped", "b"), ("terminated", "b")]
    order = house.order("child.starting", "child.exited")[3:]
    assert order == [("exited", "b"), ("exited", "a"), ("starting", "a")]
    assert house.log.index(("has stopped", "b", 1)) < house.log.index(("start", "a", 2))
    assert house.states(root) == [("a", "up", 2), ("b", "undefined", 1), ("c", "up", 1)]


def test_c10_dynamic_children_are_not_remembered(house) -> None:
    s1 = house.nested("s1", house.spec("a"), house.spec("b"))
    root = house.start(s1, house.nested("s2", intensity=1), strategy="one_for_all")
    inner = root.which_children()[1].ref
    inner.start_child(house.spec("x"))
    inner.start_child(house.spec("y"))
    house.crash(inner, "x")
    inner.address("x").tell(ValueError())
    house.up("root/s2", 2)
    assert house.states(root) == [("s1", "up", 2), ("s2", "up", 2)]
    s1, s2 = (i.ref for i in root.which_children())
    assert house.states(s1) == [("a", "up", 2), ("b", "up", 2)]
    assert s2.which_children() == []
    assert {row.path for row in root.tree()} == {"root", "root/s1", "root/s1/a", "root/s1/b", "root/s2"}
    assert s1.count_children() == {"specs": 2, "active": 2, "supervisors": 0, "workers": 2}
    assert s2.count_children() == {"specs": 0, "active": 0, "supervisors": 0, "workers": 0}
    assert root.count_children() == {"specs": 2, "active": 2, "supervisors": 2, "workers": 0}


def test_c11_a_pool_knows_its_children_by_ref(house) -> None:
    template = ChildSpec("w", lambda n: Probe.start(house.log, n))
    root = house.start(template, strategy="pool", name="pool")
    refs = [root.start_child(f"w{n}") for n in range(100)]
    assert refs[3].path == "pool/4"
    refs[3].tell(ValueError())
    house.up("pool/4", 2)
    infos = root.which_children()
    assert infos[3].ref.ask("who", timeout=5) == ("w3", 2), "its own arguments"
    assert [info.ref for n, info in enumerate(infos) if n != 3] == [ref for n, ref in enumerate(refs) if n != 3]
    assert {info.id for info in infos} == {None}
    assert root.terminate_child(refs[5]) is None
    with pytest.raises(ActorDeadError):
        refs[5].tell("x")
    for call in (root.terminate_child, root.restart_child, root.delete_child, root.address):
        with pytest.raises(PoolNeedsRef):
            call("w1")
    foreign = Probe.start(house.log, "foreign")
    with pytest.raises(NotFound):
        root.terminate_child(foreign)
    for gone in (refs[3], refs[5]):
        root.terminate_child(gone)
    assert foreign.ask("who", timeout=5) == ("foreign", 0)
    foreign.stop()
    assert root.start_child("new").path == "pool/101"
    assert root.count_children() == {"specs": 1, "active": 100, "supervisors": 0, "workers": 100}
