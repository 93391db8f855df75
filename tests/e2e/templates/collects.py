"""An agent that tells whether garbage is collected while it works, and whether it was when its file was read."""

import gc

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

WHILE_STARTING = gc.isenabled()


async def execute(item: WorkItem, context: Context) -> WorkResult:
    told = {
        "starting": WHILE_STARTING,
        "now": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "young": gc.get_threshold()[0],
    }
    return WorkResult(stop_reason=StopReason.COMPLETED, data=told, model="offline")


TEMPLATE = Template(
    name="collects",
    version="1.0.0",
    says="Tells whether garbage is collected.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
