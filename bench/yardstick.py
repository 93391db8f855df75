"""What is measured with: how fast this machine is beside the one that the goals were set on, and what a process took.

The first lets a goal be told for any machine. Its yardstick is what all of Daruma stands on and nothing of it is in:
how many messages plain Pykka takes a second. Memory and ratios need none.
"""

import os
import time
from pathlib import Path

import pykka

THERE = 280_000
"""Messages a second on the machine that the goals were set on."""
BURST, BURSTS = 20_000, 5


class _Sink(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: object) -> object:
        return message


def speed() -> float:
    """This machine's speed now as a share of that one's: the best of several bursts, for what disturbs only takes."""
    sink = _Sink.start()
    best = max(_tells(sink) for _ in range(BURSTS))
    sink.stop()
    return best / THERE


def _tells(sink: pykka.ActorRef[_Sink]) -> float:
    began = time.perf_counter()
    for number in range(BURST):
        sink.tell(number)
    sink.ask(None)
    return BURST / (time.perf_counter() - began)


def cpu_of(process: int) -> float:
    """Seconds of CPU that the process of this id took by now."""
    spent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
