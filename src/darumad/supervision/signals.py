"""What travels on the system lane. A supervisor's signals know how to deliver themselves."""

import queue
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from darumad.supervision.errors import SupervisorDead
from darumad.supervision.life import Life
from darumad.supervision.pykka_door import Envelope
from darumad.supervision.reasons import ExitReason
from darumad.supervision.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave after the message in hand, for this reason."""

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Down:
    """A child's life is over; its reason stands in it."""

    life: Life


@dataclass(frozen=True, slots=True)
class Unresponsive:
    """A child has had this message in hand for too long; what its thread was doing."""

    life: Life
    in_hand: Envelope[Any]
    seconds: float
    stack: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """A restart failed: the next try. Posted, never looped, so that a stop gets in between."""

    path: str
    token: int


@dataclass(frozen=True, slots=True)
class Due:
    """A child's backoff or bench is over."""

    path: str
    token: int


@dataclass(frozen=True, slots=True)
class LeakCap:
    """Too many abandoned threads live under this root."""

    count: int


class Call:
    """A call of the supervisor's API: run on its thread, answered through `reply`."""

    __slots__ = ("reply", "run")

    def __init__(self, run: "Callable[[Any], object]", asked: Life | None = None) -> None:
        self.run = run
        self.reply = Reply(asked)

    def answer(self, value: object) -> None:
        """Hand back what the call found."""
        with suppress(queue.Full):  # refused, for the supervisor was fenced meanwhile
            self.reply.set(value)

    def fail(self, error: BaseException) -> None:
        """Hand back why the call was not done."""
        self.reply.refuse(error)

    def refuse(self) -> None:
        """The supervisor ended first."""
        self.fail(SupervisorDead("the supervisor has ended"))


class Signal(Protocol):
    """Anything else: it does its work on the actor's thread, outside every guard."""

    def deliver(self, actor: Any) -> None:
        """Act; what this raises breaks the actor."""
