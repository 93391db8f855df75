"""Answers that arrive whole and are no use: each fault here spoils what the model says, not how it travels."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from darumad.sim.scenario import Asked, Fault, Reply, ToolUse
from darumad.sim.schema import value_for


def spoil(reply: Reply, fault: Fault, asked: Asked) -> Reply:
    """`reply` as the fault has it; any other kind of fault leaves it as it is."""
    return SPOILED[fault.name](reply, fault, asked) if fault.name in SPOILED else reply


def _empty(reply: Reply, _: Fault, __: Asked) -> Reply:
    return replace(reply, text="", tool_calls=(), mute=True)


def _refusal(reply: Reply, fault: Fault, _: Asked) -> Reply:
    return replace(reply, text="", tool_calls=(), mute=True, stop="refusal", category=fault.category)


def _no_stop(reply: Reply, _: Fault, __: Asked) -> Reply:
    return replace(reply, unended=True)


_RAW: Mapping[str, str] = {"string": '"a string"', "broken": '{"path": ', "cut": '{"path": "a/long/pa'}


def _bad_tool_args(reply: Reply, fault: Fault, asked: Asked) -> Reply:
    name = asked.tools[0] if asked.tools else "no_such_tool"
    match fault.mode:
        case "unknown_tool":
            call = ToolUse(name="no_such_tool")
        case "schema":
            call = ToolUse(name=name, args={"not": {"what": ["was", "asked", "for"]}})
        case mode:
            call = ToolUse(name=name, raw=_RAW.get(mode, _RAW["string"]))
    return replace(reply, text="", tool_calls=(call,), stop="max_tokens" if fault.mode == "cut" else None)


def _dup_tool_ids(reply: Reply, _: Fault, asked: Asked) -> Reply:
    name = asked.tools[0] if asked.tools else "no_such_tool"
    return replace(reply, tool_calls=(ToolUse(name=name, id="call_same"), ToolUse(name=name, id="call_same")))


def _schema_violation(reply: Reply, fault: Fault, asked: Asked) -> Reply:
    value = value_for(asked.schema or {"type": "object"})
    return replace(reply, text=_BROKEN[fault.mode or "missing"](value), tool_calls=())


_BROKEN: Mapping[str, Callable[[Any], str]] = {
    "missing": lambda value: json.dumps(dict(list(value.items())[1:]) if isinstance(value, dict) else None),
    "type": lambda value: json.dumps([value]),
    "extra": lambda value: json.dumps({**value, "surplus": 1} if isinstance(value, dict) else {"surplus": 1}),
    "prose": lambda value: f"Here you are: {json.dumps(value)}. Anything else?",
    "fence": lambda value: f"```json\n{json.dumps(value)}\n```",
}

SPOILED: Mapping[str, Callable[[Reply, Fault, Asked], Reply]] = {
    "empty_content": _empty,
    "refusal": _refusal,
    "no_stop": _no_stop,
    "bad_tool_args": _bad_tool_args,
    "dup_tool_ids": _dup_tool_ids,
    "schema_violation": _schema_violation,
}
"""By name: what an answer becomes."""

MODES: Mapping[str, Sequence[str]] = {
    "bad_tool_args": (*_RAW, "unknown_tool", "schema"),
    "schema_violation": tuple(_BROKEN),
}
"""How an answer may be spoiled, by the faults that heed a `mode`; the first is meant where none is said."""
