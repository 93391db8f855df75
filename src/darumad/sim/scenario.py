"""What the simulator answers, as rules: the first that matches wins; chance is drawn from names, not from order.

A draw is a hash of (seed, rule, caller, count), so that however calls overlap the same ones fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any

from darumad.sim.pattern import is_in
from darumad.sim.prefix import Prefix
from darumad.sim.spread import Spread

LOOK_UP = "models"
"""The endpoint of what is looked up without asking a model: the list of models, and the like."""
ASKING = "POST"
"""The method by which a model is asked."""
GENERAL_HARMS = "general_harms"
"""Why a model declines unless a scenario says another of the categories that Anthropic has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, in words that all vendors share. `prompt` is all of its text, joined; it is looked up with no text.

    `at` is seconds since the scenario began, `open` how many requests its listener has open, this one included.
    `prefixes` are those that it marks to be kept; of its tokens `cached` were, and `kept` are from now on.
    The answer ends before a text of `stops`. `metered`: it takes of what its listener grants a minute. `num_ctx` is the
    context window that it asks for, in tokens. `usage`: a stream shall say what was used.
    """

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
    stops: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0
    open: int = 1
    prefixes: tuple[Prefix, ...] = ()
    cached: int = 0
    kept: int = 0
    metered: bool = True
    method: str = ASKING
    num_ctx: int | None = None
    usage: bool = True


_BARRED = frozenset({401, 403})
"""What a vendor answers to a key that it does not take."""


def alias_free(model: str) -> str:
    """The model's own name: `NAME@KEY` says who asks, too."""
    return model.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Which requests a rule is for; None matches everything. `nth` counts the caller's requests that match the rest.

    `listener`, `model` and `key` are globs; `prompt_re` and `system_re` are searched for; `header` names one that
    must be there; `method` is HTTP's; `t` is a window in seconds since the scenario began; `concurrency_gt` fits while
    more requests than that are open at the listener; `max` ends the rule after so many answers, whoever got them.
    """

    listener: str | None = None
    endpoint: str | None = None
    method: str | None = None
    model: str | None = None
    key: str | None = None
    prompt_re: str | None = None
    system_re: str | None = None
    has_tool: str | None = None
    last_role: str | None = None
    stream: bool | None = None
    header: str | None = None
    t: tuple[float, float] | None = None
    concurrency_gt: int | None = None
    nth: tuple[int, ...] | None = None
    every: int | None = None
    p: float | None = None
    max: int | None = None

    def fits(self, asked: Asked) -> bool:
        """Whether the request is of the kind; counting and chance come after."""
        return self._fits_who(asked) and self._fits_what(asked) and self._fits_now(asked)

    def _fits_who(self, asked: Asked) -> bool:
        globs = ((self.listener, asked.listener), (self.model, asked.model), (self.key, asked.key))
        named = self.header is None or self.header.lower() in asked.headers
        return named and all(glob is None or fnmatchcase(value, glob) for glob, value in globs)

    def _fits_what(self, asked: Asked) -> bool:
        patterns = ((self.prompt_re, asked.prompt), (self.system_re, asked.system))
        return (
            all(pattern is None or is_in(pattern, text) for pattern, text in patterns)
            and self.endpoint in {None, asked.endpoint}
            and self.method in {None, asked.method}
            and (self.has_tool is None or self.has_tool in asked.tools)
            and self.last_role in {None, asked.last_role}
            and self.stream in {None, asked.stream}
        )

    def _fits_now(self, asked: Asked) -> bool:
        within = self.t is None or self.t[0] <= asked.at < self.t[1]
        return within and (self.concurrency_gt is None or asked.open > self.concurrency_gt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A call of a tool in a reply. `raw` goes out in place of the arguments, however broken; `id` of the vendor's."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says. `stop` None is the natural end, in Anthropic's words; `thinking` is said before the rest.

    In `text`, `{key}`, `{n}` and `{prompt}` stand for who asks, how often it has, and what; `{random}` for 16 hex
    digits that no other reply has; `words` draws a length in tokens for an answer that has no text of its own.
    `unended` leaves out what a stream ends with; `model` is who says to have answered, in place of who was asked;
    `stopped_by` is the text, named by the caller, at which it ended; `category` is why it was declined, if it was.
    """

    text: str = ""
    tool_calls: tuple[ToolUse, ...] = ()
    thinking: str | None = None
    stop: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    words: Spread | None = None
    model: str = ""
    stopped_by: str | None = None
    category: str | None = GENERAL_HARMS
    unended: bool = False
    mute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with the answer: a name of `faults.FAULTS` or `spoiled.SPOILED`, and its parameters.

    `text` is said in an error's message, or is its whole body with `body: raw`; with `body: echo` the message repeats
    the caller's key. `after` counts the frames (events, lines) that go well; None takes the share `frac` of them.
    `interval` is seconds. `category` None is a refusal of no named category.
    """

    name: str
    after: int | None = None
    frac: float = 0.5
    code: int = 500
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "std"
    text: str = ""
    type: str = "overloaded_error"
    error_code: str | None = None
    phase: str = "body"
    mode: str = ""
    where: str = "body"
    category: str | None = GENERAL_HARMS
    bytes: int = 0
    interval: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `script` gives the caller's first request its first reply, and so on; the last one stays.

    `latency` is drawn, in seconds, before anything is sent; `per_frame` passes before each further piece; `gate`
    holds the answer until it is released by name.
    """

    id: str
    when: When = field(default_factory=When)
    script: tuple[Reply, ...] = ()
    fault: Fault | None = None
    latency: Spread | float = 0.0
    per_frame: float = 0.0
    gate: str | None = None

    def fits(self, asked: Asked) -> bool:
        """Whether it is for the request. What is looked up is for those rules alone that mean it."""
        return (asked.endpoint != LOOK_UP or self._means_all) and self.when.fits(asked)

    @property
    def _means_all(self) -> bool:
        """Whether it says what is asked for, or refuses everybody's key: a wrong key is wrong for a list, too."""
        said = self.when.endpoint is not None or self.when.method is not None
        return said or (_refuses_a_key(self.fault) and replace(self.when, listener=None) == When())


