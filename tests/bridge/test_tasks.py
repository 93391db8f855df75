"""One stage on the loop: whatever becomes of it, the actor is told exactly once, and nobody else is held up."""

import asyncio
import contextvars
import gc
import json
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from darumad.agents import UnfitResult, ended
from darumad.bridge import Limit, Stopped
from darumad.bridge.task import StageWatch, WatchedComplete
from darumad.journal.requests import Held
from darumad.names import Seconds, Stage
from darumad.values import changed
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Context, Owner
from darumad.work.result import StopReason, WorkResult
from tests.bridge.room import PATIENCE, Room, completed
from tests.kit import FakeClock, Gate, captured_logs, eventually

Rooms = Callable[..., Room]


async def hang(item: WorkItem, context: Context) -> WorkResult:
    await asyncio.Event().wait()
    raise AssertionError


class Deaf:
    """Work that ignores its cancel until it is let go."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self._go: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, item: WorkItem, context: Context) -> WorkResult:
        self._go, self._loop = asyncio.Event(), asyncio.get_running_loop()
        while not self._go.is_set():
            try:
                await self._go.wait()
            except asyncio.CancelledError:
                self.heard.set()
        return completed(text="too late")

    def release(self) -> None:
        assert self._loop is not None
        assert self._go is not None
        self._loop.call_soon_threadsafe(self._go.set)


class Unspeakable(Exception):  # noqa: N818 - it reads as what it is
    """An exception that raises `instead` when it is asked for its words."""

    def __init__(self, instead: BaseException) -> None:
        super().__init__()
        self._instead = instead

    def __str__(self) -> str:
        raise self._instead


def owned(held: Held) -> Owner:
    return Owner(held.record.item.id, held.record.fence)


# --- what it comes to -------------------------------------------------------------------------------------------------


def test_what_the_agent_gives_is_told_with_the_item_it_is_for(room: Rooms) -> None:
    stage = room()
    held = stage.begin(stage.work)
    done = stage.done()
    assert (done.held, done.result.text, done.abandoned) == (held, "did one", False)
    assert done.result.duration is not None
    assert stage.bridge.in_flight() == {}


def test_what_has_ended_is_gone_at_once_and_leaves_nothing_for_the_collector(room: Rooms) -> None:
    watches: list[weakref.ref[object]] = []

    async def look(item: WorkItem, context: Context) -> WorkResult:
        watches.append(weakref.ref(context.progress.__self__))  # type: ignore[attr-defined] # its task's watch
        return completed()

    stage = room()
    gc.disable()
    try:
        stage.begin(look)
        stage.done()
        eventually(lambda: watches[0]() is None)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("no"), id="an error"),
        pytest.param(Unspeakable(RuntimeError()), id="an error without words"),
        pytest.param(Unspeakable(SystemExit(3)), id="an error whose words exit"),
        pytest.param(AssertionError("never"), id="an assertion"),
        pytest.param(SystemExit(3), id="an exit"),
        pytest.param(KeyboardInterrupt(), id="an interrupt"),
        pytest.param(GeneratorExit(), id="a generator's exit"),
    ],
)
def test_whatever_an_agent_raises_is_its_items_crash_and_the_loop_turns_on(room: Rooms, error: BaseException) -> None:
    async def fall(item: WorkItem, context: Context) -> WorkResult:
        raise error

    stage = room()
    stage.begin(fall)
    crashed = stage.done().result
    assert crashed.stop_reason is StopReason.AGENT_CRASHED
    assert crashed.error is not None
    assert (crashed.error.kind, crashed.error.error_type) == ("agent_crashed", type(error).__name__)
    stage.begin(_done, held=stage.held("two"), seat=stage.seat(2))
    assert stage.done().result.success


def test_a_result_that_the_agent_itself_calls_unfit_is_told_in_its_words_with_no_line_of_ours(room: Rooms) -> None:
    async def unfit(item: WorkItem, context: Context) -> WorkResult:
        raise UnfitResult("`execute` of mine@2 returned None")

    stage = room()
    stage.begin(unfit)
    refused = stage.done().result
    assert refused.stop_reason is StopReason.AGENT_CRASHED
    assert refused.error is not None
    assert (refused.error.kind, refused.error.error_type) == ("agent_crashed", "UnfitResult")
    assert refused.error.message == "the agent's result cannot be taken: `execute` of mine@2 returned None"


def test_an_error_s_words_that_are_no_unicode_are_told_all_the_same(room: Rooms) -> None:
    async def fall(item: WorkItem, context: Context) -> WorkResult:
        raise ValueError("file \udcff not found")

    stage = room()
    stage.begin(fall)
    error = stage.done().result.error
    assert error is not None
    assert error.message.startswith("ValueError: file ? not found (")


def test_a_template_that_ends_the_loop_ends_it_for_nobody(room: Rooms) -> None:
    async def meddle(item: WorkItem, context: Context) -> WorkResult:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.stop)
        loop.call_soon(sys.exit, 3)
        await asyncio.sleep(0)
        return completed()

    stage = room()
    stage.begin(meddle)
    assert stage.done().result.success
    stage.begin(_done, held=stage.held("two"), seat=stage.seat(2))
    assert stage.done().result.success


def test_a_crash_is_told_with_the_template_s_own_line_and_its_traceback_is_in_the_log(room: Rooms) -> None:
    def deep() -> None:
        json.loads("no JSON")

    async def fall(item: WorkItem, context: Context) -> WorkResult:
        deep()
        raise AssertionError

    stage = room()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with captured_logs(structlog.contextvars.merge_contextvars) as told:
        stage.begin(fall, seat=stage.seat(template=__file__))
        error = stage.done().result.error
    assert error is not None
    line = deep.__code__.co_firstlineno + 1
    assert error.message.startswith("JSONDecodeError: ")
    assert error.message.endswith(f" (test_tasks.py:{line})")
    (crash,) = (each for each in told if each["event"] == "agent_crashed")
    assert (crash["log_level"], crash["item_id"], crash["agent"], crash["attempt"]) == ("error", "one", "optimizer", 1)
    assert isinstance(crash["exc_info"], json.JSONDecodeError)


def test_what_is_logged_for_an_item_of_a_traced_request_bears_its_correlation_id(room: Rooms) -> None:
    async def fall(item: WorkItem, context: Context) -> WorkResult:
        raise AssertionError

    stage = room()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    held = stage.held()
    traced = changed(held, record=changed(held.record, correlation_id="4bf92f3577b34da6a3ce929d0e0e4736"))
    with captured_logs(structlog.contextvars.merge_contextvars) as told:
        stage.begin(fall, held=traced)
        stage.done()
    (crash,) = (each for each in told if each["event"] == "agent_crashed")
    assert crash["correlation_id"] == traced.record.correlation_id


def test_an_agent_that_cancels_itself_has_crashed(room: Rooms) -> None:
    async def cancel_itself(item: WorkItem, context: Context) -> WorkResult:
        raise asyncio.CancelledError

    stage = room()
    stage.begin(cancel_itself)
    assert stage.done().result.stop_reason is StopReason.AGENT_CRASHED


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_stage_that_runs_too_long_ends_at_its_hard_limit(room: Rooms) -> None:
    async def busy(item: WorkItem, context: Context) -> WorkResult:
        while True:
            context.progress()
            await asyncio.sleep(0)

    stage = room(timeout=0.05)
    stage.begin(busy)
    result = stage.done().result
    assert (result.stop_reason, result.error and result.error.kind) == (StopReason.TIMEOUT, "item_timeout")


def test_a_stage_without_progress_ends_at_its_idle_limit(room: Rooms) -> None:
    stage = room(idle_timeout=0.05)
    stage.begin(hang)
    assert stage.done().result.stop_reason is StopReason.IDLE_TIMEOUT


def test_progress_keeps_the_idle_limit_away(room: Rooms) -> None:
    async def progress(item: WorkItem, context: Context) -> WorkResult:
        until = asyncio.get_running_loop().time() + 0.4
        while asyncio.get_running_loop().time() < until:
            context.progress()
            await asyncio.sleep(0)
        return completed()

    stage = room(idle_timeout=0.2)
    stage.begin(progress)
    assert stage.done().result.success


@pytest.mark.parametrize(
    ("item", "definition", "ended"),
    [
        ({"timeout": 0.05}, {"timeout": 600.0}, StopReason.TIMEOUT),
        ({}, {"timeout": 0.05}, StopReason.TIMEOUT),
        ({"idle_timeout": 0.05}, {"idle_timeout": 600.0}, StopReason.IDLE_TIMEOUT),
        ({}, {"idle_timeout": 0.05}, StopReason.IDLE_TIMEOUT),
    ],
)
def test_an_items_own_limit_goes_before_its_definitions_and_that_before_the_settings(
    room: Rooms, item: dict[str, Any], definition: dict[str, Any], ended: StopReason
) -> None:
    stage = room()
    stage.begin(hang, held=stage.held(**item), seat=stage.seat(**definition))
    assert stage.done().result.stop_reason is ended


class Wound(FakeClock):
    """As much of a loop as a watch sees, whose time is wound."""

    time = FakeClock.monotonic


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_while_a_model_call_is_open_both_limits_stand_still(elsewhere: bool) -> None:
    loop, ended, gate = Wound(), list[Limit](), asyncio.Event()

    class Slow:
        model = "scripted:model"

        def elsewhere(self, kind: str) -> "Slow":
            return self

        async def __call__(self, request: ModelRequest) -> ModelReply:
            await gate.wait()
            return ModelReply(text="here", model=self.model)

    watch = StageWatch(loop, hard=Seconds(100.0), idle=Seconds(30.0), expired=ended.append)  # type: ignore[arg-type]
    request = ModelRequest(messages=(Message(role="user", text="?"),), max_tokens=10)
    complete = WatchedComplete(Slow(), watch)
    call = asyncio.ensure_future(((elsewhere and complete.elsewhere("empty_output")) or complete)(request))
    loop.advance(20.0)
    await asyncio.sleep(0)
    loop.advance(10_000.0)
    assert ended == [], "the broker's own limits hold in their place"
    gate.set()
    assert (await call).text == "here"
    loop.advance(29.0)
    assert ended == [], "an answer is progress"
    watch.progress()
    loop.advance(29.0)
    watch.progress()
    loop.advance(21.0)
    assert ended == []
    loop.advance(1.0)
    assert ended == [Limit.TIMEOUT], "the seconds of the call are not of the hundred"


# --- cancel -----------------------------------------------------------------------------------------------------------


def test_a_cancel_revokes_the_owner_first_then_ends_the_task_and_says_what_stopped(room: Rooms) -> None:
    stage = room()
    revoked_when_cancelled: list[bool] = []

    async def watch(item: WorkItem, context: Context) -> WorkResult:
        try:
            return await hang(item, context)
        finally:
            revoked_when_cancelled.append(bool(stage.broker.revoked))

    held = stage.begin(watch)
    stage.settled()
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, stage.told.put, "cancelled by uid:7: enough")
    stopped, done = stage.next(), stage.done()
    assert isinstance(stopped, Stopped)
    assert (stopped.stopped, stopped.not_stopped) == (("one",), ())
    assert done.result.stop_reason is StopReason.CANCELLED
    assert done.result.error.message == "cancelled by uid:7: enough"
    assert stage.broker.revoked == [Owner(held.record.item.id, held.record.fence)]
    assert revoked_when_cancelled == [True]


def test_a_revoke_that_no_cancel_stands_behind_interrupts(room: Rooms) -> None:
    stage = room()
    held = stage.begin(hang)
    stage.bridge.cancel([owned(held)], Limit.REVOKED, lambda _: None, "cancelled by uid:7")
    result = stage.done().result
    assert result.stop_reason is StopReason.INTERRUPTED, "the item is not lost: where it goes is still to be decided"
    assert result.error is not None
    assert (result.error.kind, result.error.message) == ("interrupted", "cancelled by uid:7")


def test_a_cancel_of_what_does_not_run_has_stopped_it_already(room: Rooms) -> None:
    stage = room()
    held = stage.held()
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, stage.told.put)
    assert stage.next().stopped == ("one",)
    assert stage.broker.revoked == [Owner(held.record.item.id, held.record.fence)], "nothing may begin for it either"


def test_a_task_that_is_cancelled_before_its_first_turn_is_told_of_too(room: Rooms) -> None:
    stage = room()
    seat, held = stage.spawned(), stage.held()
    ran: list[str] = []

    async def run(item: WorkItem, context: Context) -> WorkResult:
        ran.append(item.id)
        return completed()

    stage.work = run

    gate = threading.Event()
    stage.loop.post(lambda: gate.wait(PATIENCE) and None)
    stage.bridge.send_work(seat, held)
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    gate.set()
    done = stage.done()
    assert (done.abandoned, done.result.stop_reason, ran) == (False, StopReason.CANCELLED, [])


def test_a_task_that_ignores_its_cancel_is_abandoned_after_the_grace_and_counted(room: Rooms) -> None:
    stage, deaf = room(grace=0.05), Deaf()
    held = stage.begin(deaf)
    stage.settled()
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, stage.told.put)
    stopped, done = stage.next(), stage.done()
    assert isinstance(stopped, Stopped)
    assert (stopped.stopped, stopped.not_stopped) == ((), ("one",))
    assert stopped.after_ms >= 49, "the clock of a loop is as coarse as its timer"
    assert (done.abandoned, done.result.stop_reason) == (True, StopReason.CANCELLED)
    assert deaf.heard.is_set()
    health = stage.bridge.health()
    assert (health.abandoned, health.ignoring, health.running) == (1, 1, 0)
    deaf.release()
    assert stage.nothing_more_is_told(), "what it says in the end no longer counts"
    eventually(lambda: stage.bridge.health().ignoring == 0)


def test_what_a_task_says_after_its_cancel_does_not_count(room: Rooms) -> None:
    stage, deaf = room(), Deaf()
    held = stage.begin(deaf)
    stage.settled()
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    assert deaf.heard.wait(PATIENCE)
    deaf.release()
    done = stage.done()
    assert (done.abandoned, done.result.stop_reason) == (False, StopReason.CANCELLED)


def test_a_limit_and_a_cancel_at_once_are_told_once_by_the_first(room: Rooms) -> None:
    stage = room()
    held = stage.begin(hang)
    stage.bridge.cancel([owned(held)], Limit.TIMEOUT, lambda _: None)
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    assert stage.done().result.stop_reason is StopReason.TIMEOUT
    assert stage.nothing_more_is_told()


def test_threads_that_never_come_back_are_counted_and_starve_nobody(room: Rooms) -> None:
    stage, go = room(timeout=0.2, grace=60.0), threading.Event()

    async def hang_in_threads(item: WorkItem, context: Context) -> WorkResult:
        await asyncio.gather(*(asyncio.to_thread(go.wait) for _ in range(40)))
        return completed()

    async def ask_a_thread(item: WorkItem, context: Context) -> WorkResult:
        return completed(text=await asyncio.to_thread(str, item.id))

    try:
        stage.begin(hang_in_threads)
        assert stage.done().result.stop_reason is StopReason.TIMEOUT
        eventually(lambda: stage.bridge.health().forsaken == 40)
        stage.begin(ask_a_thread, stage.held("two"), stage.seat(2))
        assert stage.done().result.text == "two"
    finally:
        go.set()
    eventually(lambda: stage.bridge.health().forsaken == 0)


@pytest.mark.parametrize("ending", ["a cancel", "a limit", "a crash", "a success"])
def test_what_computes_in_a_thread_is_told_that_its_stage_is_over(room: Rooms, ending: str) -> None:
    stage = room(timeout=0.2 if ending == "a limit" else PATIENCE)
    began, told, asked = threading.Event(), threading.Event(), list[bool]()

    async def compute(item: WorkItem, context: Context) -> WorkResult:
        def until_it_is_over() -> None:
            asked.append(context.cancelled())
            began.set()
            while not context.cancelled():
                time.sleep(0.001)
            told.set()

        thread = asyncio.create_task(asyncio.to_thread(until_it_is_over))
        await asyncio.to_thread(began.wait)
        if ending == "a crash":
            raise ZeroDivisionError
        if ending == "a success":
            return completed()
        await thread
        return completed()

    held = stage.begin(compute)
    assert began.wait(PATIENCE)
    if ending == "a cancel":
        stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    stage.done()
    assert (told.wait(PATIENCE), asked) == (True, [False])


# --- what a stage began beside its task --------------------------------------------------------------------------


class Beside:
    """Something that waits for its end, beside its stage. It hears of a cancel; `deaf`, it waits on."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.began, self.cancelled, self.ended = threading.Event(), threading.Event(), threading.Event()
        self._deaf = deaf
        self._gate = Gate()
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        self.began.set()
        try:
            await self._gate.passed()
        except asyncio.CancelledError:
            self.cancelled.set()
            if not self._deaf:
                raise
            await self._gate.passed()
        finally:
            self.ended.set()

    def begin(self, **given: Any) -> None:
        self.task = asyncio.get_running_loop().create_task(self.run(), **given)

    def release(self) -> None:
        self._gate.open()
        assert self.ended.wait(PATIENCE)


