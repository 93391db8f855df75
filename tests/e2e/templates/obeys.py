"""An agent that does in each attempt what its item says, and leaves a line for a witness outside of each beginning.

The input is `{"witness": FILE, "acts": [ACT, ...], "check": ACT, "verdict": VERDICT}`: an act for each attempt, the
last for all that follow, and one for the check, with what it says of whether all is there. What waits does so until
there is a `FILE.over`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from darumad.agents import Template, ToolFailed
from darumad.names import Stage
from darumad.work.gates import Finding, Gate, Review, Verdict
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult


def told(item: WorkItem, what: str) -> bool:
    return Path(f"{item.input['witness']}.{what}").exists()


async def work(item: WorkItem, context: Context) -> None:
    """Nothing goes wrong."""


async def wait(item: WorkItem, context: Context) -> None:
    """Nothing comes."""
    while not told(item, "over"):  # noqa: ASYNC110 - a file is what a test outside can make
        await asyncio.sleep(0.01)


async def busy(item: WorkItem, context: Context) -> None:
    """Something always comes, and it is never the end."""
    while not told(item, "over"):
        context.progress()
        await asyncio.sleep(0.01)


async def deaf(item: WorkItem, context: Context) -> None:
    """It waits, and is not to be cancelled."""
    while not told(item, "over"):
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


async def kill(item: WorkItem, context: Context) -> None:
    """The whole daemon dies of it, as of a library that crashes; but not before there is a `FILE.now`."""
    while not told(item, "now"):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


ACTS: Mapping[str, Callable[[WorkItem, Context], Awaitable[None]]] = {
    each.__name__: each for each in (work, wait, busy, deaf, slip, crash, leave, kill)
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
    if "verdict" not in item.input:
        return Review(gates={}, required=frozenset())
    found = Finding(Verdict(item.input["verdict"]), ("the north wall",))
    return Review(gates={Gate.COMPLETENESS: found}, required=frozenset({Gate.COMPLETENESS}))


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
