"""Waits without a limit that lead back to the waiting thread: somebody is refused at once, and nobody hangs."""

import threading
from typing import Any

import pytest

from darumad.supervision import ActorRef, StartError, SupervisorRef, Timeout, WouldDeadlock
from darumad.supervision.liveness import stack_of
from tests.kit import eventually
from tests.supervision.conftest import SWITCHING


def refs(root: SupervisorRef) -> list[ActorRef]:
    return [info.ref for info in root.which_children() if info.ref is not None]


def stands_in(root: SupervisorRef, path: str, function: str) -> None:
    """Wait until the thread at `path` is inside `function`, and waits there."""
    (thread,) = [row.thread for row in root.tree() if row.path == path]
    eventually(lambda: all(f"in {name}\n" in stack_of(thread) for name in (function, "wait")))


def in_background(call: Any, *args: Any) -> threading.Thread:
    """Call it on a thread of its own, which waits for the answer by now."""
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    eventually(lambda: "in wait\n" in stack_of(thread) or not thread.is_alive())
    return thread


def refusal_of(deed: Any) -> Any:
    """What comes of the deed; `WouldDeadlock`, if it was refused."""
    try:
        return deed()
    except WouldDeadlock:
        return WouldDeadlock


@SWITCHING
def test_asks_in_a_ring_are_refused_where_it_closes(house, switching) -> None:
    a, b, c = refs(house.start(*(house.spec(name) for name in "abc")))

    def closes(_actor: object) -> object:
        return refusal_of(lambda: a.ask("round"))

    for _ in range(50):
        assert a.ask(lambda _: b.ask(lambda _: c.ask(closes)), timeout=20) is WouldDeadlock
    assert "round" not in [what for what, *_ in house.log], "what was refused was not posted"


def test_a_future_that_is_waited_for_closes_a_ring_like_an_ask(house) -> None:
    a, b = refs(house.start(house.spec("a"), house.spec("b")))

    def closes(_actor: object) -> object:
        return refusal_of(a.ask("round", block=False).get)

    assert a.ask(lambda _: b.ask(closes), timeout=20) is WouldDeadlock


def test_asks_with_a_timeout_in_a_ring_end_by_it(house) -> None:
    a, b = refs(house.start(house.spec("a"), house.spec("b")))
    with pytest.raises(Timeout):
        a.ask(lambda _: b.ask(lambda _: a.ask("round", timeout=0.05)), timeout=20)


@SWITCHING
def test_of_two_that_ask_each_other_at_once_one_is_refused(house, switching) -> None:
    a, b = refs(house.start(house.spec("a"), house.spec("b")))
    for _ in range(100):
        barrier = threading.Barrier(2)

        def ask(other: ActorRef, barrier: threading.Barrier = barrier) -> object:
            barrier.wait(10)
            return refusal_of(lambda: other.ask("hello"))

        answers = [
            a.ask(lambda _, ask=ask: ask(b), block=False),
            b.ask(lambda _, ask=ask: ask(a), block=False),
        ]
        assert WouldDeadlock in [answer.get(timeout=20) for answer in answers]


@SWITCHING
def test_of_two_that_stop_each_other_at_once_one_is_refused(house, switching) -> None:
    for nth in range(20):
        a, b = refs(house.start(house.spec("a"), house.spec("b"), name=f"root{nth}"))
        barrier, said = threading.Barrier(2), []

        def stop(other: ActorRef, barrier: threading.Barrier = barrier, said: list[Any] = said) -> None:
            barrier.wait(10)
            said.append(refusal_of(other.stop))

        a.tell(lambda _, stop=stop, b=b: stop(b))
        b.tell(lambda _, stop=stop, a=a: stop(a))
        eventually(lambda said=said: len(said) == 2)
        assert WouldDeadlock in said


@pytest.mark.parametrize("shutdown", ["infinity", 60.0])
def test_a_child_that_calls_its_supervisor_while_that_takes_it_down_is_refused(house, shutdown) -> None:
    root, go, said = house.start(house.spec("a", shutdown=shutdown)), threading.Event(), []
    (a,) = refs(root)
    a.tell(lambda _: (go.wait(10), said.append(refusal_of(root.which_children))))
    stands_in(root, "root/a", "<lambda>")
    stopper = in_background(root.terminate_child, "a")
    stands_in(root, "root", "take_down")
    go.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert said == [WouldDeadlock]
    assert house.states(root) == [("a", "undefined", 1)]
    assert house.bus.named("child.exited")[-1].data["reason"].kind == "shutdown"


