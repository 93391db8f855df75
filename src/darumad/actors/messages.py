"""The messages of the orchestrator, but for the ends of stages, which are the bridge's.

Mailboxes carry hints and answers only: no item would be lost with one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from darumad.actors.barred import Barred
from darumad.bridge import Seat
from darumad.journal.requests import Outcome
from darumad.names import AgentName, Stage
from darumad.supervision import ActorDeadError
from darumad.values import Value


class SlotUp(Value):
    """A role actor's agent is there, made of this state of its template if it has one: its slot can take work."""

    seat: Seat
    resources_version: str | None = None


class SlotDown(Value):
    """A role actor's life has ended, or its agent is gone. The item that its slot holds is not to blame for that."""

    holder: str
    why: str


class Hint(Value):
    """Work may be ready: so many items of these definitions in these stages, or anywhere when `ready` is None."""

    ready: Mapping[tuple[AgentName, Stage], int] | None = None


class Restarted(Value):
    """An operator had instances of these agents restarted: what their templates did before is forgotten."""

    agents: frozenset[AgentName]


class LeftBehind(Value):
    """A template left a call behind with the loop, which held it until it was replaced; no item is to blame."""

    agent: AgentName


class Committed(Value):
    """The journal's answers to a batch of the orchestrator's requests."""

    outcomes: Sequence[Outcome]


class Reread(Value):
    """Look at the journal again: whatever hint was lost is found now."""


class Due(Value):
    """Some scheduled item's time has come."""


class Flush(Value):
    """Everything that stood in the mailbox before this has been gathered: decide it as one batch."""


class Beat(Value):
    """A sign of life is wanted: `heard` is called where this is handled, and only posts."""

    heard: Callable[[], None]


class Claiming(Value):
    """How the orchestrator claims: whose items it does not, and how many items it has claimed in its life."""

    barred: Barred
    claimed: int


class HowClaiming(Value):
    """Somebody wants to know; `heard` is called where this is handled, and only keeps what it hears."""

    heard: Callable[[Claiming], None]


def tell_if_alive(tell: Callable[[object], None], message: object) -> None:
    """Tell a life that may be over: then nobody needs to know, for its successor reads the journal."""
    with suppress(ActorDeadError):
        tell(message)
