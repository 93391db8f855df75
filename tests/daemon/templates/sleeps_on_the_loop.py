"""An agent that sleeps on the loop all agents share: once, the first time that it works at all."""

import time
from pathlib import Path

from darumad.agents import Template
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

SECONDS = 3


async def execute(item: WorkItem, context: Context) -> WorkResult:
    begun = Path(item.input)
    if not begun.exists():  # noqa: ASYNC240 - a look at one file
        begun.touch()  # noqa: ASYNC240 - the same
        time.sleep(SECONDS)  # noqa: ASYNC251 - this is what it is for
        return WorkResult(stop_reason=StopReason.COMPLETED, text="too late", model="offline")
    return WorkResult(stop_reason=StopReason.COMPLETED, text="in time", model="offline")


TEMPLATE = Template(
    name="sleeps_on_the_loop",
    version="1.0.0",
    says="Blocks everybody.",
    execute=execute,
    required_gates=frozenset(),
    complete_by_form=True,
)
