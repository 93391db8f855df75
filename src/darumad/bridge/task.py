"""One stage of one item, running on the loop.

Its two limits, its cancel, and the one `Done` that comes of it by any path.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

import structlog

from darumad.agents import SpawnRefused, UnfitResult, ended, fitted, said_of
from darumad.bridge.leaving import Leaving, refused, taken
from darumad.bridge.loop import BEGUN_FOR, Beginner
from darumad.bridge.seat import Done, Limit, Seat, put_back
from darumad.bridge.steps import Steps
from darumad.bridge.unpacking import Unfit
from darumad.journal.requests import Held
from darumad.names import Seconds
from darumad.values import Value, changed
from darumad.work.model import ModelReply, ModelRequest
from darumad.work.ports import Agent, Complete, Context, Owner
from darumad.work.result import Failure, StopReason, WorkResult

log = structlog.get_logger(__name__)

_ENDED_BY = {
    Limit.TIMEOUT: (StopReason.TIMEOUT, "item_timeout", "the stage ran longer than the item's timeout"),
    Limit.IDLE_TIMEOUT: (
        StopReason.IDLE_TIMEOUT,
        "idle_timeout",
        "the stage made no progress within the item's idle timeout",
    ),
    Limit.CANCELLED: (StopReason.CANCELLED, "cancelled", "the item was cancelled"),
    Limit.INTERRUPTED: (StopReason.INTERRUPTED, "interrupted", "the stage was interrupted through no fault of its own"),
    Limit.REVOKED: (StopReason.INTERRUPTED, "interrupted", "the item was taken away from who held it"),
    Limit.STALLED: (
        StopReason.INTERRUPTED,
        "bridge_stalled",
        "the loop that all agents share was blocked, and was replaced",
    ),
    Limit.HELD_THE_LOOP: (StopReason.INTERRUPTED, "loop_held", "it held the loop that all agents share"),
}


def _nobody(_: Limit) -> None:
    """Hears of nothing."""


class StageWatch:
    """The two timeouts of one stage: `hard` over its whole task, `idle` since its last progress.

    Both stand still while a model call is open, for which the broker has timeouts of its own, and while the stage
    waits for the journal, whose disk may be full. There is one timer: it is set for whichever ends first, and set again
    when it rings early.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, hard: Seconds, idle: Seconds, expired: Callable[[Limit], None]
    ) -> None:
        self._loop = loop
        self._idle = idle
        self._expired = expired
        self._progress_at = now = loop.time()
        self._hard_at = now + hard
        self._open = 0
        self._opened_at = 0.0
        self._timer = loop.call_at(now + min(hard, idle), self._due)

    def progress(self) -> None:
        """The stage got on: the idle timeout starts anew."""
        self._progress_at = self._loop.time()

    @property
    def idle(self) -> Seconds:
        """Seconds since the last progress."""
        return Seconds(self._loop.time() - self._progress_at)

    def open_call(self) -> None:
        """A model call begins, or a wait for the journal."""
        if self._open == 0:
            self._opened_at = self._loop.time()
        self._open += 1

    def close_call(self) -> None:
        """The call or the wait has ended; the time that it took does not count against the stage."""
        self._open -= 1
        if self._open == 0:
            self._hard_at += self._loop.time() - self._opened_at
        self.progress()

    def stop(self) -> None:
        """Nothing expires any more, and nothing refers to who would have been told."""
        self._timer.cancel()
        self._expired = _nobody

    def _due(self) -> None:
        now = self._loop.time()
        if self._open:
            self._timer = self._loop.call_at(now + min(self._idle, 1.0), self._due)
            return
        if now >= self._hard_at:
            self._expired(Limit.TIMEOUT)
        elif now >= self._progress_at + self._idle:
            self._expired(Limit.IDLE_TIMEOUT)
        else:
            self._timer = self._loop.call_at(min(self._hard_at, self._progress_at + self._idle), self._due)


