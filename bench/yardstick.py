"""How fast this machine is beside the one that the goals were set on, so that a goal can be told for any machine.

The yardstick is what all of Daruma stands on and nothing of it is in: how many messages plain Pykka takes a second.
Memory and ratios need none.
"""

import time
from functools import cache
from statistics import median

import pykka

THERE = 280_000
"""Messages a second on the machine that the goals were set on: the median of bursts as long as these, which matters,
since what waits outgrows the processor's caches."""
BURST, BURSTS = 100_000, 5


class _Sink(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: object) -> object:
        return message


@cache
def speed() -> float:
    """This machine's speed as a share of that one's."""
    sink = _Sink.start()
    here = median(_tells(sink) for _ in range(BURSTS))
    sink.stop()
    return here / THERE


def _tells(sink: pykka.ActorRef[_Sink]) -> float:
    began = time.perf_counter()
    for number in range(BURST):
        sink.tell(number)
    sink.ask(None)
    return BURST / (time.perf_counter() - began)
