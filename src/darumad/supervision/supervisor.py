"""The supervisor: an actor whose state changes only in its own thread, by what comes on its system lane."""

import random  # noqa: TID251 - the jitter of a tree that was given no source of its own
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from darumad.supervision.actor import Actor, log
from darumad.supervision.backoff import Backoff, Rng
from darumad.supervision.child import Child
from darumad.supervision.child_calls import ChildCalls
from darumad.supervision.errors import StartError, SupervisionError
from darumad.supervision.event import Bus
from darumad.supervision.intensity import Intensity
from darumad.supervision.life import REAL, Birth, Life, Phase, current_birth
from darumad.supervision.mailbox import Mailbox
from darumad.supervision.nursery import ask_to_stop, bring_up, mark_down, see_off, take_down
from darumad.supervision.reasons import SHUTDOWN, ExitReason, crash, text_of
from darumad.supervision.signals import Call, Down, Due, LeakCap, Stop, TryAgain, Unresponsive
from darumad.supervision.spec import ChildSpec, SupervisorFlags, check
from darumad.supervision.strategy import comes_back, group, leaves_with
from darumad.supervision.supervisor_ref import SupervisorRef
from darumad.supervision.tree import Clock, Superseded, Tree

LEAK_CAP: Final = 3
LEAK_GRACE: Final = 0.1
"""Seconds in which a fenced thread may end before it counts towards the cap: most are only taken from their work."""


def _post(mailbox: Mailbox, due: Due) -> None:
    mailbox.post(due)


class SupervisorFactory:
    """The `start` of a nested supervisor's spec: checked when made, and readable for the lint."""

    def __init__(self, flags: SupervisorFlags, specs: Iterable[ChildSpec]) -> None:
        self.flags = flags
        self.specs = check(flags, specs)

    def __call__(self) -> SupervisorRef:
        """Make the supervisor; it inherits clock, bus and rng from the one that calls."""
        if current_birth() is None:
            raise RuntimeError("a nested supervisor is started by its supervisor; for a root use Supervisor.start")
        ref: SupervisorRef = Supervisor._spawn(self.flags, self.specs)  # noqa: SLF001 - its own class
        return ref