@pytest.fixture
def beside() -> Iterator[Callable[..., Beside]]:
    made: list[Beside] = []

    def make(**given: Any) -> Beside:
        made.append(Beside(**given))
        return made[-1]

    yield make
    for each in made:
        each.release()


def test_of_steps_that_ran_at_once_those_are_cancelled_that_still_run_when_one_has_failed(
    room: Rooms, beside: Callable[..., Beside]
) -> None:
    other = beside()

    async def fail() -> None:
        raise ModelFailed("server_error", "one of them failed")

    async def both(item: WorkItem, context: Context) -> WorkResult:
        steps = context.steps
        try:
            await asyncio.gather(steps.once("a", 1, other.run), steps.once("b", 2, fail))
        except ModelFailed as error:
            return ended(error.kind, error.message)
        raise AssertionError

    stage = room()
    stage.begin(both)
    assert stage.done().result.error.kind == "server_error"
    assert other.cancelled.wait(PATIENCE)
    assert other.ended.wait(PATIENCE)
    assert stage.desk.sql("SELECT count(*) FROM step") == [(0,)]
    assert stage.broker.revoked == [], "its item may go on under the same fence"


@pytest.mark.parametrize("end", ["crash", "limit", "cancel", "abandoned"])
def test_however_a_stage_ends_without_success_what_it_left_running_is_cancelled(
    room: Rooms, beside: Callable[..., Beside], end: str
) -> None:
    other, deaf = beside(), Deaf()

    async def leave(item: WorkItem, context: Context) -> WorkResult:
        other.begin()
        await asyncio.sleep(0)
        if end == "crash":
            raise ValueError("no")
        return await (deaf if end == "abandoned" else hang)(item, context)

    stage = room(timeout=0.1, grace=0.05) if end in {"limit", "abandoned"} else room()
    held = stage.begin(leave)
    if end == "cancel":
        assert other.began.wait(PATIENCE)
        stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    assert not stage.done().result.success
    assert other.cancelled.wait(PATIENCE)
    if end == "abandoned":
        deaf.release()


