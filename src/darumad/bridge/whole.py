"""The bridge itself: what an actor may ask of the agents.

Every call posts and returns; answers come back as messages. The bridge outlives its loops. What belongs to one loop is
in `half`.
"""

import threading
from collections.abc import Callable, Collection, Sequence

from darumad.bridge.half import BridgeHalf, Leftovers, report
from darumad.bridge.loop import Culprit, LoopThread
from darumad.bridge.loops import Loops
from darumad.bridge.opening import Broker
from darumad.bridge.seat import Limit, Seat, Stopped
from darumad.journal.requests import Held
from darumad.names import AgentName, Seconds
from darumad.values import Value
from darumad.work.ports import Owner


class BridgeHealth(Value):
    """How the bridge is: seconds its pulse is overdue, what runs on it, and what was given up.

    `abandoned` counts the tasks that have ignored their cancel since the start; `ignoring` the stages of which such a
    task still runs on the present loop. `forsaken` threads still run with nobody waiting for them; `let_go` of them are
    loops' that were replaced.
    """

    late: Seconds
    running: int
    abandoned: int
    ignoring: int
    forsaken: int
    let_go: int


class Bridge:
    """Joins seats to agents, on the present loop. Every public method is safe from any thread and never waits."""

    def __init__(self, loops: Loops, half_on: Callable[[LoopThread], BridgeHalf], broker: Broker) -> None:
        self._loops = loops
        self._half_on = half_on
        self._broker = broker
        self._changing = threading.Lock()
        self._half = half_on(loops.now)
        self._abandoned = 0

    # --- what actors and the daemon ask -----------------------------------------------------------------------------

    def spawn(self, seat: Seat) -> None:
        """Make the agent of `seat`; its actor is told `Spawned` or `SpawnFailed`.

        After a failure it is tried again with backoff. The agent is made anew, and its actor told again, when the loop
        is replaced, and when the agent raises `SpawnRefused` at its work, whose item is then interrupted.
        """
        with self._changing:
            self._half.spawn(seat)

    def send_work(self, seat: Seat, held: Held) -> None:
        """Run a held item's stage on the agent of `seat`; exactly one `Done` of it is reported, in some `Ended`."""
        with self._changing:
            self._half.send_work(seat, held)

    def restart(self, seat: Seat) -> None:
        """End what runs at `seat` and make its agent anew."""
        with self._changing:
            self._half.forget(seat.holder)
            self._half.spawn(seat)

    def forget(self, holder: str) -> None:
        """End this life: its owner is revoked, its task cancelled, and what the task still reports is dropped."""
        with self._changing:
            self._half.forget(holder)

    def owners(self, items: Collection[str]) -> list[Owner]:
        """The owners of the tasks that run for these items."""
        return [each.owner for each in self._half.running if each.owner.item in items]

    def cancel(self, owned: Sequence[Owner], why: Limit, reply: Callable[[Stopped], None], because: str = "") -> None:
        """Revoke these owners, then cancel their tasks; `because` says in words who wants that, and why.

        `reply` is called when all have stopped or the grace is over, and when the loop that they run on was replaced.
        """
        with self._changing:
            self._half.cancel(owned, why, reply, because)

    def convict(self, culprit: Culprit) -> int:
        """Report the task that holds the loop as its culprit, and revoke its owner. Returns how many that were: 1 or 0.

        No actor hears of it: a new life of its agent would do the same.
        """
        with self._changing:
            left = self._half.convict(culprit)
        return self._tell(left)

    def author(self, culprit: Culprit) -> AgentName | None:
        """Whose template left the call behind that holds the loop; None where nobody knows."""
        return self._half.author(culprit)

    def replace(self) -> int:
        """Give up the loop, whose thread may never come back, and go on with a new one. Returns how many tasks it held.

        They are reported as interrupted, once, and their owners are revoked. No actor hears of it, for it is no agent's
        error. Every agent is made anew.
        """
        with self._changing:
            left = self._half.give_up()
            self._abandoned += self._half.abandoned
            self._half = self._half_on(self._loops.replace())
            for seat in left.seats:
                self._half.spawn(seat)
        return self._tell(left)

    def _tell(self, left: Leftovers) -> int:
        """Report what a half had still to tell when it was given up. Returns how many tasks it held."""
        for each in left.lost:
            self._broker.revoke(each)
        report(left.ended)
        for cancel in left.cancels:
            cancel.answer(self._loops.now.clock.monotonic())
        return len(left.lost)

    def health(self) -> BridgeHealth:
        """How the bridge is, without asking it."""
        loops, half = self._loops, self._half
        let_go = loops.abandoned
        return BridgeHealth(
            late=loops.now.late(),
            running=len(half.running),
            abandoned=self._abandoned + half.abandoned,
            ignoring=half.ignoring,
            forsaken=loops.forsaken + let_go,
            let_go=let_go,
        )

    def in_flight(self) -> dict[str, Seconds]:
        """Which holders have a task running, and for how many seconds each has made no progress."""
        return {each.seat.holder: each.idle for each in self._half.running}

    def made(self) -> frozenset[str]:
        """The holders whose agent is there."""
        return frozenset(each.holder for each in self._half.made())

    def seated(self) -> frozenset[AgentName]:
        """The definitions that have an instance, with its agent or without."""
        return frozenset(seat.definition.name for seat, _ in self._half.refusals())

    def idle(self) -> Sequence[Seat]:
        """Every seat whose agent is there and has nothing to do."""
        return self._half.idle()

    def spawn_errors(self) -> dict[str, str]:
        """Why the agents that cannot be made cannot be made, by holder."""
        return {seat.holder: error for seat, error in self._half.refusals() if error}

    def unmade(self) -> dict[AgentName, str]:
        """Why the definitions of which no instance has an agent have none, by their names."""
        refusals = self._half.refusals()
        refused = {seat.definition.name: error for seat, error in refusals if error is not None}
        if not refused:  # as ever, and this is asked for each item that comes in
            return refused
        served = {seat.definition.name for seat, error in refusals if error is None}
        return {name: error for name, error in refused.items() if name not in served}
