"""The ways into the daemon: its listening sockets, and the doors of the tree that serve them."""

import functools
import grp
import os
from contextlib import ExitStack
from typing import Any

from darumad.control import ControlServer, ControlSocket, adopted, open_control_socket, open_metrics_socket
from darumad.control.doors import DoorActor
from darumad.control.sockets import take_over
from darumad.errors import Refused
from darumad.settings import Settings
from darumad.supervision import ChildSpec


def sockets(settings: Settings, stack: ExitStack) -> dict[str, ControlSocket | Any]:
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
    opened: dict[str, Any] = {"control-socket": control.listening}
    if settings.metrics.listen:
        opened["metrics"] = open_metrics_socket(settings.metrics.listen)
        stack.callback(opened["metrics"].close)
    return opened


def _group(name: str | None) -> int | None:
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise Refused(f"control.group is {name}, and this machine has no such group", code="bad_settings") from None


def doors(server: ControlServer, listening: dict[str, Any]) -> list[ChildSpec]:
    """A child spec for each door."""
    return [
        ChildSpec(id=name, start=functools.partial(DoorActor.start, server, name, each), shutdown=10.0)
        for name, each in listening.items()
    ]