def test_what_a_stage_that_succeeded_left_running_runs_on(room: Rooms, beside: Callable[..., Beside]) -> None:
    other = beside()

    async def leave(item: WorkItem, context: Context) -> WorkResult:
        other.begin()
        return completed()

    stage = room()
    stage.begin(leave)
    assert stage.done().result.success
    stage.settled()
    assert other.began.wait(PATIENCE)
    assert not other.cancelled.is_set()


def test_what_is_begun_in_a_context_of_its_own_outlives_the_failure_of_its_stage(
    room: Rooms, beside: Callable[..., Beside]
) -> None:
    serves, ends = beside(), beside()

    async def leave(item: WorkItem, context: Context) -> WorkResult:
        serves.begin(context=contextvars.Context())
        ends.begin()
        await asyncio.sleep(0)
        raise ValueError("no")

    stage = room()
    stage.begin(leave)
    stage.done()
    assert ends.cancelled.wait(PATIENCE)
    stage.settled()
    assert not serves.cancelled.is_set()


def test_what_a_model_s_client_began_is_no_stage_s_for_others_may_wait_for_it(
    room: Rooms, beside: Callable[..., Beside]
) -> None:
    looks_up, ends = beside(), beside()

    async def answer(request: ModelRequest) -> ModelReply:
        looks_up.begin()
        return ModelReply(text="fine")

    async def ask(item: WorkItem, context: Context) -> WorkResult:
        await context.complete(ModelRequest(messages=(Message(role="user", text="how?"),)))
        ends.begin()
        await asyncio.sleep(0)
        raise ValueError("no")

    stage = room()
    stage.broker.answer = answer
    stage.begin(ask)
    stage.done()
    assert ends.cancelled.wait(PATIENCE)
    stage.settled()
    assert not looks_up.cancelled.is_set()