class WatchedComplete:
    """A model call during which the timeouts of its stage stand still."""

    def __init__(self, complete: Complete, watch: StageWatch) -> None:
        self._complete = complete
        self._watch = watch

    @property
    def model(self) -> str | None:
        """See `Complete.model`."""
        return self._complete.model

    def elsewhere(self, kind: str, /) -> "WatchedComplete | None":
        """See `Complete.elsewhere`; those calls are watched too."""
        other = self._complete.elsewhere(kind)
        return None if other is None else WatchedComplete(other, self._watch)

    async def __call__(self, request: ModelRequest) -> ModelReply:
        """See `Complete.__call__`."""
        self._watch.open_call()
        own = BEGUN_FOR.set(None)  # others may wait for what a client begins, as it looks a name up: it is no stage's
        try:
            return await self._complete(request)
        finally:
            BEGUN_FOR.reset(own)
            self._watch.close_call()


class Opened(Value):
    """What a task needs to begin: the agent's context, and the steps and the watch behind that.

    `fill` unpacks the uploads first, where there are any; it stops when the event that it is given is set.
    `result_limit` is in bytes.
    """

    context: Context
    steps: Steps
    watch: StageWatch
    fill: Callable[[threading.Event], Mapping[str, Path]] | None
    result_limit: int


Tasks = Sequence[asyncio.Task[Any]]


