"""What the simulator answers, as rules: the first that matches wins; chance is drawn from names, not from order.

A draw is a hash of (seed, rule, caller, count), so that however calls overlap the same ones fail.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a model's answer, in words that all vendors share. `prompt` is all of its text, joined."""

    listener: str
    endpoint: str
    key: str
    model: str
    prompt: str
    system: str = ""
    tools: tuple[str, ...] = ()
    last_role: str = "user"
    stream: bool = False
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Which requests a rule is for; None matches everything. `nth` counts the caller's requests that match the rest.

    `listener`, `model` and `key` are globs; `prompt_re` and `system_re` are searched for; `most` ends the rule
    after so many answers, whoever got them.
    """

    listener: str | None = None
    endpoint: str | None = None
    model: str | None = None
    key: str | None = None
    prompt_re: str | None = None
    system_re: str | None = None
    has_tool: str | None = None
    last_role: str | None = None
    stream: bool | None = None
    nth: tuple[int, ...] | None = None
    every: int | None = None
    p: float | None = None
    most: int | None = None

    def fits(self, asked: Asked) -> bool:
        """Whether the request is of the kind; counting and chance come after."""
        return (
            all(
                glob is None or fnmatchcase(value, glob)
                for glob, value in ((self.listener, asked.listener), (self.model, asked.model), (self.key, asked.key))
            )
            and all(
                pattern is None or re.search(pattern, text)
                for pattern, text in ((self.prompt_re, asked.prompt), (self.system_re, asked.system))
            )
            and self.endpoint in {None, asked.endpoint}
            and (self.has_tool is None or self.has_tool in asked.tools)
            and self.last_role in {None, asked.last_role}
            and self.stream in {None, asked.stream}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A call of a tool in a reply. `raw` goes out in place of the arguments, however broken it is."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says. `stop` None is the natural end; `thinking` is said before the rest.

    In `text`, `{key}`, `{n}` and `{prompt}` stand for who asks, how often it has, and what.
    """

    text: str = ""
    tool_calls: tuple[ToolUse, ...] = ()
    thinking: str | None = None
    stop: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with the answer: a name of `faults.FAULTS`, and its parameters. `after` counts frames."""

    name: str
    after: int = 0
    code: int = 500
    retry_after: float | None = None
    body: str = "std"
    type: str = "overloaded_error"
    interval: float = 0.05
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `script` gives the caller's first request its first reply, and so on; the last one stays.

    `latency` is seconds before anything is sent, `per_frame` before each further piece; `gate` holds the answer
    until it is released by name.
    """

    id: str
    when: When = field(default_factory=When)
    script: tuple[Reply, ...] = ()
    fault: Fault | None = None
    latency: float = 0.0
    per_frame: float = 0.0
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done with one request: by which rule, and the caller's how-manieth of that rule it is."""

    rule: Rule
    n: int
    reply: Reply | None


OTHERWISE = Rule(id="otherwise", script=(Reply(text="ack {key}#{n}"),))
"""The rule behind all others."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Rules from the top down, and the seed of chance."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0


class Director:
    """Plays a scenario: the counts that it keeps are all that changes."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._asked: dict[tuple[str, str], int] = {}
        self._answered: dict[str, int] = {}

    def choose(self, asked: Asked) -> Choice:
        """The first rule that matches, and its reply for this request."""
        for rule in (*self._scenario.rules, OTHERWISE):
            if not rule.when.fits(asked):
                continue
            n = self._asked[rule.id, asked.key] = self._asked.get((rule.id, asked.key), 0) + 1
            if self._takes(rule, asked.key, n):
                self._answered[rule.id] = self._answered.get(rule.id, 0) + 1
                return Choice(rule, n, _reply(rule, n))
        raise AssertionError("the last rule takes everything")

    def _takes(self, rule: Rule, key: str, n: int) -> bool:
        when = rule.when
        return (
            (when.nth is None or n in when.nth)
            and (when.every is None or n % when.every == 0)
            and (when.most is None or self._answered.get(rule.id, 0) < when.most)
            and (when.p is None or draw(self._scenario.seed, rule.id, key, n) < when.p)
        )


def draw(seed: int, rule: str, key: str, n: int) -> float:
    """A number from 0.0 to 1.0 that these four always give."""
    digest = blake2b(f"{seed}\0{rule}\0{key}\0{n}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _reply(rule: Rule, n: int) -> Reply | None:
    return rule.script[min(n, len(rule.script)) - 1] if rule.script else None


# --- from a file ------------------------------------------------------------------------------------------------------


def scenario_of(document: Mapping[str, Any]) -> Scenario:
    """The scenario that a parsed YAML or JSON document describes.

    Raises:
        ValueError: names the rule and what is wrong with it.
    """
    rules = document.get("rules") or []
    return Scenario(tuple(_rule(number, each) for number, each in enumerate(rules, 1)), int(document.get("seed", 0)))


def _rule(number: int, raw: Mapping[str, Any]) -> Rule:
    name = str(raw.get("id", f"rule-{number}"))
    try:
        then = dict(raw.get("then") or {})
        return Rule(
            id=name,
            when=When(**_when(raw.get("when") or {})),
            script=_script(then),
            fault=_fault(then.get("fault"), then),
            latency=float(then.get("latency", 0.0)),
            per_frame=float(then.get("per_frame", 0.0)),
            gate=then.get("gate"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"rule {name}: {error}") from error


def _when(raw: Mapping[str, Any]) -> dict[str, Any]:
    when = dict(raw)
    if "nth" in when:
        nth = when["nth"]
        when["nth"] = tuple(nth) if isinstance(nth, Sequence) else (int(nth),)
    if "max" in when:
        when["most"] = int(when.pop("max"))
    return when


def _script(then: Mapping[str, Any]) -> tuple[Reply, ...]:
    turns = then.get("script") or ([then["reply"]] if "reply" in then else [])
    return tuple(_turn(each) for each in turns)


def _turn(raw: Any) -> Reply:
    if isinstance(raw, str):
        return Reply(text=raw)
    turn = dict(raw)
    turn["tool_calls"] = tuple(ToolUse(**each) for each in turn.get("tool_calls", ()))
    return Reply(**turn)


_FAULT_FIELDS = ("after", "code", "retry_after", "body", "type", "interval", "error_code")


def _fault(name: Any, then: Mapping[str, Any]) -> Fault | None:
    if name is None:
        return None
    return Fault(name=str(name), **{each: then[each] for each in _FAULT_FIELDS if each in then})