def _refuses_a_key(fault: Fault | None) -> bool:
    return fault is not None and fault.name == "http_status" and fault.code in _BARRED


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done with one request: by which rule, the caller's how-manieth of that rule it is, and its draw."""

    rule: Rule
    n: int
    reply: Reply | None
    draw: float = 0.5

    @property
    def latency(self) -> float:
        """Seconds before anything is sent."""
        latency = self.rule.latency
        return latency.at(self.draw) if isinstance(latency, Spread) else latency


OTHERWISE = (Rule(id="otherwise", script=(Reply(text="ack {key}#{n}"),)), Rule(id="", when=When(endpoint=LOOK_UP)))
"""The rules behind all others: for who asks a model, and for what is looked up as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a listener grants in a minute, refused with 429 beyond it and told in headers; None grants everything."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How a model server is: `parallel` chats at once, `queue` more that wait, the rest refused with 503.

    `num_ctx` is the largest context window, in tokens, that it grants: a prompt that is longer, or longer than the
    window that its request asks for, is cut in silence, or refused with `overflow: error`. `load` is seconds before a
    model's first answer. With `gzip`, answers go out compressed to who accepts that. `api_key` is a glob of the keys
    that it takes: who comes with another, or without one, is refused with 401. None takes everybody's.
    """

    parallel: int = 10_000
    queue: int = 512
    num_ctx: int | None = None
    overflow: str = "truncate"
    load: float = 0.0
    gzip: bool = False
    api_key: str | None = None

    def takes(self, key: str) -> bool:
        """Whether a caller's key is one of its own."""
        return self.api_key is None or fnmatchcase(key, self.api_key)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Rules from the top down, the seed of chance, and what the listeners grant and are, by a glob of their names.

    `time_scale` stretches time: at 0.1 a scenario written for a minute plays in six seconds. At 0 no wait takes any.
    """

    rules: tuple[Rule, ...] = ()
    seed: int = 0
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    time_scale: float = 1.0

    @property
    def pace(self) -> float:
        """Seconds that one second of it takes."""
        return self.time_scale or 1.0

    def quota(self, listener: str) -> Quota:
        """What `listener` grants."""
        return next((each for glob, each in self.quotas.items() if fnmatchcase(listener, glob)), Quota())

    def server(self, listener: str) -> Server:
        """How `listener` is as a local model server."""
        return next((each for glob, each in self.servers.items() if fnmatchcase(listener, glob)), Server())


class Director:
    """Plays a scenario: the counts that it keeps are all that changes."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._asked: dict[tuple[str, str], int] = {}
        self._answered: dict[str, int] = {}

    def choose(self, asked: Asked) -> Choice:
        """The first rule that matches, and its reply for this request."""
        for rule in (*self._scenario.rules, *OTHERWISE):
            if not rule.fits(asked):
                continue
            n = self._asked[rule.id, asked.key] = self._asked.get((rule.id, asked.key), 0) + 1
            if self._takes(rule, asked.key, n):
                self._answered[rule.id] = self._answered.get(rule.id, 0) + 1
                return Choice(rule, n, _reply(rule, n), draw(self._scenario.seed, f"{rule.id} latency", asked.key, n))
        raise AssertionError("the last rules take everything")

    def _takes(self, rule: Rule, key: str, n: int) -> bool:
        when = rule.when
        return (
            (when.nth is None or n in when.nth)
            and (when.every is None or n % when.every == 0)
            and (when.max is None or self._answered.get(rule.id, 0) < when.max)
            and (when.p is None or draw(self._scenario.seed, rule.id, key, n) < when.p)
        )


def draw(seed: int, rule: str, key: str, n: int) -> float:
    """A number from 0.0 to 1.0 that these four always give."""
    digest = blake2b(f"{seed}\0{rule}\0{key}\0{n}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _reply(rule: Rule, n: int) -> Reply | None:
    return rule.script[min(n, len(rule.script)) - 1] if rule.script else None
