"""What a line of the log costs whoever logs it, in CPU: it is rendered there, and written by a thread of its own."""

import os
import subprocess
import sys
import time

from bench.yardstick import speed
from darumad.clock import SystemClock
from darumad.logs import configure, logger

LINES, ROUNDS = 400, 20
"""Lines in a row, which the outlet's queue holds at once."""
WRITTEN_WITHIN = 0.03
"""Seconds from one round to the next, in which the outlet writes what waits."""
GOAL = 12.0
"""Microseconds a line."""


class Settings:
    """What ships: JSON, from `info` on."""

    level, format, file = "info", "json", None


def row() -> bool:
    """Measure, print, and say whether the goal was met."""
    measure = "from bench.logs import measured; print(measured())"
    ran = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True)
    took, goal = float(ran.stdout), GOAL / speed()
    print(f"logs: a line takes {took:.1f} us of its caller's CPU (goal {GOAL:.0f}, at this machine's speed {goal:.0f})")
    return took <= goal


def measured() -> float:
    """Microseconds a line, of the best round. It configures the logs of this process."""
    logs = configure(Settings(), clock=SystemClock(), environ={}, descriptor=os.open(os.devnull, os.O_WRONLY))
    best = min(_round() for _ in range(ROUNDS))
    logs.close()
    return best / LINES * 1e6


def _round() -> float:
    time.sleep(WRITTEN_WITHIN)
    log = logger("actors.orchestrator")
    began = time.thread_time()
    for _ in range(LINES):
        log.info("item_ended", item_id="0190b7c1-7a6f-7e10-8f2a-1234567890ab", agent="executor", attempt=1, took=12)
    return time.thread_time() - began
