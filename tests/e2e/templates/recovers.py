"""An agent that fails when it has made its file, and in its second attempt makes it anew."""

import asyncio

from darumad.agents import Template, ToolFailed
from darumad.agents.artifacts import artifact
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


async def execute(item: WorkItem, context: Context) -> WorkResult:
    (context.workspace / "page.txt").write_text(f"attempt {context.attempt}\n")
    if context.attempt == 1:
        raise ToolFailed("the archive is away")
    page = await asyncio.to_thread(artifact, context.workspace, "page.txt")
    return WorkResult(stop_reason=StopReason.COMPLETED, text="done", artifacts=(page,))


TEMPLATE = Template(
    name="recovers",
    version="1.0.0",
    says="Makes a page, at the second attempt.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
