"""The hardened actor: Pykka's, with what Pykka lacks - an exit that is reported exactly once, by whatever path."""

import itertools
import logging
import queue
import threading
from types import TracebackType
from typing import Any, Final

from darumad.stacks import begin
from darumad.supervision.error_window import Verdict
from darumad.supervision.life import Life, Phase, answer_dead, current_birth, fail, here, stale
from darumad.supervision.mailbox import UNBOUNDED, Mailbox
from darumad.supervision.pykka_door import ActorRegistry, ActorStop, Envelope, ThreadingActor
from darumad.supervision.reasons import NORMAL, ExitReason, crash, reason_of, text_of
from darumad.supervision.ref import ActorRef
from darumad.supervision.reply import Reply
from darumad.supervision.signals import Down, Stop

log: Final = logging.getLogger("darumad.supervision")

STACK_BYTES: Final = 256 * 1024
"""An actor's stack: its handlers are short and shallow, and there may be thousands."""
_numbers: Final = itertools.count(1)


class Stopped:
    """Pykka's flag, read from the mailbox: whether the actor takes no more messages."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def is_set(self) -> bool:
        """Whether it does not."""
        return self._mailbox.closed


class Actor(ThreadingActor):
    """Subclass it; override the four hooks. Its thread is a daemon's and runs one message at a time.

    `on_stop` runs after an ordinary exit, `on_failure` after a crash; neither after a failed start, a kill, or when
    the thread was abandoned.
    """

    use_daemon_thread = True

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        # Pykka's own constructor makes a random UUID and an event for each actor: a tenth of a start, and nobody asks.
        birth = current_birth()
        mailbox = self._create_actor_inbox()
        self.actor_urn = f"urn:actor:{next(_numbers)}"
        self.actor_inbox = mailbox
        self.actor_stopped = Stopped(mailbox)  # type: ignore[assignment]
        self._life = Life(birth, mailbox)
        if birth is not None:
            birth.lives.append(self._life)
        self._leaving: ExitReason | None = None
        self._actor_ref = self._make_ref()

    def __str__(self) -> str:
        return str(self._actor_ref)

    def _make_ref(self) -> ActorRef:
        return ActorRef(self)

    @property
    def actor_ref(self) -> Any:
        """This life's ref: tell it to batch work, hand it out to be told."""
        return self._actor_ref

    @property
    def path(self) -> str:
        """The place in the tree, such as `root/a`; empty if nobody supervises this actor."""
        return self._life.path

    @property
    def incarnation(self) -> int:
        """Which life of its path this is, from 1; 0 if nobody supervises this actor."""
        return self._life.incarnation

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the actor here and start its thread; the ref. Inside a child's factory it gets the child's identity.

        Raises:
            RuntimeError: the machine has no thread left.
        """
        return cls._spawn(*args, **kwargs)

    @classmethod
    def _spawn(cls, *args: Any, **kwargs: Any) -> Any:
        actor = cls(*args, **kwargs)
        if current_birth() is None:  # a supervised one is found by its tree, and no `stop_all` is to end that
            ActorRegistry.register(actor._actor_ref)
        actor._start_actor_loop()
        return actor._actor_ref

    def exit(self, reason: object) -> None:
        """Leave after this message, for `reason`; in `on_start` it makes the start fail.

        Args:
            reason: an `ExitReason`, "normal", "shutdown", ("shutdown", term), or an exception, which is a crash.
        """
        self._leaving = reason_of(reason)

    def stop(self) -> None:
        """Leave after this message, ahead of all that wait: `exit("normal")`, from any thread."""
        self._life.mailbox.post(Stop(NORMAL))

    def report(self, error: BaseException) -> None:
        """Count an error of this actor's work that no handler raised; from any thread. Dropped once life is over."""
        if self._life.over:
            self._life.emit("stale.dropped", what="report", error=text_of(error))
        elif not stale(here.life) and self._count(error) == "crash":
            self._life.mailbox.post(Stop(crash(error)))

    def succeeded(self) -> None:
        """Say that a piece of work went well: ends the run of consecutive errors. The window forgets nothing."""
        self._life.consecutive_errors = 0

    def _count(self, error: BaseException) -> Verdict:
        """Judge `error`, count it, tell of it; what comes of it, which is a crash where it spends the budget, too."""
        life = self._life
        life.last_error = text_of(error)
        life.consecutive_errors += 1
        if life.errors is None or life.tree is None:
            return "crash"
        errors, now = life.errors, life.tree.now()
        judged = errors.budget.verdict(error)
        count = errors.add(now) if judged == "count" else errors.count(now)
        if judged == "ignore":
            life.consecutive_errors -= 1
        life.emit("child.error", judged=judged, errors_in_window=count, error=life.last_error)
        if judged == "count" and errors.budget.is_spent_by(count):
            life.emit("child.budget_exceeded", errors_in_window=count, error=life.last_error)
            return "crash"
        return judged

    # From here on: Pykka's inside, replaced.

    @staticmethod
    def _create_actor_inbox() -> Any:
        birth = current_birth()
        return Mailbox(UNBOUNDED if birth is None else birth.spec.mailbox)

    @staticmethod
    def _create_future() -> Any:
        return Reply()

    def _start_actor_loop(self) -> None:
        birth = self._life.birth
        if birth is None:
            self._start_thread()
        else:
            birth.hold(self._start_thread)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._actor_loop, name=self._life.path or type(self).__name__, daemon=True)
        self._life.thread, self._life.birth = thread, None
        try:
            begin(thread, STACK_BYTES)
        except BaseException as error:
            self._never_started(error)
            raise

    def _never_started(self, error: BaseException) -> None:
        self._life.thread = None
        self._life.settle(ExitReason("start_failed", error))
        self._close()
        self._finish()

    def _actor_loop(self) -> None:
        here.life = self._life
        try:
            self._live()
        except BaseException as error:  # noqa: BLE001 - the outermost frame: whatever broke, the exit is reported
            if not self._life.fenced:  # a fenced life is not missed: its end has been told
                self._broken(error)
        finally:
            self._finish()

    def _live(self) -> None:
        if not self._begin():
            return
        reason = self._serve_watched()
        self._life.phase = Phase.STOPPING
        self._close()
        if reason is None or self._life.fenced:
            return
        if reason.kind in {"normal", "shutdown"}:
            self._report_exit(self._after_exit(reason))
            return
        self._report_exit(reason)
        if reason.kind == "crash":
            self._after_crash(reason)

    def _begin(self) -> bool:
        """The start of the life; whether it is READY."""
        life = self._life
        if life.fenced:
            return False
        failure: object = None
        try:
            self.on_start()
        except BaseException as error:  # noqa: BLE001 - SystemExit and CancelledError end one actor, never all
            failure = error
        if failure is None and self._leaving is not None:
            failure = self._leaving.detail if self._leaving.kind == "crash" else self._leaving
        if failure is not None:
            life.failure = failure
            life.settle(ExitReason("start_failed", failure))
            self._log_failed_start(failure)
            return False
        life.phase = Phase.RUNNING
        if not life.fenced:
            life.ready.open()
        return not life.fenced

    def _log_failed_start(self, failure: object) -> None:
        log.info("%s: start failed: %s", str(self), text_of(failure))

    def _serve_watched(self) -> ExitReason | None:
        """Serve under the prober's eye: `on_start` and `on_stop` have limits of their own."""
        life, tree = self._life, self._life.tree
        if tree is None:
            return self._serve()
        tree.watch(life)
        try:
            return self._serve()
        finally:
            tree.unwatch(life)

    def _serve(self) -> ExitReason | None:
        """Handle what comes until somebody says leave; None once fenced."""
        get, handle, life = self._life.mailbox.get, self._handle, self._life
        while True:
            item = get()
            if type(item) is Envelope:
                life.in_hand = item
                if life.fenced:  # the fence fell while the message was taken: nobody may begin it
                    self._drop(item)
                    return None
                handle(item)
                life.in_hand = None
            elif item is None:
                return None
            else:
                self._on_signal(item)
            item = None
            if self._leaving is not None:
                return self._leaving

    def _drop(self, envelope: Envelope[Any]) -> None:
        if envelope.reply_to is None:
            self._life.dead_letter(envelope.message)
        else:
            answer_dead(envelope, self._life)

    def _handle(self, envelope: Envelope[Any]) -> None:
        reply_to = envelope.reply_to
        try:
            answer = self._handle_receive(envelope.message)
        except BaseException as error:  # noqa: BLE001 - SystemExit and CancelledError end one actor, never all
            self._failed(envelope, error)
        else:
            if reply_to is not None:
                _answer(envelope, answer)

    def _handle_receive(self, message: Any) -> Any:
        if isinstance(message, ActorStop):
            return self.exit(NORMAL)
        return super()._handle_receive(message)

    def _failed(self, envelope: Envelope[Any], error: BaseException) -> None:
        if not self._life.over and self._count(error) == "crash":
            self._leaving = crash(error)
        if self._leaving is not None and self._leaving.detail is error:
            log.warning("%s: crashed", str(self), exc_info=(type(error), error, _from_the_handler(error)))
        fail(envelope, error)

    def _on_signal(self, signal: Any) -> None:
        if isinstance(signal, Stop):
            self._leaving = signal.reason
        else:
            signal.deliver(self)

    def _after_crash(self, reason: ExitReason) -> None:
        error = reason.detail if isinstance(reason.detail, BaseException) else None
        try:
            self.on_failure(type(error) if error is not None else None, error, error.__traceback__ if error else None)
        except BaseException:
            log.exception("%s: on_failure raised", str(self))

    def _after_exit(self, reason: ExitReason) -> ExitReason:
        """Run `on_stop`; the reason, which is a crash if that raised. OTP: `terminate/2`."""
        try:
            self.on_stop()
        except BaseException as error:
            if not self._life.fenced:
                log.exception("%s: on_stop raised", str(self))
            return crash(error)
        return reason

    def _broken(self, error: BaseException) -> None:
        """Something outside every guard raised."""
        log.critical("%s: broken", str(self), exc_info=error)
        self._life.phase = Phase.STOPPING
        self._close()
        self._report_exit(crash(error))

    def _close(self) -> None:
        self._life.bury()

    def _report_exit(self, reason: ExitReason) -> None:
        parent = self._life.parent
        if self._life.settle(reason) and parent is not None:
            parent.mailbox.post(Down(self._life))

    def _finish(self) -> None:
        """The last words of every life, however it ended."""
        ActorRegistry.unregister(self._actor_ref)
        self._close()
        self._life.in_hand = None
        if not self._life.over:
            self._report_exit(ExitReason("crash"))
        self._life.ready.open()
        self._life.end()
        here.life = None

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """What is done after a crash, which has been reported by then: the supervisor's shutdown time runs."""


def _from_the_handler(error: BaseException) -> TracebackType | None:
    """The traceback from the actor's own code on: the way there never differs, and is half of what a crash costs."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename in _THE_WAY_THERE:
        at = at.tb_next
    return at or error.__traceback__


_THE_WAY_THERE: Final = {method.__code__.co_filename for method in (Actor._handle, ThreadingActor._handle_receive)}  # noqa: SLF001 - its base and itself


def _answer(envelope: Envelope[Any], value: object) -> None:
    assert envelope.reply_to is not None
    try:
        envelope.reply_to.set(value)
    except queue.Full:
        log.debug("late answer dropped")
