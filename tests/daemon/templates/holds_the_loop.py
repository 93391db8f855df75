"""An agent that holds the loop all agents share whenever it works, until the file that its item names is there."""

import time
from pathlib import Path

from darumad.agents import Template
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

SECONDS = 3


async def execute(item: WorkItem, context: Context) -> WorkResult:
    if item.input and not Path(item.input).exists():  # noqa: ASYNC240 - a look at one file
        time.sleep(SECONDS)  # noqa: ASYNC251 - this is what it is for
    return WorkResult(stop_reason=StopReason.COMPLETED, text="in time", model="offline")


TEMPLATE = Template(
    name="holds_the_loop",
    version="1.0.0",
    says="Blocks everybody, again and again.",
    execute=execute,
    required_gates=frozenset(),
    complete_by_form=True,
)
