"""The orchestrator: the only actor that hands work out.

It gathers what is in its mailbox, decides on all of it as one batch, posts its requests to the journal, and returns. It
never waits: not for a commit, not for a model, not for another actor. It remembers only the roster of slots. Which item
is whose is in the journal, so a lost message costs a moment and nothing else.
"""

import random  # noqa: TID251 - a type only; the daemon makes the one Random and hands it in
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from darumad.actors.barred import Barred, Probes
from darumad.actors.decisions import held_next, move_of, unplanned
from darumad.actors.executors import Executors
from darumad.actors.holds import TemplateHolds
from darumad.actors.messages import (
    Beat,
    Claiming,
    Committed,
    Due,
    Flush,
    Hint,
    HowClaiming,
    LeftBehind,
    Reread,
    Restarted,
    SlotDown,
    SlotUp,
    tell_if_alive,
)
from darumad.actors.roster import Backlog, Roster, pool_of
from darumad.actors.standing import Changes, Standing
from darumad.bridge import SLOT_ENDED, Done, Ended, Seat, handler_crashed, put_back
from darumad.clock import Clock, TimerHandle
from darumad.errors import Broken, DarumaError
from darumad.journal.requests import (
    STALE,
    Answer,
    Audit,
    Claim,
    Claimed,
    Demand,
    Demanded,
    Held,
    Move,
    Moved,
    Outcome,
    Promoted,
    PromoteDue,
    Release,
    Released,
    ReleaseRepaired,
    Request,
    Rescue,
    Rescued,
)
from darumad.names import AgentName, Fence, ItemId, Millis, Seconds, Stage
from darumad.supervision import Actor
from darumad.values import Value
from darumad.work.backoff import Backoff
from darumad.work.ends import Next, what_follows
from darumad.work.item import WorkItem
from darumad.work.result import StopReason
from darumad.work.states import WorkState

log = structlog.get_logger(__name__)
_BY = Audit(by="daemon", action="release", target="an item parked for what was mended meanwhile", via="daemon")


@dataclass(slots=True)
class Dispatch:
    """Whether anything new is claimed.

    Written by whoever drains or resumes, read by the orchestrator: one flag each.
    """

    draining: bool = False
    paused: bool = False

    @property
    def open(self) -> bool:
        """Whether the orchestrator may claim."""
        return not (self.draining or self.paused)


class OrchestratorPorts(Value, kw_only=True):
    """What the orchestrator needs of other rooms and of the settings. Given once, for all its lives."""

    clock: Clock
    rng: random.Random
    new_id: Callable[[], str]
    dispatch: Dispatch
    post: Callable[[Request, Callable[[object], None] | None], None]
    """The journal's: queues a request and returns; the outcome is told after COMMIT."""
    send: Callable[[Seat, Held], None]
    """Has the stage of a held item run at a seat."""
    revoke: Callable[[ItemId, Fence], None]
    """Ends what still runs for an item under this fence."""
    barred: Callable[[], Barred]
    """Whose items are not to be claimed now."""
    holding: Callable[[frozenset[AgentName]], None]
    """Told which definitions have their template held, at each flush."""
    mended_at: Callable[[AgentName, str], Seconds]
    """When somebody last saw to what items of this agent are parked for, by the reason; monotonic seconds."""
    counts: Mapping[AgentName, int]
    """How many items of each definition may be under way at once."""
    executors: Executors
    """Those that stand only while there is work for them."""
    most_standing: int
    """For how many of these they may stand at once."""
    idle_after: Seconds
    """How long they stand without work."""
    loaded: Callable[[], Mapping[AgentName, str]]
    """The state of each definition's template, of those that are loaded."""
    limited_lanes: frozenset[str]
    """Those in which so many items may be under way and no more."""
    backoff: Backoff
    reread: Seconds
    """How often the journal is read again, whatever was hinted."""
    arrived: Callable[[Callable[[object], None]], None]
    """Given how to tell this life: whoever speaks to the orchestrator speaks to the latest."""


class _Moving(Value):
    """A posted move whose commit has not come back: what ended, since when it was held, and the slot it goes on in."""

    done: Done
    since: Seconds
    holder: str | None


