"""Dialogues: what an item's goes on from, and requests and replies as plain JSON, as steps are keyed by and keep."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from darumad.agents.prompts import render
from darumad.agents.template import Sight
from darumad.work.codec import message_from_json, usage_from_json, usage_to_json
from darumad.work.item import WorkItem
from darumad.work.model import Message, ModelReply, ModelRequest, ToolCall
from darumad.work.ports import Context

Json = dict[str, Any]
_NOT_SHOWN = frozenset({"intent", "messages", "tokens", "pressure", "degraded"})


def dialogue_before(item: WorkItem, shown: Context | Sight) -> tuple[Message, ...]:
    """The turns that a model is shown before `item`'s description: as its brief has them, or, without one, all."""
    brief = shown.brief or {}
    if "messages" in brief:
        return tuple(map(message_from_json, brief["messages"]))
    return (*shown.turns, *item.messages)


def words_of(brief: Mapping[str, Any]) -> str:
    """A brief as a model is told it: what is wanted, and each part under its name."""
    shown = {key: value for key, value in brief.items() if key not in _NOT_SHOWN and value not in (None, [], "")}
    return render(
        "work.md", intent=brief["intent"], parts=[(key, _text(value)) for key, value in sorted(shown.items())]
    )


def request_to_json(request: ModelRequest) -> Json:
    """`request` as JSON, whole: two requests are the same step only if a model would see no difference."""
    return {
        "system": request.system,
        "messages": [_message_to_json(each) for each in request.messages],
        "tools": [{"name": each.name, "says": each.says, "schema": each.schema} for each in request.tools],
        "output_schema": request.output_schema,
        "max_tokens": request.max_tokens,
    }


def reply_to_json(reply: ModelReply) -> Json:
    """`reply` as JSON."""
    return {
        "text": reply.text,
        "calls": [_call_to_json(each) for each in reply.calls],
        "opaque": list(reply.opaque),
        "model": reply.model,
        "stop": reply.stop,
        "usage": usage_to_json(reply.usage),
    }


def reply_from_json(data: Json) -> ModelReply:
    """The reply that `reply_to_json` wrote."""
    return ModelReply(
        text=data["text"],
        calls=tuple(ToolCall(id=each["id"], name=each["name"], arguments=each["arguments"]) for each in data["calls"]),
        opaque=tuple(data["opaque"]),
        model=data["model"],
        stop=cast("Any", data["stop"]),
        usage=usage_from_json(data["usage"]),
    )


def _message_to_json(message: Message) -> Json:
    return {
        "role": message.role,
        "text": message.text,
        "calls": [_call_to_json(each) for each in message.calls],
        "call_id": message.call_id,
        "opaque": list(message.opaque),
    }


def _call_to_json(call: ToolCall) -> Json:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _text(value: Any) -> str:
    """A part of the brief as a model reads it best: text as such, all else as JSON."""
    return (
        value
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    )
