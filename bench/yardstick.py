"""How fast this machine is beside the one that the goals were set on, so that a goal can be told for any machine.

The yardstick is the CPU time that the import of a vendor's SDK takes: 3,400 modules of plain Python on one thread, with
nothing of Daruma in it. A shared machine's speed changes by the minute, and with it what this says: measure it beside
what it is to judge. LangGraph, Huey, DBOS and group commits of sqlite3 alone, measured on both machines, agree with it
to a fifth; plain Pykka's messages a second, between two threads on cores that the kernel picks, differ twofold from one
run to the next. Memory and ratios need none.
"""

import subprocess
import sys
from statistics import median

THERE = 0.85
"""Seconds that the import took on the machine that the goals were set on."""
_IMPORT = "import time, anthropic, anthropic.types; print(time.process_time())"


def sdk_import(times: int = 3) -> float:
    """Seconds of CPU, the median of so many fresh interpreters."""
    return median(float(subprocess.check_output([sys.executable, "-c", _IMPORT])) for _ in range(times))


def speed(times: int = 3) -> float:
    """This machine's speed, now, as a share of that one's."""
    return THERE / sdk_import(times)
