"""The bridge itself: what an actor may ask of the world of agents.

Every call posts and returns; answers come back as messages.
"""

import random  # noqa: TID251 - a type only; the daemon makes the one Random and hands it in
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from darumad.agents import AgentDefinition, SpawnRefused, fitted, words_of
from darumad.bridge.effects import Effects
from darumad.bridge.ledger import JournalLedger
from darumad.bridge.loop import LoopThread
from darumad.bridge.seat import Done, Ended, Limit, Seat, Spawned, SpawnFailed, Stopped
from darumad.bridge.steps import Steps
from darumad.bridge.task import Opened, StageTask, Watch, WatchedComplete, gone
from darumad.bridge.workspace import Workspaces
from darumad.journal.commits import Commits
from darumad.journal.requests import Held
from darumad.names import ActorPath, AgentName, Attempt, Incarnation, ItemId, Role, Seconds
from darumad.work.ports import Agent, Complete, Context, Owner

RESPAWN_FIRST, RESPAWN_MAX = 1.0, 60.0
"""Seconds before an agent that could not be made is tried again: doubled from the first to the most."""


Signal = Callable[[str, ActorPath, Incarnation, Mapping[str, object]], None]
"""Takes what is told of an agent and not recorded: the signal's name, whose it is, and its fields; on the loop."""


