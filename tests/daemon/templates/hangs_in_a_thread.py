"""An agent whose work hangs for ever in a thread, where no cancel reaches it."""

import asyncio
import threading
from pathlib import Path

from darumad.agents import Template
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import WorkResult


async def execute(item: WorkItem, context: Context) -> WorkResult:
    await asyncio.to_thread(_hang, Path(item.input))
    raise AssertionError("it came back")


def _hang(begun: Path) -> None:
    begun.touch()
    threading.Event().wait()


TEMPLATE = Template(
    name="hangs_in_a_thread",
    version="1.0.0",
    says="Never comes back.",
    execute=execute,
    required_gates=frozenset(),
    complete_by_form=True,
)
