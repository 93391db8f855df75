"""What a supervisor is told about itself and its children, checked where it is said. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from darumad.supervision.backoff import Backoff
from darumad.supervision.error_window import ErrorBudget
from darumad.supervision.figures import is_integer_from, is_number

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "pool"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]
Restart = Literal["permanent", "transient", "temporary"]
ChildType = Literal["worker", "supervisor"]
Shutdown = float | Literal["brutal", "infinity"]


class _Unset:
    """The default that depends on the child's type."""

    def __repr__(self) -> str:
        return "<by type>"


_BY_TYPE: Any = _Unset()
WORKER_SHUTDOWN = 5.0
WORKER_START_TIMEOUT = 10.0


def _one_of(name: str, value: object, words: object) -> None:
    if not (isinstance(value, str) and value in get_args(words)):
        raise ValueError(f"{name}: one of {', '.join(get_args(words))}, not {value!r}")


def _is_a(name: str, value: object, kind: Any) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name}: {kind.__name__}, not {value!r}")  # noqa: TRY004 - one family for a wrong field


def _is_seconds_or_word(name: str, value: object) -> None:
    word = isinstance(value, str) and value in {"brutal", "infinity"}
    if not word and not (is_number(value) and value >= 0):
        raise ValueError(f"{name}: seconds from 0, brutal or infinity, not {value!r}")


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """How a supervisor treats its children; the defaults are OTP's. `pool` is `simple_one_for_one`."""

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period: float = 5.0
    auto_shutdown: AutoShutdown = "never"

    def __post_init__(self) -> None:
        _one_of("strategy", self.strategy, Strategy)
        if not is_integer_from(0, self.intensity):
            raise ValueError(f"intensity: an integer from 0, not {self.intensity!r}")
        if not (is_number(self.period) and self.period > 0):
            raise ValueError(f"period: finite seconds above 0, not {self.period!r}")
        _one_of("auto_shutdown", self.auto_shutdown, AutoShutdown)
        if self.strategy == "pool" and self.auto_shutdown != "never":
            raise ValueError("auto_shutdown: a pool takes none")


@dataclass(frozen=True, slots=True)
class Liveness:
    """A message in hand for longer than `ping_deadline` seconds convicts its actor of being stuck."""

    ping_deadline: float

    def __post_init__(self) -> None:
        if not (is_number(self.ping_deadline) and self.ping_deadline > 0):
            raise ValueError(f"ping_deadline: seconds above 0, not {self.ping_deadline!r}")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How a child is started, restarted and stopped; with the last three at None it is plain OTP.

    `start` is a factory: it returns the new actor's ref, or `IGNORE`. It runs in the supervisor's thread, and
    `start_timeout` does not bound it, but the `on_start` that follows. Both that and `shutdown` are in seconds.
    """

    id: str
    start: Callable[..., Any]
    restart: Restart = "permanent"
    shutdown: Shutdown = _BY_TYPE
    type: ChildType = "worker"
    significant: bool = False
    start_timeout: float | None = _BY_TYPE
    error_budget: ErrorBudget | None = None
    backoff: Backoff | None = None
    liveness: Liveness | None = None
    mailbox: int = 10_000

    def __post_init__(self) -> None:
        _one_of("type", self.type, ChildType)
        self._fill_in()
        self._check_names()
        self._check_numbers()

    def _fill_in(self) -> None:
        worker = self.type == "worker"
        defaults = {
            "shutdown": WORKER_SHUTDOWN if worker else "infinity",
            "start_timeout": WORKER_START_TIMEOUT if worker else None,
        }
        for name, value in defaults.items():
            if getattr(self, name) is _BY_TYPE:
                object.__setattr__(self, name, value)

    def _check_names(self) -> None:
        _is_a("id", self.id, str)
        if not self.id.isprintable() or not self.id:
            raise ValueError(f"id: a printable name, not {self.id!r}")
        _is_a("start", self.start, Callable)
        _one_of("restart", self.restart, Restart)
        _is_a("significant", self.significant, bool)
        if self.significant and self.restart == "permanent":
            raise ValueError("significant: a permanent child never ends, so it cannot be significant")

    def _check_numbers(self) -> None:
        _is_seconds_or_word("shutdown", self.shutdown)
        if self.start_timeout is not None and not (is_number(self.start_timeout) and self.start_timeout > 0):
            raise ValueError(f"start_timeout: seconds above 0 or None, not {self.start_timeout!r}")
        if not is_integer_from(1, self.mailbox):
            raise ValueError(f"mailbox: an integer from 1, not {self.mailbox!r}")
        for name, kind in (("error_budget", ErrorBudget), ("backoff", Backoff), ("liveness", Liveness)):
            if getattr(self, name) is not None:
                _is_a(name, getattr(self, name), kind)

    @property
    def stop_within(self) -> float | None:
        """Seconds a stop may take; None waits as long as it takes."""
        if isinstance(self.shutdown, str):
            return 0.0 if self.shutdown == "brutal" else None
        return self.shutdown


def check_child(flags: SupervisorFlags, spec: ChildSpec) -> None:
    """Whether `spec` may live under `flags`.

    Raises:
        ValueError: it may not; names the field.
    """
    _is_a("spec", spec, ChildSpec)
    if spec.significant and flags.auto_shutdown == "never":
        raise ValueError(f"significant: {spec.id} is, but auto_shutdown is never")


def check_apart(names: Iterable[str]) -> None:
    """Whether siblings of these names can live side by side: places are told apart by their paths.

    Raises:
        ValueError: one lies below another, as `a/b` below `a`, where `a`'s own child `b` has its place.
    """
    known = set(names)
    for name in known:
        parts = name.split("/")
        above = known.intersection("/".join(parts[:length]) for length in range(1, len(parts)))
        if above:
            raise ValueError(f"id: {name} lies below its sibling {min(above)}")


def check(flags: SupervisorFlags, specs: Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """The specs, once they are known to fit `flags` and each other.

    Raises:
        ValueError: they do not; names the field.
    """
    _is_a("flags", flags, SupervisorFlags)
    found = tuple(specs)
    for spec in found:
        check_child(flags, spec)
    if flags.strategy == "pool" and len(found) != 1:
        raise ValueError(f"specs: a pool has exactly one, not {len(found)}")
    ids = [spec.id for spec in found]
    twice = {name for name in ids if ids.count(name) > 1} if len(set(ids)) < len(ids) else set()
    if twice:
        raise ValueError(f"id: used twice: {', '.join(sorted(twice))}")
    check_apart(ids)
    return found
