"""An agent that looks at every thread of the daemon it runs in, again and again, and says where each was."""

import asyncio
import sys
import threading
from types import FrameType
from typing import Any

from darumad.agents import Template
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

LOOKS, BETWEEN = 20, 0.01


async def execute(item: WorkItem, context: Context) -> WorkResult:
    looks = []
    for _ in range(LOOKS):
        looks.append(look())
        await asyncio.sleep(BETWEEN)
    return WorkResult(stop_reason=StopReason.COMPLETED, data=looks, model="offline")


def look() -> dict[str, Any]:
    """Each thread by its name: where it is, innermost first."""
    names = {each.ident: each.name for each in threading.enumerate()}
    # The threads go on while they are looked at; each frame of one look is of the same instant.
    return {names.get(ident, "?"): stack(frame) for ident, frame in sys._current_frames().items()}


def stack(frame: FrameType | None) -> list[str]:
    """`file:function` of each frame."""
    places = []
    while frame is not None:
        places.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
        frame = frame.f_back
    return places


TEMPLATE = Template(
    name="looks",
    version="1.0.0",
    says="Looks at the threads around it.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
