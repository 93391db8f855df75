"""The ways into the daemon: its listening sockets, and the doors of the tree that serve them."""

import functools
import grp
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from darumad.control import ControlServer, ControlSocket, MetricsSocket, adopted, open_control_socket
from darumad.control.doors import DoorActor
from darumad.control.sockets import take_over
from darumad.errors import Refused, Unavailable
from darumad.events import DaemonSocketBound, Fact
from darumad.logs import logger
from darumad.settings import Settings
from darumad.supervision import ChildSpec
from darumad.values import Value

if TYPE_CHECKING:
    from darumad.control.server import DoorName

log = logger(__name__)


class Entrances(Value):
    """Where the daemon listens: its control socket, and the metrics' if there is one."""

    control: ControlSocket
    metrics: MetricsSocket | None


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
    metrics = MetricsSocket(settings.metrics.listen)
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
    return [
        ChildSpec(id=name, start=functools.partial(DoorActor.start, server, name, each), shutdown=10.0)
        for name, each in _named(entrances).items()
    ]


def _named(entrances: Entrances) -> "Mapping[DoorName, ControlSocket | MetricsSocket]":
    """What listens, by the name of its door."""
    control: dict[DoorName, ControlSocket | MetricsSocket] = {"control-socket": entrances.control}
    return control if entrances.metrics is None else {**control, "metrics": entrances.metrics}


class Doorkeeper:
    """Sees to it that the daemon can be reached: what does not listen where it should is bound again.

    The control socket's file may have been taken away, and another program may have had the metrics' port. `note`
    records a fact.
    """

    def __init__(self, entrances: Entrances, server: ControlServer, note: Callable[[Fact], None]) -> None:
        self._entrances = _named(entrances)
        self._server = server
        self._note = note
        self._told: dict[DoorName, str] = {}

    def look(self) -> None:
        """Have each door put up anew that nobody can come to; what keeps it from that is logged once."""
        for name, entrance in self._entrances.items():
            if not entrance.in_place:
                self._bind(name, entrance)

    def _bind(self, name: "DoorName", entrance: ControlSocket | MetricsSocket) -> None:
        try:
            entrance.bind_again()
        except (Refused, Unavailable) as error:
            if error.message != self._told.get(name):
                log.warning("socket_lost", path=str(entrance.path), why=error.message)
            self._told[name] = error.message
            return
        self._told.pop(name, None)
        self._server.move(name)
        self._note(DaemonSocketBound("daemon", str(entrance.path)))
