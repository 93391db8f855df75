"""The nursery: a process that has imported the whole house once, and forks one daemon for each life of a campaign.

A daemon that is born here differs from one that was started in two things: it need not import anything, which lets a
campaign kill ten times as often; and it fails where it is ordered to. Once it says `ready` it reads orders from its
input, one JSON object a line, and answers each with two lines: the daemon's pid, and when it has ended, how.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.crash import failpoints

failpoints.install()

import anthropic  # noqa: E402, F401 - loaded on the first call otherwise, in each life anew

import darumad.agents.providers.anthropic  # noqa: E402 - the same
import darumad.daemon  # noqa: E402, F401 - the same
from darumad.cli import main as daruma  # noqa: E402 - after the points were installed


def live(order: dict[str, Any], log: Path, told: Path) -> int:
    """Be a daemon, to its end; its exit code."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(descriptor, 1)
    if order.get("point"):
        notes = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        failpoints.arm(failpoints.Order(order["point"], order["nth"], order["deed"], notes))
    return daruma(["serve", "--config", order["config"]])


def main(log: Path, told: Path) -> None:
    """See the module."""
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = live(json.loads(line), log, told)
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
