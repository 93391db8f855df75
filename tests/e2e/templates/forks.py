"""An agent that leaves a forked child behind, which waits until it is ended; its result is the child's pid."""

import multiprocessing
import signal

from darumad.agents import Template
from darumad.names import Stage
from darumad.work import Context, StopReason, WorkItem, WorkResult


def wait() -> None:
    while True:
        signal.pause()


async def execute(item: WorkItem, context: Context) -> WorkResult:
    child = multiprocessing.get_context("fork").Process(target=wait)
    child.start()
    return WorkResult(stop_reason=StopReason.COMPLETED, data=child.pid)


TEMPLATE = Template(
    name="forks",
    version="1.0.0",
    says="Leaves a forked child behind.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
