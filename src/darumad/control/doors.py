"""A door as an actor: opens when its place in the tree starts, closes when it stops; one that falls is put up again."""

from contextlib import suppress

from darumad.control.server import ControlServer, Door, DoorName, Listening
from darumad.supervision import Actor, ActorDeadError

_CLOSE_WITHIN = 5.0


class DoorFell(Exception):  # noqa: N818 - it reads as what happened
    """The door does not serve any more, though nobody closed it."""


class DoorActor(Actor):
    """Serves one app on a dup of a listening socket that outlives it."""

    def __init__(self, server: ControlServer, name: DoorName, listening: Listening) -> None:
        super().__init__()
        self._server = server
        self._name: DoorName = name
        self._listening = listening
        self._door: Door | None = None

    def on_start(self) -> None:
        """Open; the start of this place fails when the door does not open."""
        self._door = self._open()

    def on_receive(self, message: object) -> None:
        """Told that its door does not serve any more: open the one that moves, and let this life end for any other.

        Its supervisor then puts up another.
        """
        if self._door is None or not self._door.moves:
            raise DoorFell(f"the door {self._name} fell: {message}")
        self._door = self._open()

    def on_stop(self) -> None:
        """Close; who is in may finish."""
        if self._door is not None:
            self._door.close(_CLOSE_WITHIN)

    def _open(self) -> Door:
        door = self._server.open(self._name, self._listening)
        door.when_fallen(self._tell_of_the_fall)
        return door

    def _tell_of_the_fall(self, why: str) -> None:
        with suppress(ActorDeadError):  # this life closed its door itself
            self.actor_ref.tell(why)
