"""A place in the tree: it survives the lives that hold it, and the restarts of the supervisors above."""

from typing import TYPE_CHECKING, Any

from darumad.supervision.child import Child
from darumad.supervision.errors import ActorDeadError, Restarting
from darumad.supervision.life import here, stale
from darumad.supervision.pykka_door import Envelope

if TYPE_CHECKING:
    from darumad.supervision.tree import Tree


class Address:
    """Where `path` is, whoever holds it now. Made by `SupervisorRef.address`."""

    def __init__(self, tree: "Tree", path: str, above: tuple[str, ...]) -> None:
        self._tree = tree
        self._above = above
        self.path = path

    def __repr__(self) -> str:
        return f"<Address {self.path}>"

    @property
    def incarnation(self) -> int:
        """Which life of the path is the newest; 0 if the place is gone."""
        child = self._tree.get(self.path)
        return 0 if child is None else child.incarnation

    def tell(self, message: object) -> None:
        """Post `message` to whoever holds the place; a `dead_letter` if nobody does.

        Raises:
            MailboxFull: its message lane is at its bound.
        """
        if stale(here.life):
            return
        child = self._tree.get(self.path)
        life = child.life if child is not None else None
        if life is None or not life.mailbox.put(Envelope(message)):
            self._tree.emit("dead_letter", self.path, self.incarnation, message=type(message).__name__)

    def ask(self, message: object, *, within: float) -> Any:
        """Post `message` and wait for the answer. Only ever down the tree.

        Args:
            message: whatever the holder understands.
            within: seconds to wait.

        Raises:
            Restarting: the place waits for its next start; `retry_after` says how long.
            ActorDeadError: nobody holds the place, or its holder ended before it answered.
            Timeout: `within` passed. The message may still be handled.
            WouldDeadlock: the holder waits for this thread.
            Exception: what the handler raised.
        """
        child = self._tree.get(self.path)
        if child is None:
            raise self._who_is_away()
        ref = child.ref
        if ref is None:
            raise self._away(child)
        return ref.ask(message, timeout=within)

    def _who_is_away(self) -> Exception:
        """The place is gone; perhaps only until a supervisor above is back."""
        for path in self._above:
            child = self._tree.get(path)
            if child is not None:
                return self._away(child)
        return ActorDeadError(f"{self.path} is gone")

    def _away(self, child: Child) -> Exception:
        if child.state in {"restarting", "benched", "starting"}:
            return Restarting(max(0.0, child.retry_at - self._tree.now()))
        return ActorDeadError(f"{self.path} is not running")
