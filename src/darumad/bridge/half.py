"""The half of the bridge that belongs to one loop, and dies with it: agents, their tasks, and cancels under way.

What is handed over is in its books before the call returns, so a loop that never comes back loses nothing: whoever
gives its half up finds there what it held, and reports it. A task is reported by whoever takes it out of the books, so
exactly once. What a loop says after it was given up is dropped.
"""

import asyncio
import random  # noqa: TID251 - a type only; the daemon makes the one Random and hands it in
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darumad.agents import AgentDefinition, SpawnRefused, fitted, line_of, words_of
from darumad.bridge.cancels import Cancel, Cancels
from darumad.bridge.degraded import with_brief
from darumad.bridge.ledger import JournalLedger
from darumad.bridge.loop import Culprit, LoopThread
from darumad.bridge.measuring import count_stage
from darumad.bridge.opening import BridgeLimits, Broker, Opening
from darumad.bridge.seat import SLOT_ENDED, Done, Ended, Limit, Seat, Spawned, SpawnFailed, Stopped, put_back
from darumad.bridge.task import StageTask, Tasks
from darumad.bridge.workspace import Workspaces
from darumad.bus import Tally
from darumad.events import Fact
from darumad.journal.commits import Commits
from darumad.journal.requests import Held
from darumad.names import ActorPath, AgentName, Incarnation, Role, Stage
from darumad.values import Value
from darumad.work.ports import Agent, Owner

RESPAWN_FIRST, RESPAWN_MAX = 1.0, 60.0
"""Seconds before an agent that could not be made is tried again: the first wait, doubled each time, and the longest."""


Signal = Callable[[str, ActorPath, Incarnation, Mapping[str, object]], None]
"""Takes a signal about an agent, which is not recorded: its name, the agent's path and incarnation, its fields."""


@dataclass(slots=True)
class _Sitting:
    """One life's state on the loop: its agent once there is one, and the task that it works on, or will once there is.

    `erring` is true from a failure until the next success. The actor is told of both.
    """

    seat: Seat
    agent: Agent | None = None
    making: asyncio.Task[None] | None = None
    tries: int = 0
    error: str | None = None
    task: StageTask | None = None
    erring: bool = False
    gone: bool = False

    @property
    def is_being_made(self) -> bool:
        """Whether its agent will be there in a moment, or not for now."""
        return self.making is not None and not self.making.done()

    def remember(self, done: Done) -> bool:
        """Take note of how a stage ended; whether its actor, which counts errors, has to hear of it."""
        wrong, healed = done.abandoned or done.result.error is not None, self.erring and done.result.success
        self.erring = (self.erring or wrong) and not healed
        return wrong or healed


class Leftovers(Value, kw_only=True):
    """What a half held when it was given up, and still has to be told.

    `lost` are the tasks that were cut off. `ended` are the ends to report, theirs included.
    """

    seats: Sequence[Seat] = ()
    lost: Sequence[Owner]
    ended: Sequence[tuple[Seat, Done]]
    cancels: Sequence[Cancel] = ()