@pytest.mark.parametrize("at", [Stage.EXECUTING, Stage.OPTIMIZING])
def test_what_ignores_that_its_stage_has_ended_is_counted_after_the_grace_and_asks_no_model_any_more(
    room: Rooms, beside: Callable[..., Beside], at: Stage
) -> None:
    others = beside(deaf=True), beside(deaf=True)

    async def leave(item: WorkItem, context: Context) -> WorkResult:
        for each in others:
            each.begin()
        await asyncio.sleep(0)
        raise ValueError("no")

    stage = room(grace=0.05)
    held = stage.held()
    held = changed(held, record=changed(held.record, stage=at))
    stage.begin(leave, held)
    assert not stage.done().abandoned
    eventually(lambda: stage.bridge.health().abandoned == 2)
    assert stage.bridge.health().ignoring == 1, "a stage counts once, however many tasks it began"
    goes_on = at is Stage.OPTIMIZING
    assert stage.broker.revoked == ([] if goes_on else [owned(held)]), "without a brief it goes on under the same fence"
    for each in others:
        each.release()
    eventually(lambda: stage.bridge.health().ignoring == 0)


def test_what_an_abandoned_stage_left_is_cancelled_once_though_the_stage_ends_later(
    room: Rooms, beside: Callable[..., Beside]
) -> None:
    stage, deaf, other, over = room(grace=0.05), Deaf(), beside(deaf=True), threading.Event()

    async def leave(item: WorkItem, context: Context) -> WorkResult:
        other.begin()
        try:
            return await deaf(item, context)
        finally:
            over.set()

    held = stage.begin(leave)
    assert other.began.wait(PATIENCE)
    stage.bridge.cancel([owned(held)], Limit.CANCELLED, lambda _: None)
    assert stage.done().abandoned
    eventually(lambda: stage.bridge.health().abandoned == 2)
    deaf.release()
    assert over.wait(PATIENCE)
    stage.settled()
    stage.settled()  # what the stage does at its end is felt in the turn behind it
    assert not other.ended.is_set()
    other.release()
    eventually(lambda: stage.bridge.health().ignoring == 0)