class Supervisor(ChildCalls, Actor):
    """Starts its children in order, restarts them by its strategy, stops them in reverse. OTP's `supervisor`."""

    def __init__(self, flags: SupervisorFlags, specs: Sequence[ChildSpec]) -> None:
        self.is_pool = flags.strategy == "pool"
        super().__init__()
        tree = self._life.tree
        assert tree is not None
        self._tree: Tree = tree
        self._flags = flags
        self._specs = tuple(specs)
        self._intensity = Intensity(flags.intensity, flags.period)
        self._children: dict[str, Child] = {}
        self._me: Child | None = None

    @classmethod
    def start(  # noqa: PLR0913 - what a root shares with its tree
        cls,
        flags: SupervisorFlags,
        specs: Iterable[ChildSpec],
        *,
        name: str = "root",
        clock: Clock = REAL,
        bus: Bus | None = None,
        rng: Rng | None = None,
        leak_cap: int = LEAK_CAP,
    ) -> SupervisorRef:
        """A root, once every child is READY.

        Raises:
            ValueError: flags or specs are wrong; nothing was started.
            StartError: a child did not become READY; those before it are stopped.
        """
        found = check(flags, specs)
        tree = Tree(clock, bus, rng or random.Random(), leak_cap)  # noqa: S311 - jitter is no secret
        root = Child(ChildSpec(name, SupervisorFactory(flags, found), type="supervisor"), name, None)
        root.incarnation = tree.next_incarnation(name)
        tree.put(root, None)
        return cls._start_root(tree, root, flags, found)

    @classmethod
    def _start_root(cls, tree: Tree, root: Child, flags: SupervisorFlags, specs: Sequence[ChildSpec]) -> SupervisorRef:
        birth = Birth(tree, root.path, root.incarnation, None, root.spec)
        try:
            ref: SupervisorRef = birth.call(cls._spawn, (flags, specs))
            life = tree.root = birth.lives[0]
            birth.settle(life)
        except RuntimeError as error:  # no thread left
            raise StartError(root.id, error) from error
        life.ready.wait()
        if life.failure is not None:
            assert life.thread is not None
            life.thread.join()
            raise life.failure if isinstance(life.failure, StartError) else StartError(root.id, life.failure)
        return ref

    @staticmethod
    def factory(flags: SupervisorFlags, specs: Iterable[ChildSpec]) -> SupervisorFactory:
        """The `start` of a `ChildSpec` of type supervisor.

        Raises:
            ValueError: flags or specs are wrong; raised here, before anything starts.
        """
        return SupervisorFactory(flags, specs)

    def _make_ref(self) -> SupervisorRef:
        return SupervisorRef(self)

    def on_start(self) -> None:
        """Start the children in order; one that fails takes those before it down, and this supervisor too."""
        self._me = me = self._tree.get(self.path)
        if not self.is_pool:
            self._start_children()
        if me is not None and me.parent is None:
            me.begins(self._life)
            me.went_up(self.actor_ref, self._tree.now())

    def _start_children(self) -> None:
        for spec in self._specs:
            child = self._enter(spec)
            try:
                if bring_up(self._tree, child, self._life) is None and spec.restart == "temporary":
                    self._remove(child)
            except StartError:
                self._stop_children()
                self._forget_all()
                raise

    def on_stop(self) -> None:
        """Stop the children in reverse."""
        self._stop_children()
        self._say_goodbye(self._leaving or SHUTDOWN)

    def _log_failed_start(self, failure: object) -> None:
        super()._log_failed_start(failure)
        if self._life.parent is None:
            self._tree.close()

    def _broken(self, error: BaseException) -> None:
        """This thread is dying of its own fault: reap the orphans in reverse, then report."""
        self._life.phase = Phase.STOPPING
        try:
            self._close()
            self._stop_children()
            self._say_goodbye(crash(error))
        finally:
            super()._broken(error)

    def _say_goodbye(self, reason: ExitReason) -> None:
        self._forget_all()
        self._life.emit("supervisor.exited", reason=reason)
        if self._life.parent is None:
            if self._me is not None:
                self._me.went_down(reason)
            self._tree.close()

    def on_receive(self, message: object) -> None:
        """A supervisor takes no messages: whatever comes is a mistake of its sender."""
        log.warning("%s: unexpected message of type %s", str(self), type(message).__name__)

    # What comes on the system lane.

    def _on_signal(self, signal: Any) -> None:
        match signal:
            case Stop(reason):
                self._leaving = reason
            case Call():
                self._answer_call(signal)
            case Down(life):
                self._on_down(life)
            case Due(path, token):
                self._on_due(path, token)
            case TryAgain(path, token):
                self._on_try_again(path, token)
            case Unresponsive():
                self._on_unresponsive(signal)
            case LeakCap():
                self._on_leak_cap()
            case _:
                signal.deliver(self)

    def _answer_call(self, call: Call) -> None:
        if call.reply.settled:  # refused: what its caller was told is not done is not to be done
            return
        self._life.answering = call
        if self._life.fenced:
            raise Superseded
        try:
            call.answer(call.run(self))
        except (SupervisionError, ValueError, TypeError) as refusal:
            call.fail(refusal)
        except BaseException:
            call.refuse()
            raise
        self._life.answering = None

    def _current(self, life: Life) -> Child | None:
        """The child whose life this is; None if its end was accounted for when it was stopped."""
        child = self._tree.get(life.path)
        return child if child is not None and child.life is life else None

    def _on_down(self, life: Life) -> None:
        child = self._current(life)
        if child is None:
            return
        reason = see_off(self._tree, child, self._life, since=life.reported_at)
        if child.spec.type == "supervisor":
            self._tree.fence_subtree(child.path)
        self._after_exit_of(child, reason)

    def _on_unresponsive(self, said: Unresponsive) -> None:
        child = self._current(said.life)
        if child is None or said.life.in_hand is not said.in_hand:
            return
        self._tree.emit("child.unresponsive", child.path, child.incarnation, seconds=said.seconds, stack=said.stack)
        self._tree.abandon(said.life)
        self._after_exit_of(child, mark_down(self._tree, child, self._life))

    def _on_leak_cap(self) -> None:
        count = self._tree.leak_cap_reached(LEAK_GRACE)
        if count == 0:
            return
        self._life.emit("supervisor.leak_cap", count=count)
        self._leaving = SHUTDOWN

    def _on_due(self, path: str, token: int) -> None:
        child = self._armed(path, token)
        if child is None:
            return
        if child.state == "benched":
            self._start_one(child)
        else:
            self._revive(child)

    def _on_try_again(self, path: str, token: int) -> None:
        child = self._armed(path, token)
        if child is not None:
            self._restart(child)

    def _armed(self, path: str, token: int) -> Child | None:
        child = self._tree.get(path)
        if child is not None and child.token == token and self._children.get(path) is child:
            return child
        self._tree.emit("stale.dropped", path, child.incarnation if child else 0, what="timer")
        return None

    # Restarting.

    def _after_exit_of(self, child: Child, reason: ExitReason) -> None:
        if comes_back(child.spec.restart, reason):
            self._restart(child)
            return
        if child.spec.type == "supervisor":
            self._tree.emit("supervisor.subtree_lost", child.path, child.incarnation, reason=reason)
        if child.spec.restart == "temporary" or self.is_pool:
            self._remove(child)
        others = (c.is_active for c in self._children.values() if c is not child and c.spec.significant)
        if leaves_with(self._flags.auto_shutdown, significant=child.spec.significant, others_active=others):
            self._leaving = SHUTDOWN

    def _restart(self, child: Child) -> None:
        """Count the restart, then do it, now or later, or give up."""
        backoff = child.spec.backoff
        if backoff is not None:
            healthy_for = self._tree.now() - child.started_at if child.started_at >= 0 else 0.0
            child.failures.add(backoff, healthy_for)
            child.started_at = -1.0
        own_account = backoff is not None and backoff.own_account
        if not own_account and not self._intensity.spend(self._tree.now()):
            self._give_up()
            return
        if backoff is None:
            self._revive(child)
        elif child.failures.exhausted(backoff):
            self._bench(child, backoff)
        else:
            self._schedule(child, self._delay(backoff, child.failures.in_a_row))

    def _give_up(self) -> None:
        self._life.emit("supervisor.intensity_exceeded", history=self._intensity.history)
        self._leaving = SHUTDOWN

    def _delay(self, backoff: Backoff, nth: int) -> float:
        try:
            return backoff.delay(nth, self._tree.rng)
        except Exception as error:  # noqa: BLE001 - jitter is not worth a tree
            log.error("%s: the source of jitter raised", str(self), exc_info=error)
            return backoff.base_delay(nth)

    def _schedule(self, child: Child, delay: float) -> None:
        self._arm(child, delay)
        child.state = "restarting"
        self._tree.emit("child.restart_scheduled", child.path, child.incarnation, delay=delay, token=child.token)

    def _bench(self, child: Child, backoff: Backoff) -> None:
        self._arm(child, backoff.retry_benched)
        child.state = "benched"
        told = {"retry": backoff.retry_benched, "failures": child.failures.in_a_row}
        self._tree.emit("child.benched", child.path, child.incarnation, **told)

    def _arm(self, child: Child, delay: float) -> None:
        child.void_timer()
        child.retry_at = self._tree.now() + delay
        due, mailbox = Due(child.path, child.token), self._life.mailbox
        child.timer = self._tree.clock.call_at(child.retry_at, partial(_post, mailbox, due))

    def _revive(self, child: Child) -> None:
        """Take the child's group down in reverse, then up in order, with whoever was terminated, ignored or benched."""
        going = group(self._flags.strategy, self._children.values(), child)
        for one in reversed(going):
            self._take_along(one)
        for one in going:
            if one.spec.restart != "temporary" and not self._start_one(one):
                return

    def _take_along(self, child: Child) -> None:
        child.void_timer()
        if child.is_up:
            take_down(self._tree, child, self._life)
        child.state = "undefined"
        if child.spec.restart == "temporary":
            self._remove(child)

    def _start_one(self, child: Child) -> bool:
        """Start a child again; whether the rest of its group may go on. If not, the next try is posted."""
        child.void_timer()
        child.state = "restarting"
        try:
            ref = bring_up(self._tree, child, self._life)
        except StartError as error:
            log.info("%s: restart failed: %s", str(self), text_of(error))
            self._try_again(child)
            return False
        if ref is None and self.is_pool:
            self._remove(child)
        return True

    def _try_again(self, child: Child) -> None:
        """Have a start that failed counted as a restart, once all that was posted before is done."""
        child.state = "restarting"
        child.retry_at = self._tree.now()
        self._life.mailbox.post(TryAgain(child.path, child.token))

    # Keeping the list.

    def _enter(self, spec: ChildSpec, args: tuple[Any, ...] = ()) -> Child:
        path = self._tree.next_pool_path(self.path) if self.is_pool else f"{self.path}/{spec.id}"
        child = Child(spec, path, self._me, args)
        if self.is_pool:
            child.id = None
        self._tree.put(child, self._life)
        self._children[path] = child
        return child

    def _remove(self, child: Child) -> None:
        child.void_timer()
        del self._children[child.path]
        self._tree.remove(child, for_ever=self.is_pool)

    def _forget_all(self) -> None:
        for child in list(self._children.values()):
            self._remove(child)

    def _stop_children(self) -> None:
        children = list(self._children.values())
        up = [child for child in reversed(children) if child.is_up]
        for child in children:
            child.void_timer()
        if self.is_pool:
            for child in up:
                ask_to_stop(self._tree, child)
        since = REAL.monotonic()
        for child in up:
            if self.is_pool:
                see_off(self._tree, child, self._life, since=since)
            else:
                take_down(self._tree, child, self._life)