class Broker(Protocol):
    """What the bridge needs of the providers' broker."""

    def complete_for(self, owner: Owner, agent: str) -> Complete:
        """A model call on behalf of `owner`."""
        ...

    def revoke(self, owner: Owner) -> None:
        """No further call for `owner`; its open one ends now and its socket is closed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLimits:
    """Seconds: the defaults where neither the item nor its definition says otherwise, and how often agents beat.

    `result` is in bytes: how large a result may be as JSON.
    """

    timeout: Seconds
    idle_timeout: Seconds
    grace: Seconds
    heartbeat: Seconds
    result: int


@dataclass(frozen=True, slots=True)
class BridgeHealth:
    """How the bridge is: seconds its pulse is overdue, what runs on it, and what ignored its cancel.

    `abandoned` counts such tasks since the start; `forsaken` is how many threads run on now, with nobody to wait.
    """

    late: Seconds
    running: int
    abandoned: int
    forsaken: int


@dataclass(slots=True)
class _Sitting:
    """One life's state on the loop: its agent once there is one, and the task it works on.

    `erring` from a failure that its actor was told of to the next success, which it is told of too.
    """

    seat: Seat
    agent: Agent | None = None
    tries: int = 0
    error: str | None = None
    task: StageTask | None = None
    erring: bool = False
    gone: bool = False

    def concerns_its_actor(self, done: Done) -> bool:
        """Whether the actor, which counts what goes wrong, has to hear of this end."""
        wrong, healed = done.abandoned or done.result.error is not None, self.erring and done.result.success
        self.erring = (self.erring or wrong) and not healed
        return wrong or healed


@dataclass(slots=True)
class _Cancel:
    """A cancel under way: what it still waits for."""

    began: float
    waiting: set[Owner]
    stopped: list[ItemId] = field(default_factory=list)
    abandoned: list[ItemId] = field(default_factory=list)
    reply: Callable[[Stopped], None] = lambda _: None


class Bridge:
    """Joins seats to agents on one loop. Public methods are safe from any thread and never wait."""

    def __init__(  # noqa: PLR0913 - the bridge joins this many rooms
        self,
        thread: LoopThread,
        *,
        make: Callable[[Role, AgentDefinition], Agent],
        broker: Broker,
        commits: Commits,
        ledger: JournalLedger,
        workspaces: Workspaces,
        limits: BridgeLimits,
        rng: random.Random,
        signal: Signal,
    ) -> None:
        self._thread = thread
        self._make = make
        self._broker = broker
        self._commits = commits
        self._ledger = ledger
        self._workspaces = workspaces
        self._limits = limits
        self._rng = rng
        self._signal = signal
        self._sittings: dict[str, _Sitting] = {}
        self._running: dict[Owner, StageTask] = {}
        self._cancels: list[_Cancel] = []
        self._ended: list[tuple[_Sitting, Done]] = []
        self._abandoned = 0
        self._beating = False

    # --- what actors and the daemon ask -----------------------------------------------------------------------------

    def spawn(self, seat: Seat) -> None:
        """Make the agent behind `seat`; `Spawned` or `SpawnFailed` is told to it.

        A failure is tried again with backoff.
        """
        self._thread.post(lambda: self._sit(seat))

    def send_work(self, seat: Seat, held: Held) -> None:
        """Run a held item's stage on the agent of `seat`; exactly one `Done` of it is reported, in some `Ended`."""
        self._thread.post(lambda: self._begin(seat, held))

    def restart(self, seat: Seat) -> None:
        """End what runs at `seat` and make its agent anew."""
        self.forget(seat.holder)
        self.spawn(seat)

    def forget(self, holder: str) -> None:
        """This life is over: its owner is revoked, its task cancelled, nothing it still says is heard."""
        self._thread.post(lambda: self._leave(holder))

    def cancel(self, owned: Sequence[Owner], why: Limit, reply: Callable[[Stopped], None], because: str = "") -> None:
        """Revoke these owners, then cancel their tasks; `because` says in words who wants that, and why.

        `reply` is called on the loop when all have stopped or the grace is over.
        """
        self._thread.post(lambda: self._cancel(owned, why, reply, because))

    def health(self) -> BridgeHealth:
        """How the bridge is, without asking it."""
        return BridgeHealth(self._thread.late(), len(self._running), self._abandoned, self._thread.threads.forsaken)

    def in_flight(self) -> dict[str, Seconds]:
        """Which holders have a task running, and for how many seconds each has made no progress."""
        return {each.seat.holder: each.idle for each in list(self._running.values())}

    def spawn_errors(self) -> dict[str, str]:
        """Why the agents that cannot be made cannot be made, by holder."""
        return {each.seat.holder: each.error for each in list(self._sittings.values()) if each.error}

    def unmade(self) -> dict[AgentName, str]:
        """Why the definitions of which no instance has an agent have none, by their names."""
        sittings = list(self._sittings.values())
        served = {each.seat.definition.name for each in sittings if each.error is None}
        errors = {each.seat.definition.name: each.error for each in sittings if each.error is not None}
        return {name: error for name, error in errors.items() if name not in served}

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _sit(self, seat: Seat) -> None:
        self._sittings[seat.holder] = sitting = _Sitting(seat)
        self._try(sitting)

    def _try(self, sitting: _Sitting) -> None:
        if sitting.gone:
            return
        try:
            sitting.agent = self._make(sitting.seat.role, sitting.seat.definition)
        except SpawnRefused as error:
            self._try_later(sitting, fitted(str(error)))
        except BaseException as error:  # noqa: BLE001 - a user's template must not end the loop under all the others
            self._try_later(sitting, words_of(error))
        else:
            sitting.error = None
            sitting.seat.tell(Spawned())
            self._heartbeat(sitting)
            self._keep_beating()

    def _keep_beating(self) -> None:
        if not self._beating:
            self._beating = True
            self._thread.loop.call_later(self._limits.heartbeat, self._beat)

    def _beat(self) -> None:
        self._beating = False
        for sitting in self._sittings.values():
            if sitting.agent is not None:
                self._heartbeat(sitting)
        self._keep_beating()

    def _heartbeat(self, sitting: _Sitting) -> None:
        """That this agent is there, what it works on, and for how many seconds nothing came of that."""
        seat, task = sitting.seat, sitting.task
        record = task.held.record if task is not None else None
        doing = {
            "agent": seat.definition.name,
            "item": record.item.id if record is not None else None,
            "stage": record.stage.value if record is not None else None,
            "idle": task.idle if task is not None else None,
        }
        self._signal("agent.heartbeat", seat.path, seat.incarnation, doing)

    def _try_later(self, sitting: _Sitting, error: str) -> None:
        delay = min(RESPAWN_FIRST * 2**sitting.tries, RESPAWN_MAX) * (1 + 0.2 * self._rng.random())
        sitting.tries, sitting.error = sitting.tries + 1, error
        self._thread.loop.call_later(delay, self._try, sitting)
        sitting.seat.tell(SpawnFailed(error, delay))

    def _begin(self, seat: Seat, held: Held) -> None:
        sitting = self._sittings.get(seat.holder)
        if sitting is None or sitting.agent is None:
            seat.report(Ended((gone(seat, held),)))
            return
        task = StageTask(seat, held, grace=self._limits.grace, finished=self._finished)
        sitting.task = self._running[task.owner] = task
        task.start(sitting.agent, self._open)

    def _open(self, task: StageTask) -> Opened:
        held, definition, owner = task.held, task.seat.definition, task.owner
        item = held.record.item
        watch = Watch(
            self._thread.loop,
            hard=item.timeout or definition.timeout or self._limits.timeout,
            idle=item.idle_timeout or definition.idle_timeout or self._limits.idle_timeout,
            expired=task.end,
        )
        self._ledger.know(owner, item.budget)
        steps = Steps(held, self._commits)
        complete = WatchedComplete(self._broker.complete_for(owner, item.agent), watch)
        context = self._context(held, steps, complete, watch.progress)
        fill = None
        if item.inputs and any(each.upload for each in item.inputs):
            fill = lambda stopped: self._workspaces.fill(item, context.workspace, stopped)  # noqa: E731 - it is one call, bound to this item
        return Opened(context, steps, watch, fill, self._limits.result)

    def _context(self, held: Held, steps: Steps, complete: Complete, progress: Callable[[], None]) -> Context:
        record = held.record
        return Context(
            stage=record.stage,
            attempt=Attempt(record.attempt),
            workspace=self._workspaces.of(held),
            steps=steps,
            effects=Effects(held, self._commits, steps),
            complete=complete,
            progress=progress,
            brief=held.brief,
            work=held.work,
            feedback=record.feedback,
            failures=held.failed,
            answers=record.answers,
        )

    def _finished(self, task: StageTask, done: Done) -> None:
        owned = task.owner
        if done.abandoned:
            self._abandoned += 1
        if self._running.get(owned) is task:
            del self._running[owned]
        self._ledger.forget(owned)
        if self._cancels:
            self._settle_cancels(owned, abandoned=done.abandoned)
        sitting = self._sittings.get(task.seat.holder)
        if sitting is not None and sitting.task is task:
            sitting.task = None
            self._report(sitting, done)

    def _report(self, sitting: _Sitting, done: Done) -> None:
        """Report it with all that ends in this turn of the loop."""
        if not self._ended:
            self._thread.loop.call_soon(self._report_all)
        self._ended.append((sitting, done))

    def _report_all(self) -> None:
        """First the ends, then what was wrong: if that is one error too many, the item has moved on by then."""
        ended, self._ended = self._ended, []
        mail: defaultdict[Callable[[Ended], None], list[Done]] = defaultdict(list)
        for sitting, done in ended:
            mail[sitting.seat.report].append(done)
        for report, dones in mail.items():
            report(Ended(tuple(dones)))
        for sitting, done in ended:
            if sitting.concerns_its_actor(done):
                sitting.seat.tell(done)

    def _leave(self, holder: str) -> None:
        sitting = self._sittings.pop(holder, None)
        if sitting is None:
            return
        sitting.gone = True
        if sitting.task is not None:
            self._end([sitting.task.owner], Limit.INTERRUPTED)

    def _cancel(self, owned: Sequence[Owner], why: Limit, reply: Callable[[Stopped], None], because: str) -> None:
        waiting = {each for each in owned if each in self._running}
        done = [each.item for each in owned if each not in waiting]
        cancel = _Cancel(self._thread.loop.time(), waiting, done, reply=reply)
        self._cancels.append(cancel)
        self._end(owned, why, because)
        self._answer_cancels()

    def _end(self, owned: Iterable[Owner], why: Limit, because: str = "") -> None:
        for each in owned:
            self._broker.revoke(each)
            task = self._running.get(each)
            if task is not None:
                task.end(why, because)

    def _settle_cancels(self, owned: Owner, *, abandoned: bool) -> None:
        for cancel in self._cancels:
            if owned in cancel.waiting:
                cancel.waiting.discard(owned)
                (cancel.abandoned if abandoned else cancel.stopped).append(owned.item)
        self._answer_cancels()

    def _answer_cancels(self) -> None:
        answered = [each for each in self._cancels if not each.waiting]
        self._cancels = [each for each in self._cancels if each.waiting]
        for each in answered:
            after = int((self._thread.loop.time() - each.began) * 1000)
            each.reply(Stopped(tuple(each.stopped), tuple(each.abandoned), after))
