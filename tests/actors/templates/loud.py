"""An agent that says its description loudly; on an input of `careless` it forgets to, until somebody objects."""

from darumad.agents import Template
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

REQUIRED = frozenset({Gate.CORRECTNESS})


async def execute(item: WorkItem, context: Context) -> WorkResult:
    careless = item.input == "careless" and not context.feedback
    text = item.description if careless else item.description.upper()
    return WorkResult(stop_reason=StopReason.COMPLETED, text=text, model="offline")


async def check(item: WorkItem, context: Context) -> Review:
    loud = context.work is not None and context.work.text == item.description.upper()
    found = Finding(Verdict.PASS) if loud else Finding(Verdict.FAIL, ("correctness: it is not loud",))
    return Review(gates={Gate.CORRECTNESS: found}, required=REQUIRED)


TEMPLATE = Template(
    name="loud",
    version="1.0.0",
    says="Says it loudly.",
    execute=execute,
    check=check,
    required_gates=REQUIRED,
    complete_by_form=True,
)
