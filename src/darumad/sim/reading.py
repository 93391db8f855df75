"""A scenario from a parsed YAML or JSON document; whatever is wrong in it is told with the rule it is in."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from darumad.sim.faults import FAULTS, UNHEARD, VENDOR_FAULTS
from darumad.sim.fitting import Unfit, fitting, listed, mapped, number, only, said_in, together
from darumad.sim.parameters import refuse_unheeded
from darumad.sim.scenario import ASKING, LOOK_UP, Fault, Quota, Reply, Rule, Scenario, Server, ToolUse, When
from darumad.sim.spoiled import MODES, SPOILED
from darumad.sim.spread import Spread, spread_of
from darumad.sim.vendor import VENDORS, vendor_of

_TOKENS_A_FRAME = 7.5
"""A piece of a stream is 24 characters, at 3.2 characters a token."""
_MILLI = 0.001
_EVERY = re.compile(r"every:0*([1-9][0-9]*)")
_SCENARIO = frozenset({"seed", "rules", "quotas", "servers", "time_scale"})
_RULE = frozenset({"id", "when", "then"})
WHEN = tuple(name for name in When.__dataclass_fields__ if name != "every")
"""What a `when` may say: `every` is written as an `nth`."""
_PLAIN = frozenset(WHEN) - {"nth", "t"}
_FAULT_FIELDS = tuple(name for name in Fault.__dataclass_fields__ if name != "name")
TURN = frozenset({
    "text", "json", "from_schema", "echo", "tokens", "tool_calls", "thinking", "stop", "output_tokens", "input_tokens",
    "model",
})  # fmt: skip
"""What a reply may say."""
_WORDS = ("text", "json", "echo", "from_schema", "tokens")
"""Each of them says what is answered."""
_MADE = frozenset({"json", "echo", "from_schema", "tokens", "tool_calls"})
KNOWN_FAULTS = tuple(sorted({*FAULTS, *VENDOR_FAULTS, *SPOILED}))
"""Every fault, by name."""
_THEN = frozenset({"reply", "script", "fault", "latency", "per_frame", "gate", *_FAULT_FIELDS})


def scenario_of(document: Any, listeners: Collection[str] | None = None) -> Scenario:
    """The scenario that a document describes, for `listeners` of these names where it is known which there are.

    Raises:
        ValueError: names all that is wrong, each with its rule, the key, and what it must be.
    """
    if document is None:
        raise ValueError("`scenario` must be a mapping; {} is one without rules")
    found = mapped("scenario", document)
    _, rules, seed, quotas, servers, time_scale = together(
        lambda: only("scenario", found, _SCENARIO),
        lambda: _rules(listed("rules", found.get("rules")), listeners),
        lambda: number("seed", found.get("seed", 0), int),
        lambda: _parts("quotas", Quota, found.get("quotas"), listeners),
        lambda: _parts("servers", Server, found.get("servers"), listeners),
        lambda: number("time_scale", found.get("time_scale", 1.0)),
    )
    return Scenario(rules, seed, quotas=quotas, servers=servers, time_scale=time_scale)


def _parts(what: str, form: type[Any], raw: Any, listeners: Collection[str] | None) -> dict[str, Any]:
    found = {str(glob): each for glob, each in mapped(what, raw).items()}
    parts, _ = together(
        lambda: together(*(partial(_part, f"{what}.{glob}", form, each) for glob, each in found.items())),
        lambda: together(*(partial(_heard, what, glob, listeners) for glob in found)),
    )
    return dict(zip(found, parts, strict=True))


def _part(what: str, form: type[Any], raw: Any) -> Any:
    return form(**fitting(what, form, raw))


def _heard(what: str, glob: str, listeners: Collection[str] | None) -> Collection[str]:
    """Those of `listeners` that `glob` fits."""
    fit = [each for each in listeners or () if fnmatchcase(each, glob)]
    if listeners is not None and not fit:
        raise ValueError(f"`{what}` must fit a listener: {', '.join(listeners)}; not {glob!r}")
    return fit


def _rules(raw: Sequence[Any], listeners: Collection[str] | None) -> tuple[Rule, ...]:
    named = [(_name(number, each), each) for number, each in enumerate(raw, 1)]
    _, *rules = together(
        lambda: _refuse_twice([name for name, _ in named]),
        *(partial(_rule, name, each, listeners) for name, each in named),
    )
    return tuple(rules)


def _name(number: int, raw: Any) -> str:
    return str(raw.get("id", f"rule-{number}")) if isinstance(raw, Mapping) else f"rule-{number}"


def _refuse_twice(names: Sequence[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise Unfit(*(f"two rules are called {name}: each is counted under its name" for name in twice))


def _rule(name: str, raw: Any, listeners: Collection[str] | None) -> Rule:
    found = mapped(name, raw)
    try:
        return _built(name, found, listeners)
    except ValueError as error:
        raise Unfit(*(f"rule {name}: {each}" for each in said_in(error))) from error


def _built(name: str, raw: Mapping[str, Any], listeners: Collection[str] | None) -> Rule:
    _, when, then = together(
        lambda: only("rule", raw, _RULE),
        lambda: _when(raw.get("when"), listeners),
        lambda: _then(mapped("then", raw.get("then"))),
    )
    _refuse_unsaid(when, then)
    return Rule(id=name, when=when, **then)


def _refuse_unsaid(when: When, then: Mapping[str, Any]) -> None:
    """Refuses what only a model could say, in a rule for what is looked up without asking one."""
    if when.endpoint != LOOK_UP and when.method in {None, ASKING}:
        return
    spoils = then["fault"] is not None and then["fault"].name in SPOILED
    if then["script"] or spoils:
        what = f"the fault {then['fault'].name}" if spoils else "a reply"
        raise ValueError(f"{what} is what a model says, and none is asked for what is looked up; another fault may be")


def _then(then: Mapping[str, Any]) -> Mapping[str, Any]:
    _, _, script, fault, (latency, per_token), per_frame = together(
        lambda: only("then", then, _THEN),
        lambda: _refuse_unheeded(then),
        lambda: _script(then),
        lambda: _fault(then),
        lambda: _latency(then.get("latency", 0.0)),
        lambda: number("then.per_frame", then.get("per_frame", 0.0)),
    )
    gate = None if then.get("gate") is None else str(then["gate"])
    per_frame = per_frame if "per_frame" in then else per_token
    return {"script": script, "fault": fault, "latency": latency, "per_frame": per_frame, "gate": gate}


def _refuse_unheeded(then: Mapping[str, Any]) -> None:
    """Refuses what another key of the same rule keeps from ever being heard."""
    says, fault = [each for each in ("reply", "script") if each in then], then.get("fault")
    parameters = [each for each in _FAULT_FIELDS if each in then]
    if len(says) > 1:
        raise ValueError("`then` has a `reply` and a `script`, whose first turn is its first reply: keep one")
    if says and str(fault) in UNHEARD:
        raise ValueError(f"`then.{says[0]}` is never heard, for the fault {fault} answers in its place: keep one")
    if parameters and fault is None:
        raise ValueError(f"`then` has {', '.join(parameters)} for a fault, and names no `fault`")


def _when(raw: Any, listeners: Collection[str] | None) -> When:
    when = mapped("when", raw)
    plain = {name: value for name, value in when.items() if name in _PLAIN}
    _, counted, window, fits, _ = together(
        lambda: only("when", when, WHEN),
        lambda: _counted(when.get("nth")),
        lambda: _window(when.get("t")),
        lambda: fitting("when", When, plain),
        lambda: _reached(when, listeners),
    )
    return When(**fits, **counted, t=window)


def _reached(when: Mapping[str, Any], listeners: Collection[str] | None) -> None:
    """Refuses a listener, an endpoint, or a method of it that is not there; what is no text is told elsewhere."""
    listener, endpoint, method = (when.get(each) for each in ("listener", "endpoint", "method"))
    named = _heard("when.listener", listener, listeners) if isinstance(listener, str) else listeners
    vendors = {vendor_of(each) for each in named} if named else VENDORS
    ways = [way for name, vendor in VENDORS.items() if name in vendors for way in vendor.ENDPOINTS.items()]
    _one_of("when.endpoint", endpoint, {name for name, _ in ways})
    _one_of("when.method", method, {each for name, methods in ways if endpoint in (None, name) for each in methods})


def _one_of(what: str, said: Any, known: Collection[str]) -> None:
    if isinstance(said, str) and said not in known:
        raise ValueError(f"`{what}` must be one of {', '.join(sorted(known))}, not {said!r}")


def _counted(raw: Any) -> Mapping[str, Any]:
    """As `When` has it: `nth`, or `every`."""
    if isinstance(raw, str) and (every := _EVERY.fullmatch(raw)):
        return {"every": int(every[1])}
    return {} if raw is None else {"nth": _counts(raw)}


def _counts(raw: Any) -> tuple[int, ...]:
    counts = tuple(raw) if isinstance(raw, list | tuple) else (raw,)
    if not counts or not all(isinstance(each, int) and each >= 1 for each in counts):
        raise ValueError(f"`when.nth` must be a count from 1, a list of them, or `every:K`, not {raw!r}")
    return counts


def _window(raw: Any) -> tuple[float, float] | None:
    if raw is None:
        return None
    ends = [each for each in listed("when.t", raw) if isinstance(each, int | float)]
    if len(ends) != 2 or not max(ends[0], 0) < ends[1]:  # noqa: PLR2004 - a begin and an end
        raise ValueError(f"`when.t` must be two numbers of seconds, the begin and a later end, not {raw!r}")
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
    return tuple(together(*(partial(_turn, each) for each in turns)))


def _turn(raw: Any) -> Reply:
    if isinstance(raw, str):
        return Reply(text=raw)
    turn = mapped("reply", raw)
    said = {name: value for name, value in turn.items() if name not in _MADE}
    _, text, words, calls, fits = together(
        lambda: only("reply", turn, TURN),
        lambda: _text(turn),
        lambda: {"words": spread_of("reply.tokens", turn["tokens"])} if "tokens" in turn else {},
        lambda: together(*(partial(_call, each) for each in listed("reply.tool_calls", turn.get("tool_calls")))),
        lambda: fitting("reply", Reply, {name: value for name, value in said.items() if name in TURN}),
    )
    return Reply(**{**fits, **text, **words, "tool_calls": tuple(calls)})


def _text(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    """The text that is made of another key; an answer that has no words at all is made from the schema asked for."""
    given = [each for each in _WORDS if each in turn]
    if len(given) > 1:
        raise ValueError(f"`reply` says what is answered in {' and '.join(given)}: keep one")
    if "json" in turn:
        return {"text": _written("reply.json", turn["json"])}
    return {"text": "{prompt}"} if turn.get("echo") else {}


def _written(what: str, raw: Any) -> str:
    try:
        return json.dumps(raw)
    except (TypeError, ValueError) as error:  # YAML knows what JSON does not: a date, a mapping within itself
        raise ValueError(f"`{what}` cannot be written as JSON: {error}") from error


def _call(raw: Any) -> ToolUse:
    call = fitting("tool_calls", ToolUse, raw)
    if "name" not in call:
        raise ValueError("`tool_calls` says no `name` of a tool")
    _written("tool_calls.args", call.get("args"))
    return ToolUse(**call)


def _fault(then: Mapping[str, Any]) -> Fault | None:
    name = then.get("fault")
    if name is None:
        return None
    if name not in KNOWN_FAULTS:
        raise ValueError(f"there is no fault {name!r}; there are {', '.join(KNOWN_FAULTS)}")
    parameters = {each: then[each] for each in _FAULT_FIELDS if each in then}
    fits, _, _ = together(
        lambda: fitting("then", Fault, parameters),
        lambda: refuse_unheeded(str(name), parameters),
        lambda: _spoils(str(name), then.get("mode")),
    )
    return Fault(name=str(name), **fits)


def _spoils(fault: str, mode: Any) -> None:
    """Refuses a `mode` that the fault does not know; what is no text is told elsewhere."""
    if isinstance(mode, str) and fault in MODES and mode not in MODES[fault]:
        raise ValueError(f"`then.mode` must be one of {', '.join(MODES[fault])} for {fault}, not {mode!r}")
