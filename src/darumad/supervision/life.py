"""One life of an actor, as seen from outside its thread: who it is, what it holds, and how it ended.

A life ends once: its own thread or whoever fences it settles the reason, and the first of them wins. It is fenced at
most once, and its exit is told at most once.
"""

import queue
import threading
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any

from darumad.clock import SystemClock
from darumad.supervision.error_window import ErrorBudget, ErrorWindow
from darumad.supervision.errors import ActorDeadError
from darumad.supervision.latch import Latch
from darumad.supervision.mailbox import Mailbox
from darumad.supervision.pykka_door import Envelope
from darumad.supervision.reasons import ExitReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from darumad.supervision.signals import Call
    from darumad.supervision.spec import ChildSpec
    from darumad.supervision.tree import Tree
    from darumad.supervision.waits import Wait

REAL = SystemClock()
"""READY, stop, join and liveness run on real time, whatever clock the tree has."""


class Phase(Enum):
    """Where in its life an actor is; it may wait for its ancestors only while it is RUNNING."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Life:
    """Shared by the actor, its refs and its supervisor. Only the actor's thread moves `phase`, `in_hand`, `waiting`."""

    __slots__ = (
        "__weakref__",
        "_settling",
        "_told",
        "_until_ended",
        "answering",
        "birth",
        "consecutive_errors",
        "ended",
        "errors",
        "failure",
        "fenced",
        "in_hand",
        "incarnation",
        "last_error",
        "mailbox",
        "parent",
        "path",
        "phase",
        "ready",
        "reason",
        "reported_at",
        "spec",
        "thread",
        "tree",
        "waiting",
    )

    def __init__(self, birth: "Birth | None", mailbox: Mailbox) -> None:
        self.birth = birth
        self.mailbox = mailbox
        self.tree: Tree | None = birth.tree if birth else None
        self.path = birth.path if birth else ""
        self.incarnation = birth.incarnation if birth else 0
        self.parent: Life | None = birth.parent if birth else None
        self.spec: ChildSpec | None = birth.spec if birth else None
        self.errors = LockedWindow.of(self.spec)
        self.phase = Phase.STARTING
        self.in_hand: Envelope[Any] | None = None
        self.fenced = False
        self.thread: threading.Thread | None = None
        self.ready = Latch()
        self.failure: object = None
        self.ended = Latch()
        self.reason: ExitReason | None = None
        self.reported_at = 0.0
        self.last_error = ""
        self.consecutive_errors = 0
        self.answering: Call | None = None
        self.waiting: Wait | None = None
        self._told = False
        self._until_ended: tuple[Latch, ...] = ()
        self._settling = threading.Lock()

    def disown(self) -> None:
        """Nobody supervises this one: it was started by a factory that returned another."""
        self.path, self.incarnation = "", 0
        self.tree = self.parent = self.spec = self.errors = None

    def settle(self, reason: ExitReason) -> bool:
        """Give the life its exit reason, unless it has one."""
        with self._settling:
            if self.reason is not None:
                return False
            self.reason = reason
            self.reported_at = REAL.monotonic()
            return True

    def fence(self, reason: ExitReason) -> bool:
        """End the life though its thread may run on; whether it was not fenced before.

        The fence stands before the message in hand is looked at, and the actor's thread looks at the fence after it
        took a message in hand: one of the two sees the other.
        """
        with self._settling:
            if self.fenced:
                return False
            self.fenced = True
        self.settle(reason)
        held, answering = self.in_hand, self.answering
        self.bury()
        if held is not None:
            answer_dead(held, self)
        if answering is not None:
            answering.refuse()
        self.ready.open()
        self.end()
        return True

    def end(self) -> None:
        """Let go whoever waits for the end. Safe to call twice."""
        self.ended.open()
        for latch in self._until_ended:
            latch.open()

    def opens_at_end(self, latch: Latch) -> None:
        """Open `latch`, too, when the life ends; at once, if it has."""
        with self._settling:
            self._until_ended = (*self._until_ended, latch)
        if self.ended.is_open:
            latch.open()

    def tell_once(self) -> bool:
        """Whether the exit of this life is still to be told; from now on it is not."""
        with self._settling:
            told, self._told = self._told, True
            return not told

    def bury(self) -> None:
        """Close the mailbox: what waits in it becomes dead letters, and who waits for an answer is told."""
        signals, messages = self.mailbox.close()
        for envelope in messages:
            if envelope.reply_to is None:
                self.dead_letter(envelope.message)
            else:
                answer_dead(envelope, self)
        for signal in signals:
            refuse = getattr(signal, "refuse", None)
            if refuse is not None:
                refuse()

    def dead_letter(self, message: object) -> None:
        """Say that `message` was taken and will not be handled."""
        self.emit("dead_letter", message=type(message).__name__)

    def emit(self, name: str, **data: object) -> None:
        """An event about this life; nothing if it belongs to no tree."""
        if self.tree is not None:
            self.tree.emit(name, self.path, self.incarnation, **data)

    def is_above(self, other: "Life") -> bool:
        """Whether this life is an ancestor of `other`."""
        at = other.parent
        while at is not None:
            if at is self:
                return True
            at = at.parent
        return False

    @property
    def over(self) -> bool:
        """Whether the life has its exit reason."""
        return self.reason is not None


