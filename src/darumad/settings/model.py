"""The settings as the daemon sees them: frozen values with their defaults, each with the description that people read.

The settings file and the reference are printed from here. A field of type `X | None` may be null; null for any other
field means its default.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from darumad.names import NanoUsd, Seconds
from darumad.settings.places import places
from darumad.settings.units import Bytes, parse_money, parse_size

T = TypeVar("T")
Verdict = Literal["count", "ignore"]
ProviderKind = Literal["anthropic", "ollama", "openai"]
MOST_OPTIMIZERS = 32
"""How many optimizers, and reviewers, there are at most when their count follows the executors'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a number may lie; every bound that is given holds."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None

    def broken_by(self, value: float) -> str | None:
        """The bound that `value` breaks, in words."""
        if self.at_least is not None and value < self.at_least:
            return f"at least {self.at_least:g}"
        if self.above is not None and value <= self.above:
            return f"more than {self.above:g}"
        if self.at_most is not None and value > self.at_most:
            return f"at most {self.at_most:g}"
        return None


POSITIVE = Limits(above=0)
"""More than nothing."""
ONE_UP = Limits(at_least=1)
"""A count of something that must be there."""
SHARE = Limits(at_least=0, at_most=1)
"""A part of a whole."""


def setting(default: T, says: str, limits: Limits | None = None) -> T:
    """A field with its default, its description and where it may lie."""
    return field(default=default, metadata={"says": says, "limits": limits})


