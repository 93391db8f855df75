"""An agent that does its item in three slow, journalled steps, and tells a witness outside the daemon of each."""

import asyncio
import os
from pathlib import Path

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

STEPS = 3
TAKES = 0.33


def tell(witness: Path, line: str) -> None:
    """One line, appended whole: a kill leaves no half of it."""
    descriptor = os.open(witness, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


async def execute(item: WorkItem, context: Context) -> WorkResult:
    """Three steps; what a step returned is journalled, so a restart goes on behind it."""
    witness = Path(item.input["witness"])
    for number in range(1, STEPS + 1):

        async def step(number: int = number) -> str:
            tell(witness, f"begin {item.id} {number}")
            await asyncio.sleep(TAKES)
            return f"step {number} of {item.id}"

        await context.steps.once("slow", number, step)
    return WorkResult(stop_reason=StopReason.COMPLETED, text=f"{item.id} in {STEPS} steps", model="offline")


TEMPLATE = Template(
    name="slow",
    version="1.0.0",
    says="Does an item in three slow, journalled steps.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