class LockedWindow:
    """The error window of one life, for many threads."""

    __slots__ = ("_lock", "_window", "budget")

    def __init__(self, budget: ErrorBudget) -> None:
        self.budget = budget
        self._window = ErrorWindow(budget)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, spec: "ChildSpec | None") -> "LockedWindow | None":
        """The empty window of a new life; None without a budget."""
        return None if spec is None or spec.error_budget is None else cls(spec.error_budget)

    def add(self, now: float) -> int:
        """Count an error; how many errors are in the window then."""
        with self._lock:
            return self._window.add(now)

    def count(self, now: float) -> int:
        """How many errors are in the window."""
        with self._lock:
            return self._window.count(now)


class _Here(threading.local):
    """Whose thread this is."""

    life: Life | None = None


here = _Here()


def stale(me: Life | None) -> bool:
    """Whether this thread belongs to a life that is over and fenced; says so. What it sends is to be dropped."""
    if me is None or not me.fenced:
        return False
    me.emit("stale.dropped", what="message")
    return True


def answer_dead(envelope: Envelope[Any], life: Life) -> None:
    """Tell an asker that nobody will answer; harmless if it has its answer, or nobody asked."""
    fail(envelope, ActorDeadError(f"{life.path or 'actor'} ended before it handled the message"))


def fail(envelope: Envelope[Any], error: BaseException) -> None:
    """Answer an asker with `error`; harmless if it has its answer, or nobody asked."""
    if envelope.reply_to is None:
        return
    try:
        envelope.reply_to.set_exception((type(error), error, error.__traceback__))
    except queue.Full:
        return


class Birth:
    """What a supervisor sets around a child's factory, and every actor made inside it reads."""

    def __init__(self, tree: "Tree", path: str, incarnation: int, parent: Life | None, spec: "ChildSpec") -> None:
        self.tree = tree
        self.path = path
        self.incarnation = incarnation
        self.parent = parent
        self.spec = spec
        self.lives: list[Life] = []
        self._held: list[Callable[[], None]] = []

    def call(self, factory: "Callable[..., Any]", args: "Iterable[Any]") -> Any:
        """Run the factory; the threads of what it starts are held until it is known whose identity this is."""
        token = _birth.set(self)
        try:
            return factory(*args)
        finally:
            _birth.reset(token)

    def hold(self, start_thread: "Callable[[], None]") -> None:
        """Take what starts an actor's thread, to be called once the factory has returned, or waits for an answer."""
        self._held.append(start_thread)

    def let_go(self) -> None:
        """Start the threads held so far.

        Raises:
            RuntimeError: the machine has no thread left.
        """
        held, self._held = self._held, []
        for start_thread in held:
            start_thread()

    def settle(self, owner: Life | None) -> None:
        """Give the identity to `owner`, take it from all others, and start the threads.

        Raises:
            RuntimeError: the machine has no thread left.
        """
        for life in self.lives:
            if life is not owner:
                life.disown()
        self.let_go()


_birth: ContextVar[Birth | None] = ContextVar("birth", default=None)


def current_birth() -> Birth | None:
    """The birth that this thread's factory call belongs to."""
    return _birth.get()
