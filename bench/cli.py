"""The cold start of a command: what a person waits for, beside a Python that does nothing.

The best of several starts: what is above it is the machine's other work, not the command's.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

DARUMA = os.fspath(Path(sys.executable).with_name("daruma"))
STARTS = 15
GOALS = {"daruma --help": 0.100, "daruma status": 0.150}
"""Seconds."""


def row() -> bool:
    """Measure against a daemon that runs, print, and say whether the goals were met."""
    with tempfile.TemporaryDirectory(prefix="daruma-") as home:
        environ = {
            **os.environ,
            "DARUMA_STATE_DIR": f"{home}/state",
            "DARUMA_CONTROL__SOCKET": f"{home}/control.sock",
            "DARUMA_PROVIDER__USE": "offline",
        }
        daemon = subprocess.Popen([DARUMA, "serve"], env=environ, stderr=subprocess.DEVNULL)
        try:
            subprocess.run([DARUMA, "health", "--within", "30s"], env=environ, check=True, stdout=subprocess.DEVNULL)
            floor = _best([sys.executable, "-c", "pass"], environ)
            took = {name: _best([DARUMA, *name.split()[1:]], environ) for name in GOALS}
        finally:
            daemon.terminate()
            daemon.wait()
    for name, seconds in took.items():
        print(
            f"cli: {name}: {seconds * 1000:.0f} ms (goal {GOALS[name] * 1000:.0f} ms; {seconds / floor:.1f} x "
            f"`python -c pass`, {floor * 1000:.0f} ms)"
        )
    return all(seconds <= GOALS[name] for name, seconds in took.items())


def _best(command: Sequence[str], environ: Mapping[str, str]) -> float:
    return min(_once(command, environ) for _ in range(STARTS))


def _once(command: Sequence[str], environ: Mapping[str, str]) -> float:
    begins = time.perf_counter()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begins
