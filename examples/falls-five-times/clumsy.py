"""An agent whose tool fails on the first five attempts of an item and works on the sixth."""

from darumad.agents import Template, ToolFailed
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

FALLS = 5


async def execute(item: WorkItem, context: Context) -> WorkResult:
    """Fail while the attempt is one of the first five."""
    if context.attempt <= FALLS:
        raise ToolFailed(f"the ladder slipped (attempt {context.attempt})")
    return WorkResult(stop_reason=StopReason.COMPLETED, text=f"stood up at attempt {context.attempt}", model="offline")


TEMPLATE = Template(
    name="clumsy",
    version="1.0.0",
    says="Falls five times, gets up every time.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
