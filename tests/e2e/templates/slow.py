"""An agent slow enough to be killed at its work, and at its check; it tells a witness outside the daemon of each step.

A step that has begun leaves `begin ITEM STAGE STEP TOKEN`; its token is what the journal keeps of it.
"""

import asyncio
import os
import secrets
from pathlib import Path

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

STEPS = {Stage.EXECUTING: 3, Stage.REVIEWING: 2}
TAKES = 0.06
REQUIRED = frozenset({Gate.COMPLETENESS})


def tell(witness: Path, line: str) -> None:
    """One line, appended whole: a kill leaves no half of it."""
    descriptor = os.open(witness, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


async def steps(item: WorkItem, context: Context) -> list[str]:
    """The tokens of this stage's steps, each made once."""
    return [await one(item, context, number) for number in range(1, STEPS[context.stage] + 1)]


async def one(item: WorkItem, context: Context, number: int) -> str:
    async def run() -> str:
        token = secrets.token_hex(8)
        tell(Path(item.input), f"begin {item.id} {context.stage.value} {number} {token}")
        await asyncio.sleep(TAKES)
        return token

    return str(await context.steps.once("slow", number, run))


async def execute(item: WorkItem, context: Context) -> WorkResult:
    return WorkResult(stop_reason=StopReason.COMPLETED, data=await steps(item, context), model="offline")


async def check(item: WorkItem, context: Context) -> Review:
    tokens = await steps(item, context)
    return Review(gates={Gate.COMPLETENESS: Finding(Verdict.PASS)}, required=REQUIRED, recommendations=tuple(tokens))


TEMPLATE = Template(
    name="slow",
    version="1.0.0",
    says="Works and checks in slow, journalled steps.",
    execute=execute,
    check=check,
    required_gates=REQUIRED,
    complete_by_form=True,
)
