"""An agent that lets out what it gets hold of, in the way that its item's input names."""

import asyncio
import os

from darumad.agents import Template, ToolFailed
from darumad.names import Stage
from darumad.work.gates import Review
from darumad.work.item import WorkItem
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

MARKER = "sk-ant-m4rk3r-0f-7h1s-t3st"
"""The daemon's key."""


async def execute(item: WorkItem, context: Context) -> WorkResult:
    said = await LEAKS[item.input]()
    return WorkResult(stop_reason=StopReason.COMPLETED, text=said, model="offline")


async def chain() -> str:
    """Raise an exception that another one caused."""
    try:
        knock()
    except PermissionError as error:
        raise RuntimeError(f"the door said: {error}") from error


def knock() -> None:
    raise PermissionError(f"no entry with {MARKER}")


async def tool() -> str:
    """Fail as a tool does, with its command line."""
    raise ToolFailed(f"curl -H 'x-key: {MARKER}' ended with code 22")


async def environment() -> str:
    """Tell what a process of its own was given, and what this one has."""
    process = await asyncio.create_subprocess_exec("/usr/bin/env", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return f"{said.decode()}\n{dict(os.environ)}"


LEAKS = {each.__name__: each for each in (chain, tool, environment)}


async def check(item: WorkItem, context: Context) -> Review:
    return Review(gates={}, required=frozenset())


TEMPLATE = Template(
    name="leaks",
    version="1.0.0",
    says="Lets out what it gets hold of.",
    execute=execute,
    check=check,
    required_gates=frozenset(),
    stages=(Stage.EXECUTING,),
    complete_by_form=True,
)
