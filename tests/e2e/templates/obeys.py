"""An agent that does in each attempt what its item says, and leaves a line for a witness outside of each beginning.

The input is `{"witness": FILE, "acts": [ACT, ...]}`: an act for each attempt, the last for all that follow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from darumad.agents import Template, ToolFailed
from darumad.names import Stage
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


async def work(_: Context) -> None:
    """Nothing goes wrong."""


async def wait(_: Context) -> None:
    """Nothing ever comes."""
    await asyncio.Event().wait()


async def busy(context: Context) -> None:
    """Something always comes, and it is never the end."""
    while True:
        context.progress()
        await asyncio.sleep(0.01)


async def deaf(_: Context) -> None:
    """It waits, and is not to be cancelled."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(30, over.set)
    while not over.is_set():
        try:
            await over.wait()
        except asyncio.CancelledError:
            continue


async def slip(_: Context) -> None:
    """A tool fails."""
    raise ToolFailed("the ladder slipped")


async def crash(_: Context) -> None:
    """The template has a defect."""
    raise ZeroDivisionError("a defect of the template")


async def leave(_: Context) -> None:
    """The template means to end the whole process."""
    raise SystemExit(3)


ACTS: Mapping[str, Callable[[Context], Awaitable[None]]] = {
    each.__name__: each for each in (work, wait, busy, deaf, slip, crash, leave)
}


def tell(witness: Path, line: str) -> None:
    with witness.open("a") as lines:
        lines.write(f"{line}\n")


async def execute(item: WorkItem, context: Context) -> WorkResult:
    acts = item.input["acts"]
    act = acts[min(context.attempt, len(acts)) - 1]
    tell(Path(item.input["witness"]), f"{item.id} {context.attempt} {act}")
    await ACTS[act](context)
    return WorkResult(stop_reason=StopReason.COMPLETED, text=f"done at attempt {context.attempt}", model="offline")


TEMPLATE = Template(
    name="obeys",
    version="1.0.0",
    says="Does what its item says.",
    execute=execute,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
