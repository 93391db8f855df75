"""An agent that works until the file that its item names is there."""

import asyncio
from pathlib import Path

from darumad.agents import Template
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

REQUIRED = frozenset({Gate.COMPLETENESS})


async def execute(item: WorkItem, context: Context) -> WorkResult:
    while not Path(item.input).exists():  # noqa: ASYNC240 - a look at one file
        context.progress()
        await asyncio.sleep(0.01)
    return WorkResult(stop_reason=StopReason.COMPLETED, text="released", model="offline")


async def check(item: WorkItem, context: Context) -> Review:
    return Review(gates={Gate.COMPLETENESS: Finding(Verdict.PASS)}, required=REQUIRED)


TEMPLATE = Template(
    name="until_released",
    version="1.0.0",
    says="Works until it is let go.",
    execute=execute,
    check=check,
    required_gates=REQUIRED,
    complete_by_form=True,
)
