"""How fast this machine is beside the one that the goals were set on, so that a goal can be told for any machine.

The yardstick is what all of Daruma stands on and nothing of it is in: how many messages plain Pykka takes a second.
Memory and ratios need none.
"""

import time

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
