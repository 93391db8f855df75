"""C: strategies."""

import threading

import pytest

from darumad.supervision import ActorDeadError, ChildSpec, NotFound, PoolNeedsRef
from tests.kit import Probe, pause


def test_c1_one_for_one_touches_nobody_else(house) -> None:
    root = house.start(house.spec("a"), house.spec("b"))
    b = root.which_children()[1].ref
    root.address("a").tell(ValueError())
    assert b.ask("hello", timeout=5) == "hello"
    house.up("root/a", 2)
    infos = root.which_children()
    assert [i.incarnation for i in infos] == [2, 1]
    assert infos[1].ref is b
    assert b.ask("hello", timeout=5) == "hello"


def test_c2_one_for_all_goes_down_in_reverse_and_up_in_order(house) -> None:
    root = house.start(*map(house.spec, "abc"), strategy="one_for_all", intensity=1)
    house.log.clear()
    root.address("b").tell(ValueError())
    house.up("root/c", 2)
    assert house.whats("stop", "start") == [
        ("stop", "c"),
        ("stop", "a"),
        ("start", "a"),
        ("start", "b"),
        ("start", "c"),
    ]
    assert root.is_alive()


def test_c3_rest_for_one_takes_those_after(house) -> None:
    root = house.start(*map(house.spec, "abcde"), strategy="rest_for_one")
    root.start_child(house.spec("f"))
    house.log.clear()
    root.address("c").tell(ValueError())
    house.up("root/f", 2)
    assert house.whats("stop", "start") == [
        ("stop", "f"),
        ("stop", "e"),
        ("stop", "d"),
        ("start", "c"),
        ("start", "d"),
        ("start", "e"),
        ("start", "f"),
    ]
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


def test_c9_a_crash_during_a_slow_stop_is_handled_after_it(house) -> None:
    root = house.start(house.spec("a"), house.spec("b", probe={"on_stop": lambda _: pause(0.2)}))
    stopper = threading.Thread(target=root.terminate_child, args=("b",))
    stopper.start()
    root.address("a").tell(ValueError())
    stopper.join()
    house.up("root/a", 2)
    order = [(e.name, e.path) for e in house.bus.events if e.name == "child.exited"]
    assert len(order) == 2
    assert len(house.bus.named("child.started", "root/a")) == 2


def test_c10_dynamic_children_are_not_remembered(house) -> None:
    root = house.start(
        house.nested("s1", house.spec("a"), house.spec("b")), house.nested("s2", intensity=0), strategy="one_for_all"
    )
    s2 = root.which_children()[1].ref
    s2.start_child(house.spec("x"))
    s2.start_child(house.spec("y"))
    s2.address("x").tell(ValueError())
    house.up("root/s2", 2)
    s1, s2 = (i.ref for i in root.which_children())
    assert [i.id for i in s1.which_children()] == ["a", "b"]
    assert s2.which_children() == []


def test_c11_a_pool_knows_its_children_by_ref(house) -> None:
    template = ChildSpec("w", lambda n: Probe.start(house.log, n))
    root = house.start(template, strategy="pool", name="pool")
    refs = [root.start_child(f"w{n}") for n in range(20)]
    assert refs[3].path == "pool/4"
    refs[3].tell(ValueError())
    house.up("pool/4", 2)
    assert root.which_children()[3].ref.ask("who", timeout=5) == ("w3", 2)
    root.terminate_child(refs[5])
    with pytest.raises(ActorDeadError):
        refs[5].tell("x")
    for call in (root.terminate_child, root.restart_child, root.delete_child, root.address):
        with pytest.raises(PoolNeedsRef):
            call("w1")
    foreign = Probe.start(house.log, "foreign")
    with pytest.raises(NotFound):
        root.terminate_child(foreign)
    assert foreign.ask("who", timeout=5) == ("foreign", 0)
    foreign.stop()
    assert root.start_child("new").path == "pool/21"
    assert root.count_children() == {"specs": 1, "active": 20, "supervisors": 0, "workers": 20}
