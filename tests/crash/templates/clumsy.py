"""An agent whose code raises, each time."""

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import WorkResult


async def execute(item: WorkItem, context: Context) -> WorkResult:
    raise RuntimeError(f"tripped over {item.id}")


TEMPLATE = Template(
    name="clumsy",
    version="1.0.0",
    says="Trips over everything.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
