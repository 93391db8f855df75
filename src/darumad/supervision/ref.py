"""Refs: how one speaks to one life of an actor. Whoever wants a place rather than a life takes an `Address`."""

from typing import TYPE_CHECKING, Any

from darumad.supervision.errors import ActorDeadError, MailboxFull, Timeout, WouldDeadlock
from darumad.supervision.life import REAL, current_birth, here, stale
from darumad.supervision.pykka_door import Envelope, PykkaRef
from darumad.supervision.reasons import NORMAL, ExitReason
from darumad.supervision.reply import Reply
from darumad.supervision.signals import Stop
from darumad.supervision.waits import await_end, would_deadlock

if TYPE_CHECKING:
    from darumad.supervision.actor import Actor


class ActorRef(PykkaRef[Any]):
    """One life of an actor. It outlives the life; then `tell` and `ask` raise `ActorDeadError`."""

    def __init__(self, actor: "Actor") -> None:
        super().__init__(actor)
        self._life = actor._life  # noqa: SLF001 - a ref is the other half of its actor
        self._put = self._life.mailbox.put

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        name = f"{self._life.path}#{self._life.incarnation}" if self._life.path else self.actor_urn
        return f"{self.actor_class.__name__} ({name})"

    @property
    def path(self) -> str:
        """The place in the tree, such as `root/a`; empty if nobody supervises the actor."""
        return self._life.path

    @property
    def incarnation(self) -> int:
        """Which life of its path this is, from 1; 0 if nobody supervises the actor."""
        return self._life.incarnation

    def tell(self, message: Any) -> None:
        """Post `message`.

        Raises:
            ActorDeadError: this life is over.
            MailboxFull: its message lane is at its bound.
        """
        sender = here.life
        if sender is not None and sender.fenced and stale(sender):
            return
        if not self._put(Envelope(message)):
            raise ActorDeadError(f"{self} is dead")

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Post `message` and wait for the answer, or get a future of it. It always ends: with the life at the latest.

        Where asks without a timeout wait for each other in a ring, whoever closes it is refused.

        Raises:
            ActorDeadError: this life is over, or ended before it answered.
            MailboxFull: its message lane is at its bound.
            Timeout: `timeout` seconds passed. The message may still be handled.
            WouldDeadlock: the asked one is this thread, or waits for it, perhaps through others.
            Exception: what the handler raised.
        """
        if block and would_deadlock(self._life, limited=timeout is not None):
            raise WouldDeadlock(f"{self} is waiting for this thread")
        birth = current_birth()
        if birth is not None:
            birth.let_go()
        reply = Reply(self._life)
        if block and timeout is None:
            reply.announce()
        try:
            if stale(here.life) or not self._put(Envelope(message, reply_to=reply)):
                reply.refuse(ActorDeadError(f"{self} is dead"))
        except MailboxFull as full:
            reply.refuse(full)
            raise
        return reply.get(timeout=timeout) if block else reply

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End this life after the message in hand, ahead of all that wait; False if it had ended before.

        Raises:
            Timeout: it did not end within `timeout` seconds.
            WouldDeadlock: waiting for it means waiting for this thread. It is only the waiting that is refused: a stop
                that others made part of a ring has been asked for by then.
        """
        if block and (self._stops_the_caller() or would_deadlock(self._life, limited=timeout is not None)):
            raise WouldDeadlock(f"{self} cannot end while this thread waits for it")
        birth = current_birth()
        if birth is not None:
            birth.let_go()
        was_alive = not self._life.ended.is_open
        if was_alive and not stale(here.life):
            self._life.mailbox.post(Stop(self._reason_of_stop()))
        reply = Reply()
        reply.set_get_hook(lambda limit: was_alive and self._await_end(limit))
        return reply.get(timeout=timeout) if block else reply

    def is_alive(self) -> bool:
        """Whether this life has not ended; while its last hook runs it has not, though it takes no more messages."""
        return not self._life.ended.is_open

    def _stops_the_caller(self) -> bool:
        return would_deadlock(self._life)

    def _reason_of_stop(self) -> ExitReason:
        return NORMAL

    def _await_end(self, timeout: float | None) -> bool:
        started = REAL.monotonic()
        if timeout is None:
            await_end(self._life)
        elif not self._life.ended.wait(timeout):
            raise Timeout(f"{timeout} seconds")
        thread = self._life.thread
        if thread is not None and not self._life.fenced:
            left = None if timeout is None else max(0.0, timeout - (REAL.monotonic() - started))
            thread.join(left)
        return True
