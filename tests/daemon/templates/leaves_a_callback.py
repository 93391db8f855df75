"""An agent that leaves a call behind with the loop, which holds it up after its item is done, until it is mended."""

import asyncio
import time
from pathlib import Path

from darumad.agents import Template
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

SECONDS = 3


async def execute(item: WorkItem, context: Context) -> WorkResult:
    if item.input and not Path(item.input).exists():  # noqa: ASYNC240 - a look at one file
        asyncio.get_running_loop().call_later(0.3, _hold)
    return WorkResult(stop_reason=StopReason.COMPLETED, text="done", model="offline")


def _hold() -> None:
    time.sleep(SECONDS)


TEMPLATE = Template(
    name="leaves_a_callback",
    version="1.0.0",
    says="Blocks everybody when it is done.",
    execute=execute,
    required_gates=frozenset(),
    complete_by_form=True,
)
