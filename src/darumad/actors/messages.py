"""What the orchestrator is told, beside the ends of work that the bridge reports.

Mailboxes carry hints and answers; no item lives in them alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field

from darumad.bridge import Seat
from darumad.journal.requests import Outcome
from darumad.names import AgentName, Stage
from darumad.supervision import ActorDeadError
from darumad.values import frozen


@frozen
class SlotUp:
    """A role actor's agent is there: its slot can take work."""

    seat: Seat


@frozen
class SlotDown:
    """A life has ended, or its agent is gone.

    `crashed` when our own handler raised: then its item is to blame, not a bystander.
    """

    holder: str
    why: str
    crashed: bool = False


@frozen
class Hint:
    """Work may be ready: so many items of these definitions in these stages, or anywhere when `ready` is None."""

    ready: Mapping[tuple[AgentName, Stage], int] | None = None


@frozen
class Committed:
    """The journal's answers to a batch of the orchestrator's requests."""

    outcomes: Sequence[Outcome]


@frozen
class Reread:
    """Look at the journal again: whatever hint was lost is found now."""


@frozen
class Due:
    """Some scheduled item's time has come."""


@frozen
class Flush:
    """Everything that stood in the mailbox before this has been gathered: decide it as one batch."""


@frozen
class Beat:
    """A sign of life is wanted: `heard` is called where this is handled, and only posts."""

    heard: Callable[[], None] = field(repr=False)


def tell_if_alive(tell: Callable[[object], None], message: object) -> None:
    """Tell a life that may be over: then nobody needs to know, for its successor reads the journal."""
    with suppress(ActorDeadError):
        tell(message)
