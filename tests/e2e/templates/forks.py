"""An agent that leaves a forked child behind, and a child of that, which hears no signal; its result are their pids."""

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from darumad.agents import Template
from darumad.names import Stage
from darumad.work import Context, StopReason, WorkItem, WorkResult


def wait() -> None:
    while True:
        signal.pause()


def begin(told: Connection) -> None:
    grandchild = os.fork()
    if not grandchild:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait()
    told.send([os.getpid(), grandchild])
    wait()


async def execute(item: WorkItem, context: Context) -> WorkResult:
    here, there = multiprocessing.Pipe(duplex=False)
    multiprocessing.get_context("fork").Process(target=begin, args=(there,)).start()
    return WorkResult(stop_reason=StopReason.COMPLETED, data=await asyncio.to_thread(here.recv))


TEMPLATE = Template(
    name="forks",
    version="1.0.0",
    says="Leaves a forked child behind.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