class StageTask:
    """Runs an agent on a held item, and hands `finished` exactly one `Done`.

    That holds the agent's result, the timeout or cancel that ended it, its crash, or that it was abandoned. What the
    agent began beside its own task ends with it, unless it succeeded. `ignoring` is told of what was cancelled and runs
    on after the grace.
    """

    def __init__(
        self,
        seat: Seat,
        held: Held,
        *,
        grace: Seconds,
        finished: Callable[["StageTask", Done], None],
        ignoring: Callable[["StageTask", Tasks], None],
    ) -> None:
        self.seat = seat
        self.held = held
        self.owner = Owner(held.record.item.id, held.record.fence)
        self._beginner = Beginner(self.owner)
        self._grace = grace
        self._finished = finished
        self._ignoring = ignoring
        self._why: Limit | None = None
        self._because = ""
        self._task: asyncio.Task[None] | None = None
        self._left: list[asyncio.Task[Any]] = []
        self._watch: StageWatch | None = None
        self._steps: Steps | None = None
        self._began = False
        self._told = False
        self.unmade: str | None = None
        """Why its agent cannot be made any more, if the agent found that out at its work; else None."""

    def start(self, agent: Agent, open_context: Callable[["StageTask"], Opened]) -> None:
        """Begin on the running loop."""
        loop = asyncio.get_running_loop()
        context = copy_context()
        context.run(BEGUN_FOR.set, self._beginner)
        self._task = loop.create_task(self._run(loop, agent, open_context), context=context)

    @property
    def idle(self) -> Seconds:
        """Seconds since it last made progress; 0 before it has begun and after its end."""
        return self._watch.idle if self._watch is not None else Seconds(0.0)

    @property
    def is_over(self) -> bool:
        """Whether it is to end, or has; any thread may ask."""
        return self._why is not None or self._told

    def end(self, why: Limit, because: str = "") -> None:
        """Cancel the task for this reason; `because` is the message where somebody gave one.

        A task that ignores its cancel is reported as abandoned after the grace.
        """
        if self.is_over:
            return
        self._why, self._because = why, because
        if self._task is not None:
            self._task.cancel()
        if self._task is None or not self._began:
            self._tell(self._ended(), Seconds(0.0))  # cancelled before its first turn, it would never say a word
            return
        self._task.get_loop().call_later(self._grace, self._abandon)

    def lost(self, why: Limit, because: str = "") -> Done:
        """The end to report for it when its loop was replaced. What the task still says itself is dropped.

        Called from another thread. HELD_THE_LOOP comes before any other reason: it may hold it while it is cancelled.
        """
        if self._why is None or why is Limit.HELD_THE_LOOP:
            self._why, self._because = why, because
        return self._done(self._ended())

    async def _run(
        self, loop: asyncio.AbstractEventLoop, agent: Agent, open_context: Callable[["StageTask"], Opened]
    ) -> None:
        self._began = True
        self._name_the_log()
        started = loop.time()
        try:
            result = await self._work(agent, open_context)
        except SpawnRefused as refused:
            self.unmade = fitted(str(refused))
            result = put_back(self.seat.holder, self.held, f"its agent cannot be made: {self.unmade}").result
        except BaseException as error:  # an agent's SystemExit must not end the loop under a thousand others
            result = crashed(error, self.seat.definition.template)
            if self._why is None:
                log.exception("agent_crashed", exc_info=error)
        finally:
            self._watch_ends()
        if self._why is not None:
            result = self._ended()  # nor what it raises
        if not result.success:
            self._end_what_it_began()
        self._tell(result, Seconds(loop.time() - started))

    def _end_what_it_began(self) -> None:
        """Cancel the tasks that the agent left: what they still come to is for a stage that is over.

        Each once: an abandoned stage comes here again at its end, and those that clean up are not to be disturbed.
        """
        left = [each for each in self._beginner.beside() if each not in self._left]
        self._left += left
        for each in left:
            each.cancel()
        if left:
            left[0].get_loop().call_later(self._grace, self._give_up_on, left)

    def _give_up_on(self, cancelled: Tasks) -> None:
        if ignoring := [each for each in cancelled if not each.done()]:
            self._ignoring(self, ignoring)

    def _watch_ends(self) -> None:
        """Stop the watch and drop it: it refers to this task, and only a garbage collection would free the two."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _name_the_log(self) -> None:
        """Bind the item and its agent to all that is logged in this task. Its context is its own: nothing to undo."""
        seat, record = self.seat, self.held.record
        structlog.contextvars.bind_contextvars(
            item_id=record.item.id, agent=seat.definition.name, instance=seat.holder, attempt=record.attempt
        )
        if record.correlation_id is not None:
            structlog.contextvars.bind_contextvars(correlation_id=record.correlation_id)

    async def _work(self, agent: Agent, open_context: Callable[["StageTask"], Opened]) -> WorkResult:
        opened = open_context(self)
        self._watch, self._steps = opened.watch, opened.steps
        context = opened.context
        if opened.fill is not None:
            try:
                context = changed(context, uploads=await _laid_out(opened.fill))
            except Unfit as unfit:
                return ended("invalid_item", fitted(str(unfit)), error_type="InvalidItem")
            except OSError as error:
                return ended("no_room", f"the uploads cannot be laid out: {error.strerror}", error_type="OSError")
        record = self.held.record
        try:
            result = await agent.execute_work(record.item, context)
        except UnfitResult as unfit:
            return self._ended() if self._why is not None else refused(unfit)
        if self._why is not None:
            return self._ended()  # it came to an end after its cancel: what it says now no longer counts
        leaving = Leaving(record.stage, record.item.stages, context.place, opened.steps.lost, opened.result_limit)
        if getattr(result, "artifacts", ()):
            return await asyncio.to_thread(taken, result, leaving)
        return taken(result, leaving)

    def _ended(self) -> WorkResult:
        reason, kind, sentence = _ENDED_BY[self._why or Limit.INTERRUPTED]
        return WorkResult(stop_reason=reason, error=Failure(kind=kind, message=self._because or sentence))

    def _abandon(self) -> None:
        if not self._told:
            self._told = True
            assert self._task is not None
            self._give_up_on([self._task])
            self._end_what_it_began()
            self._finished(self, changed(self._done(self._ended()), abandoned=True))

    def _tell(self, result: WorkResult, duration: Seconds) -> None:
        if self._told:
            return
        self._told = True
        steps = self._steps.riding if self._steps is not None else ()
        self._finished(self, changed(self._done(changed(result, duration=duration)), steps=steps))

    def _done(self, result: WorkResult) -> Done:
        stepped = self._steps is not None and self._steps.stepped
        return Done(self.seat.holder, self.held, result, stepped=stepped)


async def _laid_out(fill: Callable[[threading.Event], Mapping[str, Path]]) -> Mapping[str, Path]:
    """What `fill` lays out, in a thread, which is told to stop when nobody waits for it any more."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(fill, stopped)
    finally:
        stopped.set()


def crashed(error: BaseException, template: str) -> WorkResult:
    """The result for an exception that left an agent's coroutine: kind `agent_crashed`.

    Its message names the line of the file `template` where it was raised; the whole traceback goes to the log.
    """
    return WorkResult(
        stop_reason=StopReason.AGENT_CRASHED,
        error=Failure(kind="agent_crashed", message=said_of(error, template), error_type=type(error).__name__),
    )
