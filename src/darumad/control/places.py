"""Places: where the control socket is, found without reading a setting. Standard library only."""

import os
from collections.abc import Mapping
from pathlib import Path

LONGEST_PATH = 107
"""Bytes that the kernel takes for the path of a Unix socket."""
_SYSTEM = Path("/run/daruma/control.sock")


def socket_path(environ: Mapping[str, str], *, root: bool | None = None, system: Path = _SYSTEM) -> Path:
    """The control socket to try: the one named outright, else by the daemon's setting, else the default place.

    Who is not root has a place of their own; where nothing is there, the `system`'s daemon is meant if there is one.
    """
    named = environ.get("DARUMA_SOCKET") or environ.get("DARUMA_CONTROL__SOCKET")
    if named:
        return Path(named).expanduser()
    if os.geteuid() == 0 if root is None else root:
        return system
    own = _user_place(environ) / "daruma" / "control.sock"
    return system if _is_there(system) and not _is_there(own) else own


def _is_there(place: Path) -> bool:
    """Whether there is something; where nobody may look there is, and dialling it says that one may not."""
    try:
        return place.exists()
    except PermissionError:
        return True


def _user_place(environ: Mapping[str, str]) -> Path:
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime)
    home = Path(environ.get("HOME") or Path.home())
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
