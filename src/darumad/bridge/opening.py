"""How a task is opened: the agent's context, with each of its ports bound to the item, its fence and its limits."""

import functools
from collections.abc import Callable
from typing import Protocol

from darumad.bridge.effects import Effects
from darumad.bridge.keeping import StageCommits
from darumad.bridge.ledger import JournalLedger
from darumad.bridge.loop import LoopThread
from darumad.bridge.measuring import tool_begins
from darumad.bridge.steps import Steps
from darumad.bridge.task import Opened, StageTask, StageWatch, WatchedComplete
from darumad.bridge.workspace import Workspaces
from darumad.bus import Tally
from darumad.events import ContextCompacted, Fact
from darumad.journal.commits import Commits
from darumad.names import Attempt, Seconds
from darumad.values import Value
from darumad.work.item import WorkRecord
from darumad.work.ports import Complete, Context, Owner


class Broker(Protocol):
    """What the bridge needs of the providers' broker."""

    def complete_for(self, owner: Owner, agent: str) -> Complete:
        """A model call on behalf of `owner`."""
        ...

    def revoke(self, owner: Owner) -> None:
        """No further call for `owner`; its open one ends now and its socket is closed."""
        ...


class BridgeLimits(Value, kw_only=True):
    """What holds for a stage where neither the item nor its definition says otherwise; `heartbeat` for every agent.

    All are in seconds but `result`, which is how many bytes a result may have as JSON.
    """

    timeout: Seconds
    idle_timeout: Seconds
    grace: Seconds
    heartbeat: Seconds
    result: int


class Opening:
    """Opens tasks on one loop, over its commits."""

    def __init__(  # noqa: PLR0913 - each port of a context is somebody's
        self,
        thread: LoopThread,
        *,
        broker: Broker,
        commits: Commits,
        ledger: JournalLedger,
        workspaces: Workspaces,
        limits: BridgeLimits,
        tally: Tally,
        note: Callable[[Fact], None],
    ) -> None:
        self._thread = thread
        self._broker = broker
        self._commits = commits
        self._ledger = ledger
        self._workspaces = workspaces
        self._limits = limits
        self._tally = tally
        self._note = note

    def __call__(self, task: StageTask) -> Opened:
        """What this task needs to begin; its item's ledger is open from here on."""
        held, definition, owner = task.held, task.seat.definition, task.owner
        item = held.record.item
        watch = StageWatch(
            self._thread.loop,
            hard=item.timeout or definition.timeout or self._limits.timeout,
            idle=item.idle_timeout or definition.idle_timeout or self._limits.idle_timeout,
            expired=task.end,
        )
        self._ledger.know(owner, item.budget)
        commits = StageCommits(self._commits, watch)
        steps = Steps(held, commits, self._limits.result)
        complete = WatchedComplete(self._broker.complete_for(owner, item.agent), watch)
        effects = Effects(held, commits, steps)
        context = self._context(task, steps, effects, complete, watch.progress)
        fill = None
        if item.inputs and any(each.upload for each in item.inputs):
            fill = lambda stopped: self._workspaces.fill(item, context.place, stopped)  # noqa: E731 - it is one call, bound to this item
        return Opened(context, steps, watch, fill, self._limits.result)

    def _context(
        self, task: StageTask, steps: Steps, effects: Effects, complete: Complete, progress: Callable[[], None]
    ) -> Context:
        held, record = task.held, task.held.record
        return Context(
            stage=record.stage,
            attempt=Attempt(record.attempt),
            place=self._workspaces.of(record),
            steps=steps,
            effects=effects,
            complete=complete,
            progress=progress,
            cancelled=lambda: task.is_over,
            compacted=functools.partial(self._compacted, record),
            tool_begins=functools.partial(tool_begins, self._tally, self._thread.clock),
            brief=held.brief,
            work=held.work,
            turns=held.turns,
            feedback=record.feedback,
            failures=held.failed,
            answers=record.answers,
        )

    def _compacted(self, record: WorkRecord, before: int, after: int) -> None:
        self._note(ContextCompacted(record.item.id, record.stage.value, record.attempt, before, after))
