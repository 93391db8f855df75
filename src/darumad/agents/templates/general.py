"""The built-in executor: any work that a model can do with words and files, through the step loop."""

import asyncio
from pathlib import Path
from typing import Any

from darumad.agents.dialogue import dialogue_before, words_of
from darumad.agents.prompts import render
from darumad.agents.step_loop import LoopLimits, run_loop
from darumad.agents.template import Sight, Template
from darumad.agents.tools.files import WorkspaceFiles
from darumad.work.gates import Gate
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelFailed, ModelRequest
from darumad.work.ports import Context
from darumad.work.result import StopReason, WorkResult

LIMITS = LoopLimits()


async def execute(item: WorkItem, context: Context) -> WorkResult:
    """Let the model work on the brief until it says what came of it.

    Raises:
        ModelFailed: no model is configured (`model_not_found`: a canned answer is no work), or see `run_loop`.
    """
    if context.complete.model is None:
        raise ModelFailed(
            "model_not_found",
            "this work needs a model, and none is configured; put one under `providers` in the settings",
        )
    files = WorkspaceFiles(context.place)
    sight = Sight(brief=context.brief, turns=context.turns, uploads=tuple(context.uploads))
    answer = await run_loop(opening(item, sight), files.tools(), context, limits=LIMITS)
    return WorkResult(
        stop_reason=StopReason.COMPLETED,
        text=answer.text,
        data=answer.data,
        artifacts=await asyncio.to_thread(files.written, answer.calls),
        model=answer.model or context.complete.model,
    )


def opening(item: WorkItem, sight: Sight) -> ModelRequest:
    """The opening of the dialogue: a pure function of the brief, which is one of the item."""
    brief: dict[str, Any] = sight.brief or {"intent": item.description, "input": item.input}
    return ModelRequest(
        system=render("general.md", uploads=sorted(sight.uploads)),
        messages=(*dialogue_before(item, sight), Message(role="user", text=words_of(brief))),
        tools=_TOOLS,
        output_schema=item.output_schema,
    )


_TOOLS = tuple(each.spec for each in WorkspaceFiles(Path()).tools())


TEMPLATE = Template(
    name="general",
    version="1.0.0",
    says="Does any work that a model can do with words and files.",
    execute=execute,
    opening=opening,
    required_gates=frozenset({Gate.INTENT_SATISFIED, Gate.COMPLETENESS}),
    needs_model=True,
)
