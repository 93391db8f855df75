"""Control: everything that is asked of the daemon from outside, one table of operations and the doors to it.

Nothing here asks an actor: answers come from the journal, from tables and from counters, so that they come when
every actor is wedged. The command line imports `client` from this room, so its front door is lazy and costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darumad.control.client import Client
    from darumad.control.counting import SignalCounter
    from darumad.control.daemon import Daemon
    from darumad.control.metrics_table import BUCKETS
    from darumad.control.server import ControlServer
    from darumad.control.sockets import ControlSocket, MetricsSocket, adopted, open_control_socket

__all__ = [
    "BUCKETS",
    "Client",
    "ControlServer",
    "ControlSocket",
    "Daemon",
    "MetricsSocket",
    "SignalCounter",
    "adopted",
    "open_control_socket",
]

_ROOMS = {
    "BUCKETS": "metrics_table",
    "Client": "client",
    "ControlServer": "server",
    "ControlSocket": "sockets",
    "Daemon": "daemon",
    "MetricsSocket": "sockets",
    "SignalCounter": "counting",
    "adopted": "sockets",
    "open_control_socket": "sockets",
}


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported when it is first asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