def computed(default: Callable[[], T], says: str, shown: str = "") -> T:
    """A field whose default is made for whoever runs the daemon; `shown` is that default in words."""
    return field(default_factory=default, metadata={"says": says, "shown": shown})


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control socket, through which every command speaks to the daemon."""

    socket: Path = computed(
        lambda: places(os.environ).socket,
        "Where the socket lies; its path has at most 107 bytes.",
        "root: `/run/daruma/control.sock`; others: `$XDG_RUNTIME_DIR/daruma/control.sock`, else beside the state",
    )
    group: str | None = setting(
        None, "Whose members may read what the daemon does; null leaves the daemon's own group."
    )
    body_limit: Bytes = setting(parse_size("1MiB"), "The largest request that is read.", POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """The process itself."""

    node: str = setting("local", "What this daemon calls itself in events and as the holder of an item.")
    drain_timeout: Seconds = setting(Seconds(60), "How long a stop lets running items finish.", Limits(at_least=0))
    switch_interval: Seconds = setting(
        Seconds(0.0005), "How long a Python thread may compute before another gets its turn.", POSITIVE
    )
    heartbeat: Seconds = setting(
        Seconds(30), "How often a sign of life is published; the first comes at once.", POSITIVE
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The items that wait."""

    max_items: int = setting(
        10_000, "How many unfinished items are kept; a submit beyond them is told to come back.", ONE_UP
    )
    ageing: Seconds = setting(
        Seconds(600), "How long an item waits to gain one step of priority, so that none waits for ever.", POSITIVE
    )
    reread: Seconds = setting(
        Seconds(5),
        "How often the orchestrator reads the journal without being told to: what a lost hint costs.",
        POSITIVE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The defaults of a work item that does not say otherwise."""

    timeout: Seconds = setting(
        Seconds(1800), "How long one stage may run; waiting for a slot or a limiter does not count.", POSITIVE
    )
    idle_timeout: Seconds = setting(
        Seconds(120), "How long a stage may go without progress; an open model call has limits of its own.", POSITIVE
    )
    backoff: Seconds = setting(Seconds(2), "How long the first retry after a failure waits.", POSITIVE)
    backoff_factor: float = setting(2.0, "By how much each further retry waits longer.", Limits(at_least=1))
    backoff_max: Seconds = setting(Seconds(300), "The longest wait before a retry.", POSITIVE)
    backoff_jitter: float = setting(
        0.2, "Which part of a wait is left to chance, so that items do not come back together.", SHARE
    )
    cancel_grace: Seconds = setting(
        Seconds(5),
        "How long what runs for a cancelled item may take to stop before it is reported as not stopped.",
        POSITIVE,
    )
    unpacked_size: Bytes = setting(
        parse_size("2GiB"), "How large all that was uploaded for one item may be once it is unpacked.", POSITIVE
    )
    unpacked_files: int = setting(100_000, "How many files, directories and links that may be.", Limits(at_least=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Executors:
    """The slots that do the work."""

    count: int = setting(
        16,
        "How many items are executed at once, by each definition that names no count.",
        Limits(at_least=1, at_most=4096),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizers:
    """The slots that prepare what an executor sees."""

    count: int | None = setting(
        None, "How many there are; null takes the executors' count, at most 32.", Limits(at_least=1, at_most=4096)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewers:
    """The slots that judge a result."""

    count: int | None = setting(
        None, "How many there are; null takes the executors' count, at most 32.", Limits(at_least=1, at_most=4096)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """When an agent is restarted, how it gets up again, and when it is benched."""

    error_limit: int = setting(5, "How many counted errors within the error window restart an agent.", ONE_UP)
    error_window: Seconds = setting(Seconds(60), "How long an error counts.", POSITIVE)
    degraded_at: int = setting(3, "How many counted errors in the window make an agent degraded.", ONE_UP)
    backoff_min: Seconds = setting(Seconds(1), "How long the first restart waits.", POSITIVE)
    backoff_max: Seconds = setting(Seconds(60), "The longest wait before a restart.", POSITIVE)
    reset_after: Seconds = setting(
        Seconds(300), "How long an agent stays up before its failures are forgotten.", POSITIVE
    )
    give_up_after: int = setting(8, "How many restarts in a row, without that long of health, bench an agent.", ONE_UP)
    retry_benched: Seconds = setting(Seconds(900), "How often a benched agent is tried again.", POSITIVE)
    ping_deadline: Seconds = setting(
        Seconds(10), "How long an actor may handle one message before it counts as stuck.", POSITIVE
    )
    shutdown: Seconds = setting(
        Seconds(10), "How long an agent's actor may take to stop before it is abandoned.", POSITIVE
    )
    leak_cap: int = setting(3, "How many abandoned threads end the process, to be started anew.", ONE_UP)
    count: Mapping[str, Verdict] = field(
        default_factory=_nothing,
        metadata={"says": "Per kind of error, `count` or `ignore`: overrides whether it counts against the agent."},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Which model provider serves an agent that names none."""

    use: str = setting(
        "auto",
        "A name from `providers`, `offline` for no model at all, or `auto`: Anthropic if there is a key, "
        "Ollama if it answers, otherwise offline.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One model provider; several may be of one kind."""

    kind: ProviderKind = setting("anthropic", "Which protocol it speaks; many servers speak `openai`.")
    base_url: str = setting("https://api.anthropic.com", "Where it answers; without credentials in it.")
    model: str | None = setting(
        "claude-sonnet-5-5", "Which model is asked; null takes the first that the server lists (Ollama), or none."
    )
    key_file: Path | None = setting(
        None,
        "A file with the key, readable by its owner only; a systemd credential `NAME-api-key` is found by itself.",
    )
    key_env: str | None = setting("ANTHROPIC_API_KEY", "The environment variable that holds the key when no file does.")
    embedding_model: str | None = setting(None, "Which model makes vectors of texts; null makes none.")
    fallback: str | None = setting(
        None, "A name from `providers`: who is asked when this one cannot answer; it may name another in turn."
    )
    fallback_when_useless: bool = setting(
        default=False, says="Whether the fallback is asked too when the answer is a refusal or of no use."
    )
    requests_per_minute: int | None = setting(None, "How many calls are sent in any minute at most.", ONE_UP)
    input_tokens_per_minute: int | None = setting(None, "How many tokens are sent in any minute.", ONE_UP)
    output_tokens_per_minute: int | None = setting(None, "How many tokens are answered in any minute.", ONE_UP)
    stream: bool = setting(
        default=True,
        says="Whether answers are asked for piece by piece; without, only `total` bounds the wait for one.",
    )
    concurrency: int = setting(16, "How many calls are open at once.", Limits(at_least=1, at_most=1024))
    connect_timeout: Seconds = setting(Seconds(5), "How long connecting may take.", POSITIVE)
    first_token: Seconds = setting(
        Seconds(30), "How long until the first token; a cold local model takes its time.", POSITIVE
    )
    idle: Seconds = setting(
        Seconds(15), "The longest silence within a reply; keep-alive pings are silence too.", POSITIVE
    )
    total: Seconds = setting(Seconds(600), "How long one call may take in all.", POSITIVE)
    num_ctx: int | None = setting(
        None, "Ollama only: the context window that is asked for, in tokens.", Limits(at_least=512)
    )


BY_KIND: Mapping[str, ProviderSettings] = MappingProxyType(
    {
        "anthropic": ProviderSettings(),
        "ollama": ProviderSettings(
            kind="ollama",
            base_url="http://127.0.0.1:11434",
            model=None,
            key_env=None,
            concurrency=1,
            first_token=Seconds(300),
            num_ctx=8192,
        ),
        "openai": ProviderSettings(
            kind="openai", base_url="https://api.openai.com/v1", model=None, key_env="OPENAI_API_KEY"
        ),
    }
)
"""What a provider of each kind is like unless it says otherwise; those that are always there are named like them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapSettings:
    """What one agent or one provider may use, each day and in total; null sets no limit."""

    daily: NanoUsd | None = setting(None, "The most that it may cost in one day.", Limits(at_least=0))
    daily_tokens: int | None = setting(None, "The most tokens in one day, in and out.", Limits(at_least=0))
    daily_calls: int | None = setting(None, "The most model calls in one day.", Limits(at_least=0))
    total: NanoUsd | None = setting(None, "The most that it may ever cost.", Limits(at_least=0))
    total_tokens: int | None = setting(None, "The most tokens ever.", Limits(at_least=0))
    total_calls: int | None = setting(None, "The most model calls ever.", Limits(at_least=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent on models. What does not fit is not called: its item waits, parked, until there is room."""

    daily: NanoUsd = setting(
        parse_money("5.00 USD"), "The most that all items together may cost in one day.", Limits(at_least=0)
    )
    daily_tokens: int | None = setting(None, "The most tokens in one day, in and out.", Limits(at_least=0))
    daily_calls: int | None = setting(None, "The most model calls in one day.", Limits(at_least=0))
    total: NanoUsd | None = setting(None, "The most that all items together may ever cost.", Limits(at_least=0))
    total_tokens: int | None = setting(None, "The most tokens ever.", Limits(at_least=0))
    total_calls: int | None = setting(None, "The most model calls ever.", Limits(at_least=0))
    item: NanoUsd | None = setting(
        None, "The most that one item may cost over all its attempts, unless it says.", Limits(at_least=0)
    )
    item_tokens: int | None = setting(None, "The most tokens of one item, unless it says.", Limits(at_least=0))
    item_calls: int | None = setting(None, "The most model calls of one item, unless it says.", Limits(at_least=0))
    agents: Mapping[str, CapSettings] = field(
        default_factory=_nothing,
        metadata={"says": "Limits of an agent definition, by its name."},
    )
    providers: Mapping[str, CapSettings] = field(
        default_factory=_nothing,
        metadata={"says": "Limits of a provider, by its name in `providers`."},
    )
    unknown_price: Literal["allow", "refuse"] = setting(
        "allow",
        "What becomes of a call whose price nobody knows: `allow` makes it, and its cost is in no sum; `refuse` parks "
        "its item.",
    )
    time_zone: str = setting("UTC", "In whose midnight a day begins.")

    @property
    def zone(self) -> tzinfo:
        """The time zone itself; UTC also on a machine that knows no zones."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """What a model costs, per million tokens."""

    input: NanoUsd | None = setting(None, "A million tokens that it reads; must be said.", Limits(at_least=0))
    output: NanoUsd | None = setting(None, "A million tokens that it writes; must be said.", Limits(at_least=0))
    cache_read: NanoUsd | None = setting(
        None, "A million tokens that it reads from its cache; null is as `input`.", Limits(at_least=0)
    )
    cache_write: NanoUsd | None = setting(
        None, "A million tokens that it reads into its cache; null is as `input`.", Limits(at_least=0)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """One agent definition of your own. What is null is as for the built-in executor."""

    template: str = setting(
        "general",
        "A template that ships (`echo`, `general`, `documentation`), or a path to one, from the settings file.",
    )
    isolation: Literal["none"] | None = setting(
        None, "`none` runs it in the daemon's own process; a template that does not ship must say so."
    )
    count: int | None = setting(None, "How many items it works on at once.", Limits(at_least=1, at_most=4096))
    provider: str | None = setting(None, "A name from `providers`, or `offline`.")
    timeout: Seconds | None = setting(None, "See `item.timeout`.", POSITIVE)
    idle_timeout: Seconds | None = setting(None, "See `item.idle_timeout`.", POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the daemon writes down while it runs."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least important line that is written.")
    format: Literal["auto", "json", "console"] = setting(
        "auto", "`json`, or `console` for people; `auto` is console on a terminal and JSON elsewhere."
    )
    file: Path | None = setting(None, "A file that gets the same lines as JSON; it may be rotated at any time.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Prometheus metrics. The control socket always serves them."""

    listen: str | None = setting(None, "A loopback address and port that serve them too, such as `127.0.0.1:9464`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The thread on which all agents think."""

    stalled_after: Seconds = setting(
        Seconds(1), "How late the loop may answer before it is reported as stalled.", POSITIVE
    )
    dead_after: Seconds = setting(
        Seconds(10),
        "How long one call may hold the loop before the process ends with 75, so that it is started again.",
        POSITIVE,
    )
    max_in_flight: int = setting(256, "How many model calls are open at once, over all providers.", ONE_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """One lane: a queue within the queue. A lane that is only named by items needs no entry."""

    weight: float = setting(1.0, "How many turns it has for one of a lane of weight 1.", POSITIVE)
    max_running: int | None = setting(
        None,
        "How many of its items may be under way, from their first claim to their end; with 1, two never work on one "
        "thing at once.",
        Limits(at_least=1),
    )
    paused: bool = setting(default=False, says="Whether nothing of it is claimed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """The file that holds everything, and the disk it lies on."""

    ballast: Bytes = setting(
        parse_size("64MiB"),
        "Room that is set aside, and given up when the disk is full so that what is finished can be written.",
        Limits(at_least=0),
    )
    low_water: Bytes = setting(
        parse_size("128MiB"), "With less room than this on the disk nothing new is taken in.", Limits(at_least=0)
    )
    check_after: Seconds | None = setting(
        Seconds(60), "How long after a start every page is looked at, by a child process; null for never.", POSITIVE
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is finished is kept."""

    steps: Seconds = setting(Seconds(7 * 86_400), "The journalled steps of items that succeeded.", POSITIVE)
    events: Seconds = setting(Seconds(30 * 86_400), "What happened, as `daruma events` tells it.", POSITIVE)
    results: Seconds = setting(
        Seconds(90 * 86_400), "Finished items with their results, and all that belongs to them.", POSITIVE
    )
    ids: Seconds = setting(
        Seconds(30 * 86_400),
        "For how much longer the id of an item that is gone stays taken, and how it ended is known.",
        POSITIVE,
    )
    workspaces: Seconds = setting(Seconds(14 * 86_400), "The files of finished items.", POSITIVE)
    workspaces_size: Bytes = setting(
        parse_size("10GiB"), "How large all workspaces may be together; the oldest go first.", POSITIVE
    )
    every: Seconds = setting(Seconds(3600), "How often what is old is looked for.", POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be set, checked. `Settings()` is a daemon with nothing configured, for whoever runs it."""

    state_dir: Path = computed(
        lambda: places(os.environ).state,
        "Where the journal, the workspaces and the results lie; one daemon has it at a time.",
        "root: `/var/lib/daruma`; others: `$XDG_STATE_HOME/daruma`, else `~/.local/state/daruma`",
    )
    control: Control = field(default_factory=Control)
    daemon: Daemon = field(default_factory=Daemon)
    queue: Queue = field(default_factory=Queue)
    item: Item = field(default_factory=Item)
    executors: Executors = field(default_factory=Executors)
    optimizers: Optimizers = field(default_factory=Optimizers)
    reviewers: Reviewers = field(default_factory=Reviewers)
    supervision: Supervision = field(default_factory=Supervision)
    provider: Provider = field(default_factory=Provider)
    providers: Mapping[str, ProviderSettings] = field(
        default_factory=lambda: MappingProxyType({**BY_KIND}),
        metadata={"says": "The model providers, by name; `anthropic`, `ollama` and `openai` are always there."},
    )
    budget: Budget = field(default_factory=Budget)
    prices: Mapping[str, PriceSettings] = field(
        default_factory=_nothing,
        metadata={
            "says": "What models cost, by `MODEL` or `PROVIDER/MODEL`; those of Anthropic and OpenAI are known, and "
            "what stands here is believed before them."
        },
    )
    agents: Mapping[str, AgentSettings] = field(
        default_factory=_nothing,
        metadata={"says": "Agent definitions of your own, by name."},
    )
    lanes: Mapping[str, LaneSettings] = field(
        default_factory=_nothing,
        metadata={"says": "Lanes with a weight or a limit, by name; `default` is the lane of items that name none."},
    )
    journal: JournalSettings = field(default_factory=JournalSettings)
    retention: Retention = field(default_factory=Retention)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    bridge: Bridge = field(default_factory=Bridge)
    said: Mapping[str, str] = field(default_factory=_nothing, repr=False, compare=False)
    """Where each value that is no default came from, by its dotted key; see `origins`."""

    @property
    def optimizer_count(self) -> int:
        """How many optimizers there are."""
        return self.optimizers.count or min(self.executors.count, MOST_OPTIMIZERS)

    @property
    def reviewer_count(self) -> int:
        """How many reviewers there are."""
        return self.reviewers.count or min(self.executors.count, MOST_OPTIMIZERS)
