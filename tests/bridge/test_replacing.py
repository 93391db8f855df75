"""A loop that is held up is replaced: what it held is told of once, what is next runs, what it still says is late."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import structlog

from darumad.agents import UnfitResult
from darumad.bridge import Limit, Spawned, SpawnFailed, Stopped
from darumad.bridge.loop import LoopThread
from darumad.clock import SystemClock
from darumad.names import Seconds
from darumad.work.item import WorkItem
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, Usage, WorkResult
from tests.bridge.room import PATIENCE, Room, completed, done
from tests.kit import FakeClock, captured_logs, eventually

Rooms = Callable[..., Room]
Hold = Callable[[], Coroutine[Any, Any, None]]
CALLS, CPU = 1000, 0.003
"""Healthy calls in one turn of the loop, and the seconds of CPU that each of them takes."""
DEAD_AFTER = 0.5


class Block:
    """Work that holds the loop until it is let go: what `time.sleep` in a coroutine does."""

    def __init__(self) -> None:
        self._held, self._go = threading.Event(), threading.Event()

    async def __call__(self, item: WorkItem, context: Context) -> WorkResult:
        self.hold()
        return completed(text="too late")

    def hold(self) -> None:
        self._held.set()
        self._go.wait(60)

    def holds(self) -> None:
        assert self._held.wait(PATIENCE)

    def release(self) -> None:
        self._go.set()


@pytest.fixture
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.release()


async def hang(item: WorkItem, context: Context) -> WorkResult:
    await asyncio.Event().wait()
    raise AssertionError


def test_l7_what_a_blocked_loop_held_is_interrupted_once_and_a_new_loop_takes_new_work(
    room: Rooms, block: Block
) -> None:
    stage = room()
    hung, blocked = stage.begin(hang), stage.held("two")
    stage.settled()
    stage.begin(block, blocked, stage.seat(2))
    block.holds()

    assert stage.bridge.replace() == 2
    dones = stage.reported.get(timeout=PATIENCE).dones
    assert {each.held.record.item.id for each in dones} == {"one", "two"}
    for each in dones:
        assert (each.result.stop_reason, each.abandoned) == (StopReason.INTERRUPTED, False)
        assert each.result.error.kind == "bridge_stalled"
    assert set(stage.broker.revoked) == {Owner(held.record.item.id, held.record.fence) for held in (hung, blocked)}
    assert [stage.next(), stage.next()] == [Spawned(), Spawned()], "each agent is made anew on the new loop"

    stage.work = done
    stage.bridge.send_work(stage.seat(), stage.held("three"))
    assert stage.done().result.text == "did three"
    assert stage.bridge.health().let_go == 1

    block.release()
    eventually(lambda: stage.bridge.health().let_go == 0)
    said = [stage.signals.get() for _ in range(stage.signals.qsize())]
    late = [(path, data["item"]) for name, path, _, data in said if name == "stale.dropped"]
    assert sorted(late) == [("actor/1", "one"), ("actor/2", "two")]
    assert stage.nothing_more_is_told()


@pytest.mark.parametrize("by_itself", [True, False], ids=["as the agent says itself", "as is seen of it"])
def test_what_comes_late_is_not_looked_at_so_nobody_is_told_that_it_is_unfit(
    room: Rooms, block: Block, by_itself: bool
) -> None:
    async def unfit(item: WorkItem, context: Context) -> WorkResult:
        block.hold()
        if by_itself:
            raise UnfitResult("it is none")
        return "no result at all"  # type: ignore[return-value]

    stage = room()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with captured_logs() as told:
        stage.begin(unfit)
        block.holds()
        stage.bridge.replace()
        block.release()
        eventually(lambda: stage.bridge.health().let_go == 0)
    assert told == []


def test_what_a_blocked_loop_held_has_got_on_if_a_step_of_it_is_on_disk(room: Rooms, block: Block) -> None:
    async def steps_and_blocks(item: WorkItem, context: Context) -> WorkResult:
        await context.steps.once("tool", {}, _nothing)
        return await block(item, context)

    stage = room()
    stage.begin(steps_and_blocks)
    block.holds()
    stage.bridge.replace()
    assert stage.done().stepped


async def _nothing() -> None:
    """Done by a step that is about its being one."""


async def of_its_own(hold: Hold) -> None:
    await hold()


async def beside_it(hold: Hold) -> None:
    await asyncio.gather(asyncio.sleep(0), hold())


async def by_another_name(hold: Hold) -> None:
    asyncio.current_task().set_name("whatever a template calls it")  # type: ignore[union-attr]
    await asyncio.create_task(beside_it(hold), name="or what it begins")


@pytest.mark.parametrize("begin", [of_its_own, beside_it, by_another_name])
def test_whose_task_holds_the_loop_is_known_and_told_of_as_such(
    room: Rooms, block: Block, begin: Callable[[Hold], Awaitable[None]]
) -> None:
    async def two(item: WorkItem, context: Context) -> WorkResult:
        async def hold() -> None:
            block.hold()

        await begin(hold)
        return completed(text="too late")

    stage = room()
    stage.begin(hang)
    stage.settled()
    stage.begin(two, stage.held("two"), stage.seat(2, template=__file__))
    block.holds()
    held = stage.loop.now.held
    eventually(lambda: held() > 0)
    culprit = stage.loop.now.culprit()
    assert culprit is not None

    assert stage.bridge.convict(culprit) == 1
    (told,) = stage.reported.get(timeout=PATIENCE).dones
    assert (told.held.record.item.id, told.result.error.kind) == ("two", "loop_held")
    assert "test_replacing.py" in told.result.error.message
    assert stage.broker.revoked == [Owner(told.held.record.item.id, told.held.record.fence)]
    assert stage.bridge.convict(culprit) == 0, "it is told of once"
    assert stage.bridge.replace() == 1
    assert stage.done().result.error.kind == "bridge_stalled"


def test_who_holds_the_loop_while_its_time_is_over_is_told_of_as_such(room: Rooms, block: Block) -> None:
    async def tidies_up(item: WorkItem, context: Context) -> WorkResult:
        try:
            return await hang(item, context)
        finally:
            block.hold()

    stage = room()
    stage.begin(tidies_up, stage.held(timeout=0.01))
    block.holds()
    eventually(lambda: stage.loop.now.held() > 0)
    culprit = stage.loop.now.culprit()
    assert culprit is not None
    assert stage.bridge.convict(culprit) == 1
    assert stage.done().result.error.kind == "loop_held"


def test_a_call_that_is_no_tasks_own_is_held_against_nobody(room: Rooms, block: Block) -> None:
    stage = room()
    stage.begin(hang)
    stage.settled()
    stage.loop.post(block.hold)
    block.holds()
    eventually(lambda: stage.loop.now.held() > 0)
    assert stage.loop.now.culprit().owner is None


def test_what_was_handed_over_while_the_loop_was_held_is_not_lost(room: Rooms, block: Block) -> None:
    stage = room()
    seat = stage.spawned()
    stage.loop.post(block.hold)
    block.holds()
    stage.bridge.send_work(seat, stage.held())
    stage.bridge.spawn(stage.seat(2))
    stage.bridge.spawn(stage.seat(3))
    stage.bridge.forget("actor/3#1")
    stage.loop.post(lambda: stage.told.put("what others posted"))

    assert stage.bridge.replace() == 1
    said = [stage.next() for _ in range(3)]
    assert said.count(Spawned()) == 2, "the one that was up, and the one that was to be"
    assert "what others posted" in said
    assert stage.done().result.stop_reason is StopReason.INTERRUPTED
    assert stage.nothing_more_is_told()


def test_what_had_ended_and_was_not_reported_yet_is_reported_as_it_ended(room: Rooms, block: Block) -> None:
    stage = room()

    async def end_and_block(item: WorkItem, context: Context) -> WorkResult:
        asyncio.get_running_loop().call_soon(block.hold)  # it comes before the report of what ends now
        return completed(text="in time")

    stage.begin(end_and_block)
    block.holds()
    assert stage.bridge.replace() == 0
    assert stage.done().result.text == "in time"
    assert stage.next() == Spawned()
    block.release()
    eventually(lambda: stage.bridge.health().let_go == 0)
    assert stage.nothing_more_is_told()


def test_an_agent_that_cannot_be_made_anew_is_told_of(room: Rooms, block: Block) -> None:
    stage = room()
    stage.spawned()
    stage.loop.post(block.hold)
    block.holds()

    def fall(*_: object) -> object:
        raise ValueError("its file is gone")

    stage.make = fall  # type: ignore[assignment]
    stage.bridge.replace()
    assert isinstance(stage.next(), SpawnFailed)


def test_a_cancel_that_waits_for_a_blocked_loop_is_told_what_did_not_stop(room: Rooms, block: Block) -> None:
    stage = room()
    held = stage.begin(block)
    block.holds()
    stage.bridge.cancel([Owner(held.record.item.id, held.record.fence)], Limit.CANCELLED, stage.told.put)
    stage.bridge.replace()
    assert stage.broker.revoked
    said = [stage.next(), stage.next()]
    (stopped,) = [each for each in said if isinstance(each, Stopped)]
    assert stage.done().result.stop_reason is StopReason.CANCELLED
    assert (stopped.stopped, stopped.not_stopped) == ((), ("one",))


def test_who_answers_a_blocked_loop_is_hung_up_on_while_it_is_blocked(room: Rooms, block: Block) -> None:
    stage = room()
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def call_and_block(item: WorkItem, context: Context) -> WorkResult:
            reader, writer = await asyncio.open_connection(*server.getsockname())
            reading = asyncio.ensure_future(reader.read())
            writer.write(b"a question")
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.01, block.hold)
            await reading
            writer.close()
            return completed()

        stage.begin(call_and_block)
        answering, _ = server.accept()
        with answering:
            answering.settimeout(PATIENCE)
            assert answering.recv(100) == b"a question"
            block.holds()
            stage.bridge.replace()
            assert answering.recv(100) == b"", "the other end is told, though the loop has not come back"
        block.release()
        eventually(lambda: stage.bridge.health().let_go == 0)


def test_what_was_reserved_on_a_blocked_loop_is_booked_at_its_estimate_and_a_late_bill_changes_nothing(
    room: Rooms, block: Block
) -> None:
    stage, estimate = room(), Usage(input_tokens=60, output_tokens=40, calls=1)
    stage.spawned()
    reserved = asyncio.run_coroutine_threadsafe(
        stage.ledger.reserve(
            Owner(stage.held().record.item.id, 1), agent="a", provider="far", model="m", estimate=estimate
        ),
        stage.loop.now.loop,
    ).result(PATIENCE)
    stage.loop.post(block.hold)
    block.holds()
    old = stage.loop.now
    stage.bridge.replace()
    old.loop.call_soon_threadsafe(stage.ledger.settle, reserved, Usage(input_tokens=5, calls=1))
    block.release()
    eventually(lambda: not old.alive)
    question = "SELECT tokens, settled_at IS NULL FROM reservation"
    eventually(lambda: stage.desk.sql(question) == [(100, 0)])


# --- who is convicted -------------------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread(SystemClock())
    thread.start()
    yield thread
    assert thread.stop(Seconds(PATIENCE))


def test_a_call_that_holds_the_loop_is_convicted_by_who_looks_again_and_again(loop: LoopThread, block: Block) -> None:
    loop.post(block.hold)
    block.holds()
    eventually(lambda: loop.held() >= DEAD_AFTER)
    assert "test_replacing.py" in loop.stack()
    block.release()
    eventually(lambda: loop.held() == 0.0)


def test_l7_a_thousand_healthy_calls_make_the_pulse_late_and_convict_nobody(loop: LoopThread) -> None:
    over = threading.Event()

    async def call() -> None:
        until = time.perf_counter() + CPU
        while time.perf_counter() < until:
            pass

    async def burst() -> None:
        await asyncio.gather(*(call() for _ in range(CALLS)))
        over.set()

    loop.post(lambda: asyncio.ensure_future(burst()) and None)
    looks = []
    while not over.wait(0.05):
        looks.append((loop.late(), loop.held()))
    assert max(late for late, _ in looks) > 1.0
    assert max(held for _, held in looks) < DEAD_AFTER


def test_who_was_late_himself_convicts_nobody_of_the_time_that_he_missed(block: Block) -> None:
    clock = FakeClock()
    loop = LoopThread(clock)
    loop.start()
    loop.post(block.hold)
    block.holds()
    clock.jump(1.0)
    assert loop.held() == 0.0
    clock.jump(3600.0)
    assert loop.held() <= DEAD_AFTER
    block.release()
    assert loop.stop(Seconds(PATIENCE))
