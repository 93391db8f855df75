"""Answers in a form: a model is asked for JSON under a schema, and shown what is wrong where it breaks it."""

from collections.abc import Callable
from typing import Any

import orjson

from darumad.agents.dialogue import reply_from_json, reply_to_json, request_to_json
from darumad.agents.schemas import violations
from darumad.values import changed
from darumad.work.kinds import KINDS, Retry
from darumad.work.model import Message, ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Context

REPAIRS = 2
"""How often an answer that breaks its schema is asked for again."""


async def ask_for_json(
    context: Context, kind: str, request: ModelRequest, sound: Callable[[Any], tuple[str, ...]] = lambda _: ()
) -> Any:
    """The answer to `request` under its `output_schema`; every turn is a journalled step called `kind`.

    `sound` says what is wrong with an answer that has the form, and that no schema can say.

    Raises:
        ModelFailed: the call failed, was refused or cut, or no answer in `REPAIRS` + 1 held (`schema_violation`), nor
            in as many of whoever was asked elsewhere.
    """
    broken: tuple[str, ...] = ()
    for _ in range(REPAIRS + 1):
        try:
            reply = whole(await turn(context, kind, request))
        except ModelFailed as failed:
            if not repairable(failed):
                raise
            broken, request = (failed.message,), anew(request, failed.message)
            continue
        value, broken = read(reply.text, request)
        broken = broken or sound(value)
        if not broken:
            return value
        request = again(request, reply, broken)
    other = context.complete.elsewhere("schema_violation")
    if other is None:
        raise ModelFailed("schema_violation", f"the answer breaks its schema: {broken[0]}")
    return await ask_for_json(changed(context, complete=other), kind, request, sound)


async def turn(context: Context, kind: str, request: ModelRequest) -> ModelReply:
    """One model call as a journalled step: after a restart the paid reply is there and nobody is called."""

    async def call() -> Any:
        return reply_to_json(await context.complete(request))

    reply = reply_from_json(await context.steps.once(kind, request_to_json(request), call))
    context.progress()
    return reply


def whole(reply: ModelReply) -> ModelReply:
    """`reply`, if it came to its own end.

    Raises:
        ModelFailed: it was cut by the token limit (`max_tokens`), or the model declined (`refusal`).
    """
    if reply.stop == "max_tokens":
        raise ModelFailed("max_tokens", "the model's reply was cut by the token limit; half a reply is none")
    if reply.stop == "refusal":
        raise ModelFailed("refusal", "the model declined to do this")
    return reply


def repairable(failed: ModelFailed) -> bool:
    """Whether an answer came that was no use: the model may be told so, and asked anew."""
    known = KINDS.get(failed.kind)
    return known is not None and known.retry is Retry.REPAIRED


def anew(request: ModelRequest, wrong: str) -> ModelRequest:
    """`request` with what was wrong with an answer of which nothing could be kept."""
    told = Message(role="user", text=f"Your last answer could not be used ({wrong}). Answer again.")
    return changed(request, messages=(*request.messages, told))


def read(text: str, request: ModelRequest) -> tuple[Any, tuple[str, ...]]:
    """The JSON of an answer, and what is wrong with it under the request's schema."""
    try:
        value = orjson.loads(_unfenced(text))
    except orjson.JSONDecodeError as error:
        return None, (f"/: it is no JSON: {error}",)
    return value, violations(request.output_schema or {}, value)


def again(request: ModelRequest, reply: ModelReply, broken: tuple[str, ...]) -> ModelRequest:
    """`request` with the broken answer and what is wrong with it."""
    said = Message(role="assistant", text=reply.text, opaque=reply.opaque)
    wrong = Message(
        role="user", text="This breaks the form that was asked for:\n" + "\n".join(f"- {each}" for each in broken)
    )
    return ModelRequest(
        messages=(*request.messages, said, wrong),
        system=request.system,
        tools=request.tools,
        output_schema=request.output_schema,
        max_tokens=request.max_tokens,
    )


def _unfenced(text: str) -> str:
    """What stands in the one code fence that some models put around an answer."""
    lines = text.strip().splitlines()
    fenced = len(lines) > 1 and lines[0].startswith("```") and lines[-1] == "```"
    return "\n".join(lines[1:-1]) if fenced else text