class BridgeHalf:
    """Joins seats to agents on one loop. What is asked of it is asked under the bridge's lock."""

    def __init__(  # noqa: PLR0913 - the bridge joins this many rooms
        self,
        thread: LoopThread,
        *,
        make: Callable[[Role, AgentDefinition], Awaitable[Agent]],
        broker: Broker,
        commits: Commits,
        ledger: JournalLedger,
        workspaces: Workspaces,
        limits: BridgeLimits,
        rng: random.Random,
        tally: Tally,
        signal: Signal,
        note: Callable[[Fact], None],
    ) -> None:
        self._thread = thread
        self._make = make
        self._broker = broker
        self._ledger = ledger
        self._limits = limits
        self._rng = rng
        self._tally = tally
        self._signal = signal
        self._open = Opening(
            thread,
            broker=broker,
            commits=commits,
            ledger=ledger,
            workspaces=workspaces,
            limits=limits,
            tally=tally,
            note=note,
        )
        self._sittings: dict[str, _Sitting] = {}
        self._running: dict[Owner, StageTask] = {}
        self._cancels = Cancels(thread.clock)
        self._ended: list[tuple[_Sitting, Done]] = []
        self._beating = False
        self.abandoned = 0
        """How many tasks ignored their cancel."""
        self._ignoring: dict[asyncio.Task[Any], StageTask] = {}

    # --- under the bridge's lock, from any thread -------------------------------------------------------------------

    def spawn(self, seat: Seat) -> None:
        """See `Bridge.spawn`."""
        sitting = self._sittings[seat.holder] = _Sitting(seat)
        self._thread.post(lambda: self._try(sitting))

    def send_work(self, seat: Seat, held: Held) -> None:
        """See `Bridge.send_work`."""
        task = StageTask(seat, held, grace=self._limits.grace, finished=self._finished, ignoring=self._give_up_on)
        self._running[task.owner] = task
        self._thread.post(lambda: self._begin(task))

    def forget(self, holder: str) -> None:
        """See `Bridge.forget`."""
        sitting = self._sittings.pop(holder, None)
        if sitting is not None:
            sitting.gone = True
            self._thread.post(lambda: self._leave(sitting))

    def cancel(self, owned: Sequence[Owner], why: Limit, reply: Callable[[Stopped], None], because: str) -> None:
        """See `Bridge.cancel`."""
        self._cancels.add(owned, self._running, why, reply)
        self._thread.post(lambda: self._cancel(owned, why, because))

    def convict(self, culprit: Culprit) -> Leftovers:
        """Hand over the task that holds the loop, if it is one of these, with the end to report: that it held it."""
        task = self._running.pop(culprit.owner, None) if culprit.owner is not None else None
        if task is None:
            return Leftovers(lost=(), ended=())
        done = task.lost(Limit.HELD_THE_LOOP, _said_of(culprit, task.seat))
        return Leftovers(lost=(task.owner,), ended=((task.seat, done),))

    def author(self, culprit: Culprit) -> AgentName | None:
        """The definition in whose template's file the call stands that holds the loop; None for one in none of them."""
        files = {each.filename for each in culprit.frames}
        seats = [each.seat for each in list(self._sittings.values())]
        return next((seat.definition.name for seat in seats if seat.definition.template in files), None)

    def give_up(self) -> Leftovers:
        """Hand over all that this half held, because its loop will not turn again. What it still says is dropped."""
        sittings, self._sittings = self._sittings, {}
        for each in sittings.values():
            each.gone = True
        lost = [task for owned in list(self._running) if (task := self._running.pop(owned, None)) is not None]
        cancels = self._cancels.take()
        why = {owned: each.why for each in cancels for owned in each.waiting}
        ended, self._ended = self._ended, []
        return Leftovers(
            seats=[each.seat for each in sittings.values()],
            lost=[task.owner for task in lost],
            ended=[
                *((sitting.seat, done) for sitting, done in ended),
                *((task.seat, task.lost(why.get(task.owner, Limit.STALLED))) for task in lost),
            ],
            cancels=cancels,
        )

    # --- for whoever looks on, from any thread ----------------------------------------------------------------------

    @property
    def running(self) -> Sequence[StageTask]:
        """What was handed over and has not ended."""
        return list(self._running.values())

    @property
    def ignoring(self) -> int:
        """Of how many stages a task runs on though it was cancelled and given up: one stage may have begun hundreds."""
        return len(set(self._ignoring.copy().values()))

    def made(self) -> Sequence[Seat]:
        """Every seat whose agent is there."""
        return [each.seat for each in list(self._sittings.values()) if each.agent is not None]

    def idle(self) -> Sequence[Seat]:
        """Every seat whose agent is there and has nothing to do."""
        busy = {each.seat.holder for each in self.running}
        return [each for each in self.made() if each.holder not in busy]

    def refusals(self) -> Sequence[tuple[Seat, str | None]]:
        """Every seat, and why its agent cannot be made: None where it can, or was not tried yet."""
        return [(each.seat, each.error) for each in list(self._sittings.values())]

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _try(self, sitting: _Sitting) -> None:
        if not sitting.gone:
            sitting.making = self._thread.loop.create_task(self._make_for(sitting))

    async def _make_for(self, sitting: _Sitting) -> None:
        try:
            agent = await self._make(sitting.seat.role, sitting.seat.definition)
        except asyncio.CancelledError:
            raise
        except SpawnRefused as error:
            self._try_later(sitting, fitted(str(error)))
        except BaseException as error:  # noqa: BLE001 - a user's template must not end the loop under all the others
            self._try_later(sitting, words_of(error))
        else:
            self._is_up(sitting, agent)

    def _is_up(self, sitting: _Sitting, agent: Agent) -> None:
        if sitting.gone:  # while it was made
            return
        sitting.agent, sitting.error = agent, None
        sitting.seat.tell(Spawned(agent.resources_version))
        self._heartbeat(sitting)
        self._keep_beating()
        if sitting.task is not None:
            sitting.task.start(agent, self._open)

    def _keep_beating(self) -> None:
        if not self._beating:
            self._beating = True
            self._thread.loop.call_later(self._limits.heartbeat, self._beat)

    def _beat(self) -> None:
        self._beating = False
        for sitting in list(self._sittings.values()):  # other threads seat others
            if sitting.agent is not None:
                self._heartbeat(sitting)
        self._keep_beating()

    def _heartbeat(self, sitting: _Sitting) -> None:
        """Tell that this agent is there, what it works on, and how many seconds ago that last made progress."""
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
        if sitting.gone:
            return
        delay = min(RESPAWN_FIRST * 2**sitting.tries, RESPAWN_MAX) * (1 + 0.2 * self._rng.random())
        sitting.tries, sitting.error = sitting.tries + 1, error
        self._thread.loop.call_later(delay, self._try, sitting)
        sitting.seat.tell(SpawnFailed(error, delay))
        if sitting.task is not None:
            task, sitting.task = sitting.task, None
            self._put_back(task, f"its agent cannot be made: {error}")

    def _begin(self, task: StageTask) -> None:
        """Begin at once, or with its agent: a slot is there all the while that its agent is made anew."""
        sitting = self._sittings.get(task.seat.holder)
        if self._running.get(task.owner) is not task:
            return  # it was cancelled meanwhile
        if sitting is None or (sitting.agent is None and not sitting.is_being_made):
            self._put_back(task, SLOT_ENDED)
            return
        sitting.task = task
        if sitting.agent is not None:
            task.start(sitting.agent, self._open)

    def _put_back(self, task: StageTask, why: str) -> None:
        """Report a task that never began."""
        if self._running.pop(task.owner, None) is not None:
            self._cancels.ended(task.owner, abandoned=False)
            task.seat.report(Ended((put_back(task.seat.holder, task.held, why),)))

    def _finished(self, task: StageTask, done: Done) -> None:
        if self._running.pop(task.owner, None) is None:
            self._drop(task, done)
            return
        self._ledger.forget(task.owner)
        self._cancels.ended(task.owner, abandoned=done.abandoned)
        sitting = self._sittings.get(task.seat.holder)
        if sitting is not None and sitting.task is task:
            sitting.task = None
            if task.unmade is not None:
                sitting.agent = None
                self._try_later(sitting, task.unmade)
            self._report(sitting, done)
        count_stage(self._tally, done)

    def _give_up_on(self, stage: StageTask, ignoring: Tasks) -> None:
        """Count these tasks of a stage, which were cancelled and run on; no model is called for them any more."""
        for each in ignoring:
            self.abandoned += 1
            self._ignoring[each] = stage
            each.add_done_callback(self._ignoring.pop)
        if stage.held.record.stage is not Stage.OPTIMIZING:  # without a brief its item goes on, under the same fence
            self._broker.revoke(stage.owner)

    def _report(self, sitting: _Sitting, done: Done) -> None:
        """Report this end, together with all others of this turn of the loop."""
        if not self._ended:
            self._thread.loop.call_soon(self._report_all)
        self._ended.append((sitting, done))

    def _report_all(self) -> None:
        """Report the ends first, then tell actors of errors. An error too many ends the life, not the item's move."""
        ended, self._ended = self._ended, []
        report((sitting.seat, done) for sitting, done in ended)
        for sitting, done in ended:
            if sitting.remember(done):
                self._record_error(sitting, done)

    def _record_error(self, sitting: _Sitting, done: Done) -> None:
        """Have the actor of this agent count the error against its life, or the success that ends a row of them."""
        sitting.seat.tell(done)

    def _drop(self, task: StageTask, done: Done) -> None:
        """Drop an end that was reported already, when this half was given up."""
        late = {"what": "result", "item": done.held.record.item.id, "fence": done.held.record.fence}
        self._signal("stale.dropped", task.seat.path, task.seat.incarnation, late)

    def _leave(self, sitting: _Sitting) -> None:
        if sitting.making is not None:
            sitting.making.cancel()
        if sitting.task is not None:
            self._broker.revoke(sitting.task.owner)
            sitting.task.end(Limit.INTERRUPTED)

    def _cancel(self, owned: Sequence[Owner], why: Limit, because: str) -> None:
        for each in owned:
            self._broker.revoke(each)
            task = self._running.get(each)
            if task is not None:
                task.end(why, because)
        self._cancels.answer()


def _said_of(culprit: Culprit, seat: Seat) -> str:
    line = line_of(culprit.frames, seat.definition.template)
    return f"it held the loop that all agents share for {culprit.held:.0f} s ({line})"


def report(ended: Iterable[tuple[Seat, Done]]) -> None:
    """Report each end to the one that its seat names, in one message for each of them."""
    mail: defaultdict[Callable[[Ended], None], list[Done]] = defaultdict(list)
    for seat, done in ended:
        mail[seat.report].append(with_brief(done))
    for addressee, dones in mail.items():
        addressee(Ended(tuple(dones)))
