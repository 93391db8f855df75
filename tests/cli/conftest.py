import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.control.conftest import client, room, served
from tests.control.room import Served

__all__ = ["client", "room", "served"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(served: Served) -> Run:
    """Runs `daruma` as a program, against the served room."""

    def run(*argv: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "darumad", *argv]
        environ = {"DARUMA_SOCKET": str(served.path), "PATH": "/usr/bin:/bin", "HOME": str(served.room.directory)}
        more = {"env": environ, **more}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)

    return run
