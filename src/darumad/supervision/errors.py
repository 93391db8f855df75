"""What can go wrong when one speaks to a tree, sorted by what the caller does about it."""

from typing import TYPE_CHECKING, Final

from darumad.supervision.pykka_door import ActorDeadError, Timeout
from darumad.supervision.reasons import text_of

if TYPE_CHECKING:
    from darumad.supervision.ref import ActorRef

__all__ = [
    "IGNORE",
    "ActorDeadError",
    "AlreadyPresent",
    "AlreadyStarted",
    "FatalError",
    "Ignore",
    "MailboxFull",
    "NotFound",
    "PoolNeedsRef",
    "Restarting",
    "Running",
    "StartError",
    "SupervisionError",
    "SupervisorDead",
    "Timeout",
    "WouldDeadlock",
]


class Ignore:
    """What a child's `start` returns instead of a ref when there is nothing to run. OTP: `ignore`."""

    def __repr__(self) -> str:
        return "IGNORE"


IGNORE: Final = Ignore()


class SupervisionError(Exception):
    """Anything a supervisor answers instead of doing what it was asked."""


class StartError(SupervisionError):
    """A child did not become READY.

    Attributes:
        id: the child's id; None in a pool.
        cause: the exception that its factory or `on_start` raised (`__cause__`, too), or the `ExitReason` with which it
            left while it started.
    """

    def __init__(self, child: str | None, cause: object) -> None:
        super().__init__(f"{child}: {text_of(cause)}")
        self.id = child
        self.cause = cause


class AlreadyStarted(SupervisionError):  # noqa: N818 - OTP's word
    """The id belongs to a child that is up."""

    def __init__(self, ref: "ActorRef | None") -> None:
        super().__init__(str(ref))
        self.ref = ref


class AlreadyPresent(SupervisionError):  # noqa: N818 - OTP's word
    """The id belongs to a child that is not up: it is restarting, or restart it or delete it."""


class NotFound(SupervisionError):  # noqa: N818 - OTP's word
    """No child has this id, or this ref."""


class Running(SupervisionError):  # noqa: N818 - OTP's word
    """The child is up: terminate it first."""


class Restarting(SupervisionError):  # noqa: N818 - OTP's word
    """The child waits for its next start, `retry_after` seconds from now."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.3f} s")
        self.retry_after = retry_after


class SupervisorDead(ActorDeadError):  # noqa: N818 - the contract's word
    """The supervisor that was asked has ended."""


class WouldDeadlock(SupervisionError):  # noqa: N818 - the contract's word
    """Waiting here could never end: the one who is asked waits for the asker, perhaps through others."""


class MailboxFull(SupervisionError):  # noqa: N818 - the contract's word
    """The message lane is at its bound; the message was not taken."""


class PoolNeedsRef(SupervisionError):  # noqa: N818 - the contract's word
    """A pool's children have no ids: name one by its ref."""


class FatalError(Exception):
    """Raise it in an actor to crash at once, whatever is left of its error budget."""
