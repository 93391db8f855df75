"""A scenario from a parsed YAML or JSON document; whatever is wrong in it is told with the rule it is in."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from darumad.sim.faults import FAULTS, VENDOR_FAULTS
from darumad.sim.scenario import Fault, Quota, Reply, Rule, Scenario, Server, ToolUse, When
from darumad.sim.spoiled import SPOILED
from darumad.sim.spread import Spread, spread_of

_TOKENS_A_FRAME = 7.5
"""A piece of a stream is 24 characters, at 3.2 characters a token."""
_MILLI = 0.001
_FAULT_FIELDS = tuple(name for name in Fault.__dataclass_fields__ if name != "name")
_TURN = frozenset({
    "text", "json", "from_schema", "echo", "tokens", "tool_calls", "thinking", "stop", "output_tokens", "input_tokens",
    "model",
})  # fmt: skip
_THEN = frozenset({"reply", "script", "fault", "latency", "per_frame", "gate", *_FAULT_FIELDS})


def scenario_of(document: Mapping[str, Any]) -> Scenario:
    """The scenario that a document describes.

    Raises:
        ValueError: names the rule and what is wrong with it.
    """
    if not isinstance(document, Mapping):
        raise ValueError("a scenario is a mapping with `rules`")  # noqa: TRY004 - one family for what is wrong in a file
    unknown = set(document) - {"seed", "rules", "quotas", "servers", "time_scale"}
    if unknown:
        raise ValueError(f"a scenario has no {', '.join(sorted(unknown))}")
    return Scenario(
        tuple(_rule(number, each) for number, each in enumerate(document.get("rules") or [], 1)),
        int(document.get("seed", 0)),
        quotas={glob: _part("quota", glob, Quota, each) for glob, each in (document.get("quotas") or {}).items()},
        servers={glob: _part("server", glob, Server, each) for glob, each in (document.get("servers") or {}).items()},
        time_scale=float(document.get("time_scale", 1.0)),
    )


def _part(what: str, name: str, kind: type[Any], raw: Mapping[str, Any]) -> Any:
    try:
        return kind(**raw)
    except TypeError as error:
        raise ValueError(f"{what} {name}: {error}") from error


def _rule(number: int, raw: Mapping[str, Any]) -> Rule:
    name = str(raw.get("id", f"rule-{number}"))
    try:
        return _built(name, raw)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"rule {name}: {error}") from error


def _built(name: str, raw: Mapping[str, Any]) -> Rule:
    then = dict(raw.get("then") or {})
    unknown = set(then) - _THEN
    if unknown:
        raise ValueError(f"`then` has no {', '.join(sorted(unknown))}")
    latency, per_frame = _latency(then.get("latency", 0.0))
    return Rule(
        id=name,
        when=When(**_when(raw.get("when") or {})),
        script=_script(then),
        fault=_fault(then.get("fault"), then),
        latency=latency,
        per_frame=float(then.get("per_frame", per_frame)),
        gate=then.get("gate"),
    )


def _when(raw: Mapping[str, Any]) -> dict[str, Any]:
    when = dict(raw)
    nth = when.get("nth")
    if isinstance(nth, str) and nth.startswith("every:"):
        when["every"] = int(nth.removeprefix("every:"))
        del when["nth"]
    elif nth is not None:
        when["nth"] = tuple(nth) if isinstance(nth, Sequence) else (int(nth),)
    if "t" in when:
        begin, end = when["t"]
        when["t"] = (float(begin), float(end))
    if "max" in when:
        when["most"] = int(when.pop("max"))
    return when


def _latency(raw: Any) -> tuple[Spread | float, float]:
    """Seconds before the answer and before each further piece: of a number, a spread in seconds, or milliseconds."""
    if isinstance(raw, dict) and set(raw) <= {"ttft_ms", "per_token_ms"}:
        first = spread_of(raw.get("ttft_ms", 0.0)).times(_MILLI)
        return first, float(raw.get("per_token_ms", 0.0)) * _MILLI * _TOKENS_A_FRAME
    return spread_of(raw), 0.0


def _script(then: Mapping[str, Any]) -> tuple[Reply, ...]:
    turns = then.get("script") or ([then["reply"]] if "reply" in then else [])
    return tuple(_turn(each) for each in turns)


def _turn(raw: Any) -> Reply:
    if isinstance(raw, str):
        return Reply(text=raw)
    turn = dict(raw)
    unknown = set(turn) - _TURN
    if unknown:
        raise ValueError(f"a reply has no {', '.join(sorted(unknown))}")
    if turn.pop("echo", False):
        turn["text"] = "{prompt}"
    if "json" in turn:
        turn["text"] = json.dumps(turn.pop("json"))
    turn.pop("from_schema", None)  # an answer without words of its own is made from the schema that was asked for
    if "tokens" in turn:
        turn["words"] = spread_of(turn.pop("tokens"))
    turn["tool_calls"] = tuple(ToolUse(**each) for each in turn.get("tool_calls", ()))
    return Reply(**turn)


def _fault(name: Any, then: Mapping[str, Any]) -> Fault | None:
    if name is None:
        return None
    known = {*FAULTS, *VENDOR_FAULTS, *SPOILED}
    if name not in known:
        raise ValueError(f"there is no fault {name!r}; there are {', '.join(sorted(known))}")
    return Fault(name=str(name), **{each: then[each] for each in _FAULT_FIELDS if each in then})
