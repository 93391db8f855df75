"""The ways into the daemon: its listening sockets, and the doors of the tree that serve them."""

import functools
import grp
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from darumad.control import ControlServer, ControlSocket, adopted, open_control_socket, open_metrics_socket
from darumad.control.doors import DoorActor
from darumad.control.sockets import take_over
from darumad.errors import Refused
from darumad.events import DaemonSocketBound, Fact
from darumad.logs import logger
from darumad.settings import Settings
from darumad.supervision import ChildSpec
from darumad.values import Value

if TYPE_CHECKING:
    import socket

    from darumad.control.server import DoorName, Listening

log = logger(__name__)


class Entrances(Value):
    """Where the daemon listens: its control socket, and the metrics' if there is one."""

    control: ControlSocket
    metrics: "socket.socket | None"


def sockets(settings: Settings, stack: ExitStack) -> Entrances:
    """The listening sockets, bound here or handed over by systemd. The guardian owns them; doors serve dups.

    Raises:
        Refused: a socket cannot be had.
    """
    passed = adopted(os.environ, os.getpid())
    named = passed.get("control") or next(iter(passed.values()), None)
    if named is not None:
        control = take_over(named)
    else:
        control = open_control_socket(settings.control.socket, group=_group(settings.control.group))
    stack.callback(control.close)
    if not settings.metrics.listen:
        return Entrances(control, None)
    metrics = open_metrics_socket(settings.metrics.listen)
    stack.callback(metrics.close)
    return Entrances(control, metrics)


def _group(name: str | None) -> int | None:
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Refused(f"control.group is {name}, and this machine has no such group", code="bad_settings") from None


def doors(server: ControlServer, entrances: Entrances) -> list[ChildSpec]:
    """A child spec for each door."""
    listening: dict[DoorName, Listening] = {"control-socket": entrances.control}
    if entrances.metrics is not None:
        listening["metrics"] = entrances.metrics
    return [
        ChildSpec(id=name, start=functools.partial(DoorActor.start, server, name, each), shutdown=10.0)
        for name, each in listening.items()
    ]


class Doorkeeper:
    """Sees to it that the control socket can be reached: a file that somebody took away is bound again.

    `note` records a fact.
    """

    def __init__(self, control: ControlSocket, server: ControlServer, note: Callable[[Fact], None]) -> None:
        self._control = control
        self._server = server
        self._note = note
        self._told = ""

    def look(self) -> None:
        """Have the door put up anew where its file is gone; what keeps it from that is logged once."""
        if self._control.in_place:
            return
        try:
            self._control.bind_again()
        except Refused as error:
            if error.message != self._told:
                log.warning("socket_lost", path=str(self._control.path), why=error.message)
            self._told = error.message
            return
        self._told = ""
        self._server.move("control-socket")
        self._note(DaemonSocketBound("daemon", str(self._control.path)))
