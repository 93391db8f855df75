"""A scenario from a parsed YAML or JSON document; whatever is wrong in it is told with the rule it is in."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from darumad.sim.faults import FAULTS, VENDOR_FAULTS
from darumad.sim.fitting import fitting, listed, mapped, number
from darumad.sim.scenario import Fault, Quota, Reply, Rule, Scenario, Server, ToolUse, When
from darumad.sim.spoiled import SPOILED
from darumad.sim.spread import Spread, spread_of

_TOKENS_A_FRAME = 7.5
"""A piece of a stream is 24 characters, at 3.2 characters a token."""
_MILLI = 0.001
_EVERY = re.compile(r"every:0*([1-9][0-9]*)")
_SCENARIO = frozenset({"seed", "rules", "quotas", "servers", "time_scale"})
_RULE = frozenset({"id", "when", "then"})
WHEN = tuple(name for name in When.__dataclass_fields__ if name != "every")
"""What a `when` may say: `every` is written as an `nth`."""
_FAULT_FIELDS = tuple(name for name in Fault.__dataclass_fields__ if name != "name")
TURN = frozenset({
    "text", "json", "from_schema", "echo", "tokens", "tool_calls", "thinking", "stop", "output_tokens", "input_tokens",
    "model",
})  # fmt: skip
"""What a reply may say."""
KNOWN_FAULTS = tuple(sorted({*FAULTS, *VENDOR_FAULTS, *SPOILED}))
"""Every fault, by name."""
_THEN = frozenset({"reply", "script", "fault", "latency", "per_frame", "gate", *_FAULT_FIELDS})


def scenario_of(document: Any) -> Scenario:
    """The scenario that a document describes.

    Raises:
        ValueError: names the rule, the key, and what it must be.
    """
    found = mapped("scenario", document, _SCENARIO)
    return Scenario(
        _rules(listed("rules", found.get("rules"))),
        number("seed", found.get("seed", 0), int),
        quotas=_parts("quotas", Quota, found.get("quotas")),
        servers=_parts("servers", Server, found.get("servers")),
        time_scale=number("time_scale", found.get("time_scale", 1.0)),
    )


def _parts(what: str, form: type[Any], raw: Any) -> dict[str, Any]:
    return {str(glob): form(**fitting(f"{what}.{glob}", form, each)) for glob, each in mapped(what, raw).items()}


def _rules(raw: Sequence[Any]) -> tuple[Rule, ...]:
    rules = tuple(_rule(number, each) for number, each in enumerate(raw, 1))
    names = [each.id for each in rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two rules are called {twice}: each is counted under its name")
    return rules


def _rule(number: int, raw: Any) -> Rule:
    found = mapped(f"rule {number}", raw, _RULE)
    name = str(found.get("id", f"rule-{number}"))
    try:
        return _built(name, found)
    except ValueError as error:
        raise ValueError(f"rule {name}: {error}") from error


def _built(name: str, raw: Mapping[str, Any]) -> Rule:
    then = mapped("then", raw.get("then"), _THEN)
    latency, per_frame = _latency(then.get("latency", 0.0))
    return Rule(
        id=name,
        when=_when(raw.get("when")),
        script=_script(then),
        fault=_fault(then),
        latency=latency,
        per_frame=number("then.per_frame", then.get("per_frame", per_frame)),
        gate=None if then.get("gate") is None else str(then["gate"]),
    )


def _when(raw: Any) -> When:
    when = mapped("when", raw, WHEN)
    nth = when.get("nth")
    if isinstance(nth, str) and (every := _EVERY.fullmatch(nth)):
        when["every"] = int(every[1])
        del when["nth"]
    elif nth is not None:
        when["nth"] = _counts(nth)
    if when.get("t") is not None:
        when["t"] = _window(when["t"])
    return When(**fitting("when", When, when))


def _counts(raw: Any) -> tuple[int, ...]:
    counts = tuple(raw) if isinstance(raw, list | tuple) else (raw,)
    if not all(isinstance(each, int) and each >= 1 for each in counts):
        raise ValueError(f"`when.nth` must be a count from 1, a list of them, or `every:K`, not {raw!r}")
    return counts


def _window(raw: Any) -> tuple[float, float]:
    ends = [each for each in listed("when.t", raw) if isinstance(each, int | float)]
    if len(ends) != 2 or ends[0] > ends[1]:  # noqa: PLR2004 - a begin and an end
        raise ValueError(f"`when.t` must be two numbers of seconds, the begin and the end, not {raw!r}")
    return float(ends[0]), float(ends[1])


def _latency(raw: Any) -> tuple[Spread | float, float]:
    """Seconds before the answer and before each further piece: of a number, a spread in seconds, or milliseconds."""
    if isinstance(raw, dict) and set(raw) <= {"ttft_ms", "per_token_ms"}:
        first = spread_of("then.latency.ttft_ms", raw.get("ttft_ms", 0.0)).times(_MILLI)
        a_token = number("then.latency.per_token_ms", raw.get("per_token_ms", 0.0))
        return first, a_token * _MILLI * _TOKENS_A_FRAME
    return spread_of("then.latency", raw), 0.0


def _script(then: Mapping[str, Any]) -> tuple[Reply, ...]:
    turns = listed("then.script", then.get("script")) or ([then["reply"]] if "reply" in then else [])
    return tuple(_turn(each) for each in turns)


def _turn(raw: Any) -> Reply:
    if isinstance(raw, str):
        return Reply(text=raw)
    turn = mapped("reply", raw, TURN)
    if turn.pop("echo", False):
        turn["text"] = "{prompt}"
    if "json" in turn:
        turn["text"] = _written(turn.pop("json"))
    turn.pop("from_schema", None)  # an answer without words of its own is made from the schema that was asked for
    if "tokens" in turn:
        turn["words"] = spread_of("reply.tokens", turn.pop("tokens"))
    calls = listed("reply.tool_calls", turn.get("tool_calls"))
    turn["tool_calls"] = tuple(_call(each) for each in calls)
    return Reply(**fitting("reply", Reply, turn))


def _written(raw: Any) -> str:
    try:
        return json.dumps(raw)
    except TypeError as error:  # YAML knows what JSON does not, such as a date without quotes
        raise ValueError(f"`reply.json` cannot be written as JSON: {error}") from error


def _call(raw: Any) -> ToolUse:
    call = fitting("tool_calls", ToolUse, raw)
    if "name" not in call:
        raise ValueError("`tool_calls` says no `name` of a tool")
    return ToolUse(**call)


def _fault(then: Mapping[str, Any]) -> Fault | None:
    name = then.get("fault")
    if name is None:
        return None
    if name not in KNOWN_FAULTS:
        raise ValueError(f"there is no fault {name!r}; there are {', '.join(KNOWN_FAULTS)}")
    parameters = {each: then[each] for each in _FAULT_FIELDS if each in then}
    return Fault(name=str(name), **fitting("then", Fault, parameters))
