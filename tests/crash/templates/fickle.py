"""An agent that asks otherwise in each life of the daemon: what it did in the one before is done anew."""

import asyncio
import os

from darumad.agents import Template
from darumad.names import Stage
from darumad.work import Context, StopReason, WorkItem, WorkResult
from darumad.work.model import Message, ModelRequest

REST = 2.0
"""Seconds in which a death finds it at work behind a step."""


async def execute(item: WorkItem, context: Context) -> WorkResult:
    async def ask() -> str:
        return (await context.complete(request)).text

    async def rest() -> float:
        await asyncio.sleep(REST)
        return REST

    request = ModelRequest(messages=(Message(role="user", text=f"{item.description} So now the second part"),))
    said = await context.steps.once("ask", [item.description, os.getpid()], ask)
    await context.steps.once("rest", said, rest)
    return WorkResult(stop_reason=StopReason.COMPLETED, text=said)


TEMPLATE = Template(
    name="fickle",
    version="1.0.0",
    says="Asks otherwise in each life of the daemon.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
