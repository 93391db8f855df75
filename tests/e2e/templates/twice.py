"""An agent that asks its model twice, each time as a step of its own."""

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


async def execute(item: WorkItem, context: Context) -> WorkResult:
    said = [await _step(context, f"For the {time} time: {item.description}") for time in ("first", "second")]
    return WorkResult(stop_reason=StopReason.COMPLETED, text=" ".join(said))


async def _step(context: Context, text: str) -> str:
    async def ask() -> str:
        return (await context.complete(ModelRequest(messages=(Message(role="user", text=text),)))).text

    return str(await context.steps.once("model", {"asked": text}, ask))


TEMPLATE = Template(
    name="twice",
    version="1.0.0",
    says="Asks twice.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
