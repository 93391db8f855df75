"""The settings as the daemon sees them: frozen values with their defaults, each with the description that people read.

The settings file and the reference are printed from here. A field of type `X | None` may be null; null for any other
field means its default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from darumad.names import Seconds
from darumad.settings.fields import ONE_UP, POSITIVE, SHARE, Bounds, computed, named, nothing, setting
from darumad.settings.places import places
from darumad.settings.providers import BY_KIND, Budget, PriceSettings, Provider, ProviderSettings
from darumad.settings.units import Bytes, parse_size
from darumad.values import Value, field

Verdict = Literal["count", "ignore"]
MOST_OPTIMIZERS = 32
"""How many optimizers, and reviewers, there are at most when their count follows the executors'."""


class Control(Value, kw_only=True):
    """The control socket, through which every command speaks to the daemon."""

    socket: Path = computed(
        lambda: places(os.environ).socket,
        "Where the socket lies; its path has at most 107 bytes.",
        "root: `/run/daruma/control.sock`; others: `$XDG_RUNTIME_DIR/daruma/control.sock`, else beside the state",
    )
    group: str | None = setting(
        None,
        "Whose members may read what the daemon does; null leaves the daemon's own group. Where systemd opens the "
        "socket, its unit says so, by `SocketGroup=`.",
    )
    head_timeout: Seconds = setting(
        Seconds(10), "How long the head of a request may take to come, here and at `metrics.listen`.", POSITIVE
    )
    body_timeout: Seconds = setting(
        Seconds(30), "How long each MiB of a request's body, or what is left of it, may take to come.", POSITIVE
    )


class Daemon(Value, kw_only=True):
    """The process itself."""

    node: str = setting("local", "What this daemon calls itself in events and as the holder of an item.")
    drain_timeout: Seconds = setting(Seconds(60), "How long a stop lets running items finish.", Bounds(at_least=0))
    switch_interval: Seconds = setting(
        Seconds(0.0005),
        "How long a Python thread may compute before another gets its turn, while one is there that only computes; else"
        " it is 5 ms, or this if it is more.",
        POSITIVE,
    )
    one_core: bool = setting(
        default=True,
        says="Whether the threads that share the interpreter keep to the core that the daemon starts on; children and"
        " the threads beside the agents' loop run anywhere.",
    )
    heartbeat: Seconds = setting(
        Seconds(30), "How often a sign of life is published; the first comes at once.", POSITIVE
    )


class Queue(Value, kw_only=True):
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


class Item(Value, kw_only=True):
    """The defaults of a work item that does not say otherwise."""

    timeout: Seconds = setting(
        Seconds(1800),
        "How long one stage may run, waiting for a slot not counted, nor an open model call: "
        "that has limits of its own.",
        POSITIVE,
    )
    idle_timeout: Seconds = setting(
        Seconds(120), "How long a stage may go without progress; an open model call has limits of its own.", POSITIVE
    )
    backoff: Seconds = setting(Seconds(2), "How long the first retry after a failure waits.", POSITIVE)
    backoff_factor: float = setting(2.0, "By how much each further retry waits longer.", Bounds(at_least=1))
    backoff_max: Seconds = setting(Seconds(300), "The longest wait before a retry.", POSITIVE)
    backoff_jitter: float = setting(
        0.2, "Which part of a wait is left to chance, so that items do not come back together.", SHARE
    )
    cancel_grace: Seconds = setting(
        Seconds(5),
        "How long what runs for a cancelled item may take to stop before it is reported as not stopped.",
        POSITIVE,
    )
    result_limit: Bytes = setting(
        parse_size("16MiB"), "How large a result, or what a step returns, may be as JSON; files do not count.", POSITIVE
    )
    unpacked_size: Bytes = setting(
        parse_size("2GiB"), "How large all that was uploaded for one item may be once it is unpacked.", POSITIVE
    )
    input_roots: tuple[Path, ...] = setting(
        (), "The directories whose files an item may name by their path, where the daemon reads them. None by default."
    )
    unpacked_files: int = setting(100_000, "How many files and directories that may be.", Bounds(at_least=1))


class Executors(Value, kw_only=True):
    """The slots that do the work."""

    count: int = setting(
        16,
        "How many items are executed at once, by each definition that names no count.",
        Bounds(at_least=1, at_most=4096),
    )
    idle: Seconds = setting(
        Seconds(3600), "How long the agents of a definition stay without work; the built-in executor's stay.", POSITIVE
    )
    most_definitions: int = setting(
        100, "For how many definitions, beside the built-in executor, agents stand at once.", ONE_UP
    )


class Optimizers(Value, kw_only=True):
    """The slots that prepare what an executor sees."""

    count: int | None = setting(
        None, "How many there are; null takes the executors' count, at most 32.", Bounds(at_least=1, at_most=4096)
    )


class Reviewers(Value, kw_only=True):
    """The slots that judge a result."""

    count: int | None = setting(
        None, "How many there are; null takes the executors' count, at most 32.", Bounds(at_least=1, at_most=4096)
    )


class Supervision(Value, kw_only=True):
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
    count: Mapping[str, Verdict] = named(
        "Per kind of error, `count` or `ignore`: overrides whether it counts against the agent."
    )


