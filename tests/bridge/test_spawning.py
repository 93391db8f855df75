"""An agent that cannot be made is tried again, ever more seldom; meanwhile its actor is told why, and lives."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from darumad.agents import SpawnRefused
from darumad.bridge import Limit, Spawned, SpawnFailed, Stopped, half
from darumad.journal.requests import Held
from darumad.names import AgentName
from darumad.work.item import WorkItem
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from tests.bridge.room import PATIENCE, Agent, Room, completed
from tests.kit import Gate, eventually

Rooms = Callable[..., Room]


def failing(room: Room, times: int, error: BaseException) -> None:
    """The first `times` agents cannot be made."""
    left, make = [times], room.make

    def made(role: Any, definition: Any) -> Agent:
        if left[0]:
            left[0] -= 1
            raise error
        return make(role, definition)

    room.make = made


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "RESPAWN_FIRST", 0.001)
    monkeypatch.setattr(half, "RESPAWN_MAX", 0.004)


def test_the_wait_doubles_up_to_its_most_and_spreads_by_a_fifth(room: Rooms) -> None:
    stage = room()
    failing(stage, 5, SpawnRefused("no key"))
    stage.bridge.spawn(stage.seat())
    failures = [stage.next() for _ in range(5)]
    assert all(isinstance(each, SpawnFailed) and each.error == "no key" for each in failures)
    for each, base in zip(failures, (0.001, 0.002, 0.004, 0.004, 0.004), strict=True):
        assert base <= each.retry_in <= base * 1.2
    assert stage.next() == Spawned()


def test_why_it_cannot_be_made_is_shown_until_it_can(room: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "RESPAWN_FIRST", 600.0)
    monkeypatch.setattr(half, "RESPAWN_MAX", 600.0)
    stage = room()
    failing(stage, 1, SpawnRefused("no key"))
    stage.bridge.spawn(stage.seat())
    stage.next()
    assert stage.bridge.spawn_errors() == {"actor/1#1": "no key"}
    stage.bridge.restart(stage.seat())
    assert stage.next() == Spawned()
    assert stage.bridge.spawn_errors() == {}


@pytest.mark.parametrize("error", [TypeError("a broken template"), SystemExit(1)], ids=lambda e: type(e).__name__)
def test_whatever_a_template_raises_while_its_agent_is_made_the_loop_turns_on(
    room: Rooms, error: BaseException
) -> None:
    stage = room()
    failing(stage, 1, error)
    stage.bridge.spawn(stage.seat())
    stage.bridge.spawn(stage.seat(2))
    assert stage.next().error == f"{type(error).__name__}: {error}"
    assert [stage.next(), stage.next()] == [Spawned(), Spawned()]


def test_an_agent_that_cannot_be_made_any_more_is_taken_away_and_its_item_owes_nothing(room: Rooms) -> None:
    async def gone(item: WorkItem, context: Context) -> WorkResult:
        raise SpawnRefused("its template is gone")

    stage = room()
    stage.begin(gone)
    told, again = stage.next(), stage.next()
    assert (told.error, again) == ("its template is gone", Spawned())
    result = stage.done().result
    assert result.stop_reason is StopReason.INTERRUPTED
    assert result.error is not None
    assert (result.error.kind, result.error.message) == (
        "interrupted", "its agent cannot be made: its template is gone",
    )  # fmt: skip


def test_a_life_that_is_over_is_not_tried_again(room: Rooms) -> None:
    stage, waited = room(), threading.Event()

    def fail_and_leave(role: Any, definition: Any) -> Agent:
        stage.bridge.forget("actor/1#1")
        stage.loop.now.loop.call_later(0.05, waited.set)
        raise SpawnRefused("no key")

    stage.make = fail_and_leave
    stage.bridge.spawn(stage.seat())
    assert waited.wait(10)
    assert stage.nothing_more_is_told()


def making_waits_for(room: Room, gate: Gate, error: Exception | None = None) -> None:
    """Each agent of `actor/1` is made when the gate is open, or cannot be made then."""
    make = room.make_for

    async def made(role: Any, definition: Any) -> Agent:
        if definition.name == "slow":
            await gate.passed()
            if error is not None:
                raise error
        return await make(role, definition)

    room.make_for = made


def slow_seat(room: Room) -> Any:
    return room.seat(name=AgentName("slow"))


def test_while_one_agent_is_made_others_are_made_and_work(room: Rooms) -> None:
    stage, gate = room(), Gate()
    making_waits_for(stage, gate)
    stage.bridge.spawn(slow_seat(stage))
    stage.begin(stage.work, seat=stage.seat(2))
    assert stage.done().result.success
    assert [each.path for each in stage.bridge.idle()] == ["actor/2"]
    gate.open()
    assert stage.next() == Spawned()


def test_a_life_that_ends_while_its_agent_is_made_hears_nothing_of_that(room: Rooms) -> None:
    stage, gate = room(), Gate()
    making_waits_for(stage, gate, SpawnRefused("too late"))
    stage.bridge.spawn(slow_seat(stage))
    stage.settled()
    stage.bridge.forget("actor/1#1")
    gate.open()
    assert stage.nothing_more_is_told()


def waiting_for_its_agent(stage: Room, gate: Gate, error: Exception | None = None) -> Held:
    """What was handed to a seat whose agent is still being made, as after its loop was replaced."""
    making_waits_for(stage, gate, error)
    seat, held = slow_seat(stage), stage.held()
    stage.bridge.spawn(seat)
    stage.bridge.send_work(seat, held)
    stage.settled()
    return held


def test_what_is_handed_over_while_its_agent_is_made_begins_with_it(room: Rooms) -> None:
    stage, gate = room(), Gate()
    waiting_for_its_agent(stage, gate)
    assert stage.nothing_more_is_told()
    gate.open()
    assert stage.done().result.success


def test_what_waits_for_an_agent_that_cannot_be_made_is_put_back_at_no_cost(room: Rooms) -> None:
    stage, gate = room(), Gate()
    waiting_for_its_agent(stage, gate, SpawnRefused("no key"))
    gate.open()
    result = stage.done().result
    assert result.stop_reason is StopReason.INTERRUPTED
    assert result.error is not None
    assert result.error.message == "its agent cannot be made: no key"


def test_what_is_cancelled_while_its_agent_is_made_never_begins(room: Rooms) -> None:
    stage, gate = room(), Gate()
    held = waiting_for_its_agent(stage, gate)
    began: list[WorkItem] = []
    stage.work = lambda item, _: began.append(item) or _done()  # type: ignore[func-returns-value]
    stopped: queue.SimpleQueue[Stopped] = queue.SimpleQueue()
    owner = Owner(held.record.item.id, held.record.fence)
    stage.bridge.cancel([owner], Limit.CANCELLED, stopped.put)
    assert stopped.get(timeout=PATIENCE).stopped == (held.record.item.id,)
    assert stage.done().result.stop_reason is StopReason.CANCELLED
    gate.open()
    assert stage.next() == Spawned()
    assert stage.nothing_more_is_told()
    assert began == []


def test_what_waits_for_an_agent_ends_with_the_life_that_it_was_handed_to(room: Rooms) -> None:
    stage, gate = room(), Gate()
    held = waiting_for_its_agent(stage, gate)
    stage.bridge.forget("actor/1#1")
    eventually(lambda: not stage.bridge.in_flight())
    assert stage.broker.revoked == [Owner(held.record.item.id, held.record.fence)]
    gate.open()
    assert stage.nothing_more_is_told()


def test_an_agent_beats_when_it_is_made_and_then_again_and_again(room: Rooms) -> None:
    stage = room(heartbeat=0.01)
    stage.spawned()
    beats = [stage.signals.get(timeout=10) for _ in range(3)]
    assert beats[0] == (
        "agent.heartbeat", "actor/1", 1, {"agent": "optimizer", "item": None, "stage": None, "idle": None},
    )  # fmt: skip
    stage.bridge.forget("actor/1#1")
    stage.settled()
    while not stage.signals.empty():
        stage.signals.get()
    stage.spawned(stage.seat(2))
    assert {stage.signals.get(timeout=10)[1] for _ in range(3)} == {"actor/2"}, "a life that is over gives none"


def test_what_one_posted_call_raises_does_not_hold_up_those_behind_it(room: Rooms) -> None:
    stage, ran = room(), list[int]()
    gate = threading.Event()

    def fall() -> None:
        raise ValueError("this call's own")

    stage.loop.post(lambda: gate.wait(10) and None)
    stage.loop.post(fall)
    stage.loop.post(lambda: ran.append(1))
    gate.set()
    eventually(lambda: ran == [1])


async def _done() -> WorkResult:
    return completed()