def test_a_child_that_has_called_its_supervisor_when_that_takes_it_down_is_refused_and_its_call_not_run(house) -> None:
    root, free, said = house.start(house.spec("a", shutdown="infinity")), threading.Event(), []
    (a,) = refs(root)
    house.opened.append(free)
    starter = in_background(root.start_child, house.spec("slow", probe={"on_start": lambda _: free.wait(10)}))
    stopper = in_background(root.terminate_child, "a")
    a.tell(lambda _: said.append(refusal_of(lambda: root.start_child(house.spec("late")))))
    stands_in(root, "root/a", "start_child")
    free.set()
    for thread in (starter, stopper):
        thread.join(10)
        assert not thread.is_alive()
    assert said == [WouldDeadlock]
    assert house.states(root) == [("a", "undefined", 1), ("slow", "up", 1)]


def test_of_two_children_that_terminate_each_other_one_does(house) -> None:
    root = house.start(house.spec("a", shutdown="infinity"), house.spec("b", shutdown="infinity"))
    barrier, said = threading.Barrier(2), []
    for ref, other in zip(refs(root), "ba", strict=True):
        ref.tell(
            lambda _, other=other: (
                barrier.wait(10),
                said.append(refusal_of(lambda: root.terminate_child(other))),
            )
        )
    eventually(lambda: len(said) == 2)
    assert set(said) == {None, WouldDeadlock}
    assert sorted(state for _, state, _ in house.states(root)) == ["undefined", "up"]


def test_a_group_goes_down_though_one_of_it_has_called_the_supervisor(house) -> None:
    """The younger sibling goes down first, and does not end before the elder has called."""
    elder_called, said = threading.Event(), []
    patient = house.spec("b", shutdown="infinity", probe={"on_stop": lambda _: elder_called.wait(10)})
    root = house.start(house.spec("a", shutdown="infinity"), patient, house.spec("c"), strategy="one_for_all")
    a, _, c = refs(root)
    c.tell(ValueError())
    stands_in(root, "root", "take_down")
    a.tell(lambda _: said.append(refusal_of(root.which_children)))
    stands_in(root, "root/a", "which_children")
    elder_called.set()
    house.up("root/c", 2)
    assert said == [WouldDeadlock]
    assert [state for _, state, _ in house.states(root)] == ["up"] * 3
    assert house.bus.named("child.stop_timeout") == []


@pytest.mark.parametrize("ends", ["stop", "wait"])
def test_stops_alone_that_wait_for_each_other_through_a_supervisor_end(house, ends) -> None:
    # Nobody in this ring asks anything: all wait for an end, and the supervisor is the one who closes it.
    root, other = house.start(house.spec("a", shutdown="infinity")), house.start(house.spec("b"), name="other")
    (a,), (b,), go, said = refs(root), refs(other), threading.Event(), []
    b.tell(lambda _: (go.wait(10), root.stop(block=False), said.append(refusal_of(getattr(root, ends)))))
    stands_in(other, "other/b", "<lambda>")
    a.tell(lambda _: said.append(refusal_of(b.stop)))
    stands_in(root, "root/a", "stop")
    go.set()
    assert root.wait(10).kind == "shutdown"
    assert said == [WouldDeadlock, True]


def test_a_child_that_waits_for_the_end_of_its_root_does_not_hold_that_up(house) -> None:
    root, said = house.start(house.spec("a", shutdown="infinity")), []
    refs(root)[0].tell(lambda _: said.append(refusal_of(root.wait)))
    stands_in(root, "root/a", "wait")
    root.stop(timeout=10)
    assert said == [WouldDeadlock]


def test_a_grandchild_that_has_called_the_root_does_not_hold_up_the_stop_of_its_supervisor(house) -> None:
    younger_waits, said = threading.Event(), []
    patient = house.spec("y", shutdown="infinity", probe={"on_stop": lambda _: younger_waits.wait(10)})
    root = house.start(house.nested("inner", house.spec("x", shutdown="infinity"), patient))
    x, _ = refs(refs(root)[0])
    stopper = in_background(root.terminate_child, "inner")
    stands_in(root, "root/inner", "take_down")
    x.tell(lambda _: said.append(refusal_of(root.which_children)))
    stands_in(root, "root/inner/x", "which_children")
    younger_waits.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert said == [WouldDeadlock]


def test_who_is_asked_by_a_start_cannot_wait_for_the_supervisor(house) -> None:
    root, said = house.start(house.spec("a")), []
    (a,) = refs(root)

    def ask(_actor: object) -> None:
        said.append(a.ask(lambda _: refusal_of(root.which_children)))

    root.start_child(house.spec("b", start_timeout=None, probe={"on_start": ask}))
    assert said == [WouldDeadlock]
    assert house.states(root) == [("a", "up", 1), ("b", "up", 1)]


def test_a_child_that_starts_another_which_asks_it_hears_that_the_start_failed(house) -> None:
    root = house.start(house.spec("a"))
    (a,) = refs(root)
    asks = house.spec("b", start_timeout=None, probe={"on_start": lambda _: a.ask("hello")})
    with pytest.raises(StartError) as failed:
        a.ask(lambda _: root.start_child(asks), timeout=20)
    assert isinstance(failed.value.cause, WouldDeadlock)
