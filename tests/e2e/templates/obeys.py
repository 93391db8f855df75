"""An agent that does in each attempt what its item says, and leaves a line for a witness outside of each beginning.

The input is `{"witness": FILE, "acts": [ACT, ...], "check": ACT}`: an act for each attempt, the last for all that
follow, and one for the check. What waits does so until there is a `FILE.over`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from darumad.agents import Template, ToolFailed
from darumad.names import Stage
from darumad.work.gates import Review
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


def over(item: WorkItem) -> bool:
    return Path(f"{item.input['witness']}.over").exists()


async def work(item: WorkItem, context: Context) -> None:
    """Nothing goes wrong."""


async def wait(item: WorkItem, context: Context) -> None:
    """Nothing comes."""
    while not over(item):  # noqa: ASYNC110 - a file is what a test outside can make
        await asyncio.sleep(0.01)


async def busy(item: WorkItem, context: Context) -> None:
    """Something always comes, and it is never the end."""
    while not over(item):
        context.progress()
        await asyncio.sleep(0.01)


async def deaf(item: WorkItem, context: Context) -> None:
    """It waits, and is not to be cancelled."""
    while not over(item):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


async def slip(item: WorkItem, context: Context) -> None:
    """A tool fails."""
    raise ToolFailed("the ladder slipped")


async def crash(item: WorkItem, context: Context) -> None:
    """The template has a defect."""
    raise ZeroDivisionError("a defect of the template")


async def leave(item: WorkItem, context: Context) -> None:
    """A step means to end the whole process."""

    async def step() -> None:
        raise SystemExit(3)

    await context.steps.once("leave", None, step)


ACTS: Mapping[str, Callable[[WorkItem, Context], Awaitable[None]]] = {
    each.__name__: each for each in (work, wait, busy, deaf, slip, crash, leave)
}


def tell(witness: Path, line: str) -> None:
    with witness.open("a") as lines:
        lines.write(f"{line}\n")


async def execute(item: WorkItem, context: Context) -> WorkResult:
    acts = item.input["acts"]
    act = acts[min(context.attempt, len(acts)) - 1]
    tell(Path(item.input["witness"]), f"{item.id} {context.attempt} {act}")
    await ACTS[act](item, context)
    return WorkResult(stop_reason=StopReason.COMPLETED, text=f"done at attempt {context.attempt}", model="offline")


async def check(item: WorkItem, context: Context) -> Review:
    await ACTS[item.input.get("check", "work")](item, context)
    return Review(gates={}, required=frozenset())


TEMPLATE = Template(
    name="obeys",
    version="1.0.0",
    says="Does what its item says.",
    execute=execute,
    check=check,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