# --- lives ------------------------------------------------------------------------------------------------------------


def test_a_thread_that_raises_what_no_coroutine_may_is_a_crash_and_is_waited_for_no_longer(room: Rooms) -> None:
    async def nothing_is_next(item: WorkItem, context: Context) -> WorkResult:
        await asyncio.to_thread(next, iter(()))
        raise AssertionError

    stage = room()
    stage.begin(nothing_is_next)
    assert stage.done().result.error.message.startswith("RuntimeError: it raised StopIteration")


def test_a_life_that_is_over_is_revoked_its_task_ended_and_nothing_of_it_heard(room: Rooms) -> None:
    stage = room()
    held = stage.begin(hang)
    stage.settled()
    stage.bridge.forget("actor/1#1")
    eventually(lambda: not stage.bridge.in_flight())
    assert stage.broker.revoked == [Owner(held.record.item.id, held.record.fence)]
    assert stage.nothing_more_is_told()


def test_work_for_a_life_that_is_over_is_not_begun(room: Rooms) -> None:
    stage = room()
    seat, held = stage.spawned(), stage.held()
    stage.bridge.forget(seat.holder)
    stage.bridge.send_work(seat, held)
    assert stage.done().result.stop_reason is StopReason.INTERRUPTED, "it is given back at once"
    assert stage.nothing_more_is_told()
    assert stage.bridge.in_flight() == {}


