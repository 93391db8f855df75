"""What travels on the system lane. A supervisor's signals know how to deliver themselves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from darumad.supervision.errors import SupervisorDead
from darumad.supervision.life import Life
from darumad.supervision.pykka_door import Envelope, ThreadingFuture
from darumad.supervision.reasons import ExitReason

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
    """A call of the supervisor's API: run on its thread, answered through `future`."""

    __slots__ = ("future", "run")

    def __init__(self, run: "Callable[[Any], object]") -> None:
        self.run = run
        self.future: ThreadingFuture[Any] = ThreadingFuture()

    def refuse(self) -> None:
        """The supervisor ended first."""
        error = SupervisorDead("the supervisor has ended")
        self.future.set_exception((SupervisorDead, error, None))


class Signal(Protocol):
    """Anything else: it does its work on the actor's thread, outside every guard."""

    def deliver(self, actor: Any) -> None:
        """Act; what this raises breaks the actor."""
