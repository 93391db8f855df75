"""An agent that asks its model, and broods over a refusal until the file is there that its item's input names."""

import asyncio
from pathlib import Path

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelFailed, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


async def execute(item: WorkItem, context: Context) -> WorkResult:
    try:
        reply = await context.complete(ModelRequest(messages=(Message(role="user", text=item.description),)))
    except ModelFailed:
        Path(f"{item.input}.refused").touch()  # noqa: ASYNC240 - one file
        while not Path(item.input).exists():  # noqa: ASYNC240 - a look at one file
            context.progress()
            await asyncio.sleep(0.01)
        raise
    return WorkResult(stop_reason=StopReason.COMPLETED, text=reply.text)


TEMPLATE = Template(
    name="broods",
    version="1.0.0",
    says="Broods over a refusal.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