def test_what_ends_in_one_turn_is_reported_at_once_and_then_the_actors_of_what_went_wrong_are_told(room: Rooms) -> None:
    stage, go = room(), asyncio.Event()

    async def all_together(item: WorkItem, context: Context) -> WorkResult:
        await go.wait()
        if item.id == "two":
            raise ValueError(item.id)
        return completed()

    for number, name in enumerate(("one", "two", "three"), 1):
        stage.begin(all_together, stage.held(name), stage.seat(number))
    stage.settled()
    assert len(stage.bridge.in_flight()) == 3
    assert stage.wrong.empty()
    stage.loop.post(go.set)
    ended = stage.reported.get(timeout=PATIENCE)
    assert [each.held.record.item.id for each in ended.dones] == ["one", "two", "three"]
    assert stage.wrong.get(timeout=PATIENCE).result is ended.dones[1].result
    assert stage.wrong.empty(), "what went well is not its actor's business"


def test_an_actor_that_heard_of_a_failure_hears_of_the_next_success_and_of_none_after(room: Rooms) -> None:
    stage, words = room(), iter((False, True, True))
    seat = stage.spawned()

    async def fall_once(item: WorkItem, context: Context) -> WorkResult:
        if not next(words):
            raise ValueError(item.id)
        return completed()

    stage.work = fall_once
    for name in ("one", "two", "three"):
        stage.bridge.send_work(seat, stage.held(name))
        stage.done()
    stage.settled()
    heard = [stage.wrong.get(timeout=PATIENCE).held.record.item.id for _ in range(2)]
    assert (heard, stage.wrong.empty()) == (["one", "two"], True)


def test_a_restart_ends_what_runs_and_makes_the_agent_anew(room: Rooms) -> None:
    stage, made = room(), list[object]()
    make = stage.make
    stage.make = lambda role, definition: made.append(role) or make(role, definition)  # type: ignore[func-returns-value]
    seat = stage.seat()
    stage.begin(hang, seat=seat)
    stage.bridge.restart(seat)
    stage.next()
    assert len(made) == 2
    eventually(lambda: not stage.bridge.in_flight())


async def _done(item: WorkItem, context: Context) -> WorkResult:
    return completed()