class Orchestrator(Actor):
    """See the module."""

    def __init__(self, ports: OrchestratorPorts) -> None:
        super().__init__()
        self._ports = ports
        self._roster = Roster()
        self._gathered: list[object] = []
        self._moving: dict[tuple[ItemId, Fence], _Moving] = {}
        self._going_on: dict[ItemId, AgentName] = {}  # between two slots: under way, and held by none
        self._backlog = Backlog()
        self._standing = Standing(ports.executors.known, most=ports.most_standing, idle_after=ports.idle_after)
        self._demand_unknown = True
        self._missed = False  # whether somebody was wanted while nobody could start them
        self._look_due, self._can_look = False, False
        self._held_back: set[AgentName] = set()
        self._holds = TemplateHolds()
        self._loaded_before: set[AgentName] = set()  # those whose template was there in this life
        self._barred, self._probes = Barred(), Probes()
        self._claiming = False
        self._claimed_ever = 0
        self._due: tuple[Millis, TimerHandle] | None = None
        self._reply = self._answered  # one object, so that the writer knows its answers belong together

    def on_start(self) -> None:
        """Put back what the journal says is running: in this life nobody holds anything yet."""
        self._ports.arrived(self.actor_ref.tell)
        self._post(Rescue(live=frozenset()))
        self._post(PromoteDue())
        for agent, resources_version in self._ports.loaded().items():
            self._release_repaired(agent, resources_version)
        self._tick()

    def on_receive(self, message: object) -> None:
        """Gather messages until `Flush`, which the first of them makes us tell ourselves: it comes after all others."""
        if isinstance(message, Flush):
            gathered, self._gathered = self._gathered, []
            before, self._barred = self._probes.narrowed(self._barred), self._ports.barred()
            for each in gathered:
                self._take_in(each)
            self._probes.forget(self._barred, self._is_under_way)
            if self._probes.narrowed(self._barred).but_one.items() - before.but_one.items():
                self._anywhere()  # whoever is to go ahead may be anybody's, and stand at any stage
            self._ports.holding(self._held())
            self._staff()
            self._claim()
            return
        if isinstance(message, Beat):
            message.heard()
            return
        if isinstance(message, HowClaiming):
            message.heard(Claiming(self._not_claimed(self._ports.barred()), self._claimed_ever))
            return
        if not self._gathered:
            self.actor_ref.tell(Flush())
        self._gathered.append(message)

    # --- what the messages do ---------------------------------------------------------------------------------------

    def _take_in(self, message: object) -> None:
        match message:
            case Ended():
                self._ended(message.dones)
            case Committed():
                for outcome in message.outcomes:
                    self._committed(outcome)
            case SlotUp():
                self._slot_up(message)
            case SlotDown():
                self._slot_down(message)
            case Hint():
                self._hint(message)
            case Restarted() | LeftBehind():
                self._hear_of_templates(message)
            case Due():
                self._due = None
                self._post(PromoteDue())
            case Reread():
                self._reread()
            case _:
                log.error("unknown_message", message=repr(message)[:200])

    def _ended(self, dones: Sequence[Done]) -> None:
        for done in dones:
            self._stage_ended(done)

    def _stage_ended(self, done: Done) -> None:
        seated = self._roster.find(done.holder)
        if seated is None or not seated.works_on(done.held):
            return  # that life's item was already put back: the journal would call this stale
        self._roster.free(done.holder)
        if done.result.stop_reason is StopReason.CANCELLED:
            self._make_room(done.held.record.item)
            return  # whoever cancelled has moved the item already
        self._decide(done)

    def _make_room(self, item: WorkItem) -> None:
        """One item fewer of this definition and of this lane is under way: one that was held back may begin."""
        if item.agent in self._held_back:
            self._backlog.add(pool_of(item.stages[0], item.agent))
        if item.lane in self._ports.limited_lanes:
            self._backlog.anywhere()

    def _decide(self, done: Done) -> None:
        try:
            self._carry_out(done)
        except Exception as error:
            # What one decision raises is that item's: the rest of the batch is carried out.
            log.exception("decision_failed", item_id=done.held.record.item.id)
            self._carry_out(handler_crashed(done, error))

    def _carry_out(self, done: Done) -> None:
        record = done.held.record
        follows = self._follows(done)
        if not follows.moves:
            self._ports.revoke(record.item.id, record.fence)
            return
        goes_on = _goes_on(follows, record.item)
        if not goes_on:
            self._make_room(record.item)
        holder = self._next_slot(done.held, follows)
        try:
            move = move_of(
                done,
                follows,
                holder=holder,
                resources_version=self._roster.resources_version(holder),
                now=self._ports.clock.wall(),
                new_id=self._ports.new_id,
            )
        except Exception:
            if holder is not None:
                self._roster.free(holder)
            raise
        self._moving[move.item, move.fence] = _Moving(done, self._roster.since(done.holder), holder)
        if goes_on:
            self._going_on[move.item] = record.item.agent
        self._post(move)

    def _follows(self, done: Done) -> Next:
        record = done.record
        held = self._holds.count(record, done.result, self._now())
        return what_follows(
            record,
            record.stage,
            done.result,
            stages=record.item.stages,
            now=self._ports.clock.wall(),
            rng_unit=self._ports.rng.random(),
            backoff=self._ports.backoff,
            template_held=held,
        )

    def _next_slot(self, held: Held, follows: Next) -> str | None:
        if follows.to is not WorkState.RUNNING or not self._ports.dispatch.open:
            return None
        if follows.stage is Stage.EXECUTING and not self._probes.goes_on(held.record.item, self._barred):
            return None  # it waits in line for its provider, as those that were not claimed do
        return self._roster.take(pool_of(follows.stage, held.record.item.agent))

    def _slot_up(self, message: SlotUp) -> None:
        if not self._standing.keeps(message.seat.definition.name):
            return  # its agent was still being made when it was ended: what it took, it would lose
        self._demand_unknown |= self._missed  # by now the tree stands
        self._missed = False
        self._roster.add(message.seat, message.resources_version)
        self._release_repaired(message.seat.definition.name, message.resources_version)

    def _slot_down(self, message: SlotDown) -> None:
        seated = self._roster.remove(message.holder)
        if seated is not None and seated.held is not None:
            self._decide(put_back(message.holder, seated.held, message.why))

    def _hint(self, message: Hint) -> None:
        if message.ready is None:
            self._anywhere()
            return
        for (agent, stage), count in message.ready.items():
            self._backlog.add(pool_of(stage, agent), count)
        self._want({agent for agent, _ in message.ready})

    def _hear_of_templates(self, message: Restarted | LeftBehind) -> None:
        if isinstance(message, Restarted):
            self._holds.forget(message.agents)
            self._want(message.agents)
        else:
            self._holds.left_behind(message.agent, self._now())

    def _release_repaired(self, agent: AgentName, resources_version: str | None) -> None:
        """Have those go on that an earlier life parked for this agent's template, where it is another now."""
        if resources_version is not None and agent not in self._loaded_before:
            self._loaded_before.add(agent)
            self._post(ReleaseRepaired(agent=agent, resources_version=resources_version, audit=_BY))

    # --- what the journal answered ----------------------------------------------------------------------------------

    def _committed(self, outcome: Outcome) -> None:
        request, answer = outcome.request, outcome.answer
        if isinstance(answer, Exception) and not isinstance(request, Move):
            # Nothing was changed: the next look at the journal asks again.
            log.error("request_failed", request=type(request).__name__, error=str(answer))
        match request:
            case Claim():
                self._claimed(request, answer)
            case Move():
                self._moved(request, answer)
            case _:
                self._learn(answer)

    def _learn(self, answer: Answer) -> None:
        match answer:
            case Promoted():
                if answer.ready:
                    self._anywhere()
                if answer.next_due is not None:
                    self._arm(answer.next_due)
            case Rescued() | Released():
                if answer.items:
                    self._anywhere()
            case Demanded():
                self._demanded(answer.agents)

    def _claimed(self, request: Claim, answer: Answer) -> None:
        self._claiming = False
        held, unread = (answer.held, answer.unread) if isinstance(answer, Claimed) else ((), 0)
        self._claimed_ever += len(held)
        taken = frozenset(each.slot.holder for each in held)
        for slot in request.slots:
            if slot.holder not in taken:
                self._roster.free(slot.holder)
        # A circuit may have become half-open while the claim was on its way: who comes with it is joined by no other.
        self._probes.claimed((each.record.item for each in held), {**request.but_one, **self._barred.but_one})
        for each in held:
            self._hand_out(each, each.slot.holder)
        self._backlog.answered(request.slots, taken)
        if unread:
            self._backlog.anywhere()  # their slots are free for what stands behind them
        self._standing.works({each.record.item.agent for each in held}, self._now())
        begun = Counter(each.record.item.agent for each in held if each.record.stage is each.record.item.stages[0])
        self._held_back = {agent for agent, most in request.first.items() if begun[agent] >= most}

    def _moved(self, move: Move, answer: Answer) -> None:
        moving = self._moving.pop((move.item, move.fence), None)
        if isinstance(answer, Moved):
            self._after(move, answer, moving)
            return
        self._going_on.pop(move.item, None)
        if moving is not None and moving.holder is not None:
            self._roster.free(moving.holder)
        if answer is STALE:
            self._ports.revoke(move.item, move.fence)
        elif isinstance(answer, DarumaError) and move.plan and moving is not None:
            self._decide(unplanned(moving.done, answer))
        elif isinstance(answer, DarumaError):
            log.error("move_failed", item_id=move.item, error=str(answer))
            self._not_taken(answer, moving)

    def _not_taken(self, error: DarumaError, moving: _Moving | None) -> None:
        """The journal could not write an end, and changed nothing.

        It counts as a crash of the item, or the item would run, and be paid for, again and again. An end that was an
        interruption has nothing that could be left out, and a journal that takes nothing will not take this either:
        then the next re-read puts the item back.
        """
        if isinstance(error, Broken) and moving and moving.done.result.stop_reason is not StopReason.INTERRUPTED:
            self._decide(handler_crashed(moving.done, error))

    def _after(self, move: Move, moved: Moved, moving: _Moving | None) -> None:
        if moved.settled or move.plan:
            self._anywhere()
        follows = move.follows
        if follows.to is WorkState.SCHEDULED and follows.run_at is not None:
            self._arm(follows.run_at)
        if moving is None:
            return
        held = moving.done.held
        if follows.to is WorkState.PARKED:
            self._look_again(held.record.item, str(follows.reason), moving.since)
        if held.record.suspect:
            self._backlog.anywhere()  # suspects go one by one: the next of them may begin
        if moving.holder is not None:
            self._hand_out(held_next(moving.done, move, moved.fence, moving.holder), moving.holder)
        elif follows.to is WorkState.READY:
            self._backlog.add(pool_of(follows.stage, held.record.item.agent))

    def _look_again(self, item: WorkItem, reason: str, since: Seconds) -> None:
        """Have an item go on that is parked for what was mended while it was held: whoever did may not have seen it."""
        if self._ports.mended_at(item.agent, reason) > since:
            self._post(Release(items=(item.id,), audit=_BY, those_that_can=True))

    def _hand_out(self, held: Held, holder: str) -> None:
        self._going_on.pop(held.record.item.id, None)
        if not self._ports.dispatch.open:  # since it was asked for: whoever stops all that runs did not meet this one
            self._roster.free(holder)
            self._decide(put_back(holder, held, "nothing is handed out any more"))
            return
        seated = self._roster.hold(holder, held, self._now())
        if seated is None:
            self._decide(put_back(holder, held, SLOT_ENDED))
            return
        self._ports.send(seated.seat, held)

    # --- whose executors stand --------------------------------------------------------------------------------------

    def _want(self, agents: Collection[AgentName]) -> None:
        self._standing.want(agents, self._now())

    def _anywhere(self) -> None:
        """Nobody knows where something is ready, nor whose it is."""
        self._backlog.anywhere()
        self._demand_unknown = True

    def _staff(self) -> None:
        """Have executors start where there is work for them."""
        if self._ports.dispatch.draining:
            return
        if self._demand_unknown:
            self._demand_unknown = False
            self._post(Demand())
        if self._can_look and not self._claiming:  # a slot that is offered passes for a busy one
            self._look_at_who_stands()
        if self._standing.unplaced:
            self._carry_through(self._standing.changes(self._roster.is_busy, self._now()))
        self._ports.executors.unplaced = self._standing.unplaced

    def _demanded(self, agents: Collection[AgentName]) -> None:
        self._standing.know(agents, self._now())
        self._can_look = self._look_due

    def _look_at_who_stands(self) -> None:
        self._look_due, self._can_look = False, False
        self._carry_through(self._standing.look(self._roster.is_busy, self._roster.stands, self._now()))

    def _carry_through(self, changes: Changes) -> None:
        for agent in changes.end:
            self._roster.dismiss(agent)
            self._ports.executors.end(agent)
        for agent in changes.start:
            if not self._ports.executors.start(agent):
                self._standing.missed(agent)
                self._missed = True

    # --- claiming, and the clock ------------------------------------------------------------------------------------

    def _claim(self) -> None:
        if self._claiming or not self._ports.dispatch.open:
            return
        barred = self._not_claimed(self._barred)
        pools = (pool for pool in self._roster.pools() if pool[1] not in barred.wholly)
        wanted = self._backlog.wanted(pools)
        slots = self._roster.offer({pool: 1 if pool[1] in barred.but_one else most for pool, most in wanted.items()})
        if not slots:
            return  # what is known of the backlog stays: a slot that gets free looks again
        self._backlog.asked(slots)
        self._claiming = True
        self._post(Claim(slots=slots, first=self._first(), gated=barred.wholly, but_one=barred.but_one))

    def _not_claimed(self, barred: Barred) -> Barred:
        """What is barred, with the templates that are held here."""
        return self._probes.narrowed(barred).also(self._held())

    def _held(self) -> frozenset[AgentName]:
        return self._holds.all_held(self._now())

    def _is_under_way(self, item: ItemId) -> bool:
        return self._roster.holds(item) or any(item == moving for moving, _ in self._moving)

    def _first(self) -> dict[AgentName, int]:
        between = Counter(self._going_on.values())
        busy = {agent: self._roster.under_way(agent) + between[agent] for agent in self._ports.counts}
        return {agent: max(0, count - busy[agent]) for agent, count in self._ports.counts.items()}

    def _reread(self) -> None:
        self._post(Rescue(live=self._roster.held().union(self._moving), taken=self._roster.taken()))
        moving = {item for item, _ in self._moving}  # whoever waits for a slot may have been cancelled: nobody says so
        self._going_on = {item: agent for item, agent in self._going_on.items() if item in moving}
        self._post(PromoteDue())
        self._look_due = True
        self._anywhere()
        self._tick()

    def _tick(self) -> None:
        ref = self.actor_ref
        self._ports.clock.call_at(
            self._ports.clock.monotonic() + self._ports.reread, lambda: tell_if_alive(ref.tell, Reread())
        )

    def _arm(self, when: Millis) -> None:
        if self._due is not None:
            if self._due[0] <= when:
                return
            self._due[1].cancel()
        clock, ref = self._ports.clock, self.actor_ref
        delay = max(0, when - clock.wall()) / 1000
        self._due = (when, clock.call_at(clock.monotonic() + delay, lambda: tell_if_alive(ref.tell, Due())))

    def _now(self) -> Seconds:
        return Seconds(self._ports.clock.monotonic())

    def _post(self, request: Request) -> None:
        self._ports.post(request, self._reply)

    def _answered(self, outcomes: object) -> None:
        tell_if_alive(self.actor_ref.tell, Committed(outcomes))  # type: ignore[arg-type] # the journal hands a sequence of outcomes


def _goes_on(follows: Next, item: WorkItem) -> bool:
    """Whether the item is under way still, though no slot holds it: into its next stage, or put back in the middle.

    One that lost its slot keeps its place against those that have not begun, or they would take the next one from it.
    """
    put_back = follows.to is WorkState.READY and not follows.ends_attempt and follows.stage is not item.stages[0]
    return put_back or follows.to is WorkState.RUNNING
