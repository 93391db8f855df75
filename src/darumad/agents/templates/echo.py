"""Echo: the result is the input. For first tries and load tests; it costs one journalled step and next to no time."""

from typing import Any

from darumad.agents.template import Template
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

_REQUIRED = frozenset({Gate.COMPLETENESS})
_SAME = Review(gates={Gate.COMPLETENESS: Finding(Verdict.PASS)}, required=_REQUIRED)
_OTHER = Review(
    gates={Gate.COMPLETENESS: Finding(Verdict.FAIL, ("completeness: the result is not the input",))}, required=_REQUIRED
)


async def execute(item: WorkItem, context: Context) -> WorkResult:
    """Hand the item's input back as `data`, or its description as `text` when there is no input."""
    heard = _heard(item)

    async def say() -> Any:
        return heard

    said = await context.steps.last("echo", heard, say)
    return WorkResult(stop_reason=StopReason.COMPLETED, data=said["data"], text=said["text"], model="offline")


async def check(item: WorkItem, context: Context) -> Review:
    """Whether what came back is what went in."""
    work = context.work
    same = work is not None and {"data": work.data, "text": work.text} == _heard(item)
    return _SAME if same else _OTHER


def _heard(item: WorkItem) -> dict[str, Any]:
    return {"data": item.input, "text": item.description if item.input is None else ""}


TEMPLATE = Template(
    name="echo",
    version="1.0.0",
    says="Hands its input back: for first tries and load tests.",
    execute=execute,
    check=check,
    required_gates=_REQUIRED,
    complete_by_form=True,
)