SHIPPED_AGENTS: Mapping[str, str] = MappingProxyType(
    {"executor": "general", "documentation": "documentation", "echo": "echo"}
)
"""The executors that are there without any setting, and their templates."""


class AgentSettings(Value, kw_only=True):
    """One agent definition of your own. What is null is as for the built-in executor."""

    template: str = setting(
        "general",
        "A template that ships (`echo`, `general`, `documentation`), or a path to one, from the settings file.",
    )
    isolation: Literal["none"] | None = setting(
        None, "`none` runs it in the daemon's own process; a template that does not ship must say so."
    )
    count: int | None = setting(None, "How many items it works on at once.", Bounds(at_least=1, at_most=4096))
    offers: tuple[str, ...] = setting(
        (), "What it offers, in words of your own; it is given no item that requires what it does not offer."
    )
    provider: str | None = setting(None, "A name from `providers`, or `offline`.")
    timeout: Seconds | None = setting(None, "See `item.timeout`.", POSITIVE)
    idle_timeout: Seconds | None = setting(None, "See `item.idle_timeout`.", POSITIVE)


class Log(Value, kw_only=True):
    """What the daemon writes down while it runs."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least important level that is written.")
    format: Literal["auto", "json", "console"] = setting(
        "auto", "`json`, or `console` for people; `auto` is console on a terminal and JSON elsewhere."
    )
    file: Path | None = setting(None, "A file that gets the same lines as JSON; it may be rotated at any time.")


class Metrics(Value, kw_only=True):
    """Prometheus metrics. The control socket always serves them."""

    listen: str | None = setting(None, "A loopback address and port that serve them too, such as `127.0.0.1:9464`.")


class Bridge(Value, kw_only=True):
    """The thread on which all agents think."""

    stalled_after: Seconds = setting(
        Seconds(1), "How late the loop may answer before it is reported as stalled.", POSITIVE
    )
    dead_after: Seconds = setting(
        Seconds(10),
        "How long one call may hold the loop before another loop takes its place.",
        POSITIVE,
    )
    max_in_flight: int = setting(256, "How many model calls are open at once, over all providers.", ONE_UP)


class LaneSettings(Value, kw_only=True):
    """One lane: a queue within the queue. A lane that is only named by items needs no entry."""

    weight: float = setting(1.0, "How many turns it has for one of a lane of weight 1.", POSITIVE)
    max_running: int | None = setting(
        None,
        "How many of its items may be under way, from their first claim to their end, sub-work in its parent's place; "
        "with 1, two never work on one thing at once.",
        Bounds(at_least=1),
    )
    paused: bool = setting(default=False, says="Whether nothing of it is claimed.")


class JournalSettings(Value, kw_only=True):
    """The file that holds everything, and the disk it lies on."""

    ballast: Bytes = setting(
        parse_size("64MiB"),
        "Room that is set aside, and given up when the disk is full so that what is finished can be written.",
        Bounds(at_least=0),
    )
    low_water: Bytes = setting(
        parse_size("128MiB"), "With less room than this on the disk nothing new is taken in.", Bounds(at_least=0)
    )
    stuck_after: Seconds = setting(
        Seconds(10), "How long one batch may take to be written, or told, before the daemon counts as unwell.", POSITIVE
    )
    check_after: Seconds | None = setting(
        Seconds(60), "How long after a start every page is looked at, by a child process; null for never.", POSITIVE
    )


class Retention(Value, kw_only=True):
    """How long what is finished is kept. The audit stays: some 260 bytes for each request that changes anything."""

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
    uploads: Seconds = setting(
        Seconds(86_400), "Uploads that no item names, from when they were sent or last asked for.", POSITIVE
    )
    every: Seconds = setting(Seconds(3600), "How often what is old is looked for.", POSITIVE)


class Settings(Value, kw_only=True):
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
    providers: Mapping[str, ProviderSettings] = named(
        "The model providers, by name; `anthropic`, `ollama` and `openai` are always there.",
        lambda: MappingProxyType({**BY_KIND}),
    )
    budget: Budget = field(default_factory=Budget)
    prices: Mapping[str, PriceSettings] = named(
        "What models cost, by `MODEL` or `PROVIDER/MODEL`; those of Anthropic and OpenAI are known, and "
        "what stands here is believed before them."
    )
    agents: Mapping[str, AgentSettings] = named("Agent definitions of your own, by name.")
    lanes: Mapping[str, LaneSettings] = named(
        "Lanes with a weight or a limit, by name; `default` is the lane of items that name none."
    )
    journal: JournalSettings = field(default_factory=JournalSettings)
    retention: Retention = field(default_factory=Retention)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)
    bridge: Bridge = field(default_factory=Bridge)
    said: Mapping[str, str] = field(default_factory=nothing)
    """Where each value that is no default came from, by its dotted key; see `origins`."""
    read_from: Path | None = None
    """The file that they were read from, if there was one."""

    @property
    def optimizer_count(self) -> int:
        """How many optimizers there are."""
        return self.optimizers.count or min(self.executors.count, MOST_OPTIMIZERS)

    @property
    def reviewer_count(self) -> int:
        """How many reviewers there are."""
        return self.reviewers.count or min(self.executors.count, MOST_OPTIMIZERS)
