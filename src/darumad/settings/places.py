"""Places: where a daemon keeps things when nobody says otherwise.

systemd's word wins; root has the system's places, and so has the system's daemon; anyone else their own (XDG base
directories).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from darumad.values import Value

_SYSTEM_STATE = Path("/var/lib/daruma")


class Places(Value, kw_only=True):
    """The default places. `credentials` is where systemd laid the keys, if it did; `logs` likewise."""

    settings_file: Path
    state: Path
    socket: Path
    logs: Path | None = None
    credentials: Path | None = None


def places(environ: Mapping[str, str], *, root: bool | None = None) -> Places:
    """The places for who runs this, or for root if `root` says so.

    systemd hands several directories as `a:b`; the first is ours.
    """
    plain = _of_system() if (_is_system_user() if root is None else root) else _of_user(environ)
    runtime, configuration = _given(environ, "RUNTIME_DIRECTORY"), _given(environ, "CONFIGURATION_DIRECTORY")
    return Places(
        settings_file=configuration / plain.settings_file.name if configuration else plain.settings_file,
        state=_given(environ, "STATE_DIRECTORY") or plain.state,
        socket=runtime / "control.sock" if runtime else plain.socket,
        logs=_given(environ, "LOGS_DIRECTORY"),
        credentials=_given(environ, "CREDENTIALS_DIRECTORY"),
    )


def _is_system_user() -> bool:
    """Whether root runs this, or whom the system's state directory belongs to: that is its daemon's user."""
    if os.geteuid() == 0:
        return True
    try:
        return _SYSTEM_STATE.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _of_system() -> Places:
    return Places(
        settings_file=Path("/etc/daruma/daruma.yaml"),
        state=_SYSTEM_STATE,
        socket=Path("/run/daruma/control.sock"),
    )


def _of_user(environ: Mapping[str, str]) -> Places:
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "daruma"
    runtime = environ.get("XDG_RUNTIME_DIR")
    return Places(
        settings_file=config / "daruma" / "daruma.yaml",
        state=state,
        socket=Path(runtime, "daruma", "control.sock") if runtime else state / "control.sock",
    )


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    first = environ.get(name, "").split(":", 1)[0]
    return Path(first) if first else None
