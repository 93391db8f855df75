"""The ownership table of one root: which life holds which path. Any thread reads it without asking an actor."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from darumad.branches import branches
from darumad.clock import TimerHandle
from darumad.supervision.backoff import Rng
from darumad.supervision.child import Child, State
from darumad.supervision.event import Bus, Event
from darumad.supervision.life import REAL, Life
from darumad.supervision.liveness import Prober
from darumad.supervision.reasons import ABANDONED, KILLED, ExitReason
from darumad.supervision.ref import ActorRef
from darumad.supervision.signals import LeakCap
from darumad.supervision.spec import ChildSpec, ChildType

log: Final = logging.getLogger("darumad.supervision")


class Superseded(BaseException):
    """The supervisor on whose thread this is raised was fenced: that thread does nothing more."""


class Clock(Protocol):
    """What a tree needs of time; `darumad.clock.Clock` is one."""

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""

    def call_at(self, when: float, fn: Callable[[], None]) -> TimerHandle:
        """Call `fn` once at `when`; `fn` only posts."""


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A place in the tree at one moment."""

    path: str
    id: str | None
    parent: str | None
    type: ChildType
    state: State
    incarnation: int
    restarts: int
    ref: ActorRef | None
    spec: ChildSpec
    thread: threading.Thread | None
    mailbox_depth: int
    errors_in_window: int
    consecutive_errors: int
    last_error: str
    last_exit: ExitReason | None
    retry_at: float | None


class TreeRows(list[TreeRow]):
    """The places under one of them, which is the first; printed, they are drawn, one a line."""

    def __str__(self) -> str:
        return "\n".join(f"{lead}{row.path}  {_facts(row)}" for lead, _, row in branches(self, lambda row: row.path))


def _facts(row: TreeRow) -> str:
    """How a place is, and what is remarkable about it."""
    said = [row.state, f"life {row.incarnation}"]
    if row.restarts:
        said.append(f"restarts {row.restarts}")
    if row.errors_in_window:
        said.append(f"errors {row.errors_in_window}")
    if row.mailbox_depth:
        said.append(f"mail {row.mailbox_depth}")
    if row.last_exit is not None:
        said.append(f"last {row.last_exit.kind}" + (f" ({row.last_error})" if row.last_error else ""))
    return "  ".join(said)


class Tree:
    """What everything under one root shares."""

    def __init__(self, clock: Clock, bus: Bus | None, rng: Rng, leak_cap: int) -> None:
        self.clock = clock
        self.rng = rng
        self._bus = bus
        self._leak_cap = leak_cap
        self._children: dict[str, Child] = {}
        self._incarnations: dict[str, int] = {}
        self._pool_numbers: dict[str, int] = {}
        self._leaked: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._prober = Prober(self._tell_of_pause)
        self.root: Life | None = None

    def now(self) -> float:
        """The tree's monotonic seconds."""
        return self.clock.monotonic()

    def emit(self, name: str, path: str, incarnation: int, **data: object) -> None:
        """Hand an event to the bus; what the bus raises is logged and dropped."""
        if self._bus is None:
            return
        try:
            self._bus(Event(name, self.now(), path, incarnation, data))
        except BaseException:
            log.exception("the event bus raised on %s", name)

    def next_incarnation(self, path: str) -> int:
        """Which life of `path` the next start is; failed starts count too."""
        with self._lock:
            number = self._incarnations.get(path, 0) + 1
            self._incarnations[path] = number
            return number

    def next_pool_path(self, pool: str) -> str:
        """A path in `pool` that was never used."""
        with self._lock:
            number = self._pool_numbers.get(pool, 0) + 1
            self._pool_numbers[pool] = number
            return f"{pool}/{number}"

    def put(self, child: Child, supervisor: Life | None) -> None:
        """Enter a place.

        Raises:
            Superseded: the supervisor was fenced; the place may be another's by now.
        """
        with self._lock:
            if supervisor is not None and supervisor.fenced:
                raise Superseded
            self._children[child.path] = child

    def remove(self, child: Child, *, for_ever: bool = False) -> None:
        """Take a place out; `for_ever` forgets its incarnations too, for a path that never comes back."""
        with self._lock:
            if self._children.get(child.path) is child:
                del self._children[child.path]
            if for_ever:
                self._incarnations.pop(child.path, None)

    def get(self, path: str) -> Child | None:
        """The place at `path`."""
        return self._children.get(path)

    def under(self, path: str) -> list[Child]:
        """Every place below `path`, in start order."""
        return [child for child in self._snapshot() if _is_under(child, path)]

    def _snapshot(self) -> list[Child]:
        with self._lock:
            return list(self._children.values())

    def rows(self, path: str) -> TreeRows:
        """`path` and every place below it, parents first, siblings in start order."""
        children = self._snapshot()
        below: dict[str | None, list[Child]] = {}
        for child in children:
            below.setdefault(child.parent.path if child.parent else None, []).append(child)
        top = [child for child in children if child.path == path]
        return TreeRows(self._row(child) for child in _depth_first(top, below))

    def _row(self, child: Child) -> TreeRow:
        life = child.life
        errors = life.errors.count(self.now()) if life is not None and life.errors is not None else 0
        return TreeRow(
            path=child.path,
            id=child.id,
            parent=child.parent.path if child.parent else None,
            type=child.spec.type,
            state=child.state,
            incarnation=child.incarnation,
            restarts=child.restarts,
            ref=child.ref,
            spec=child.spec,
            thread=life.thread if life else None,
            mailbox_depth=life.mailbox.depth if life else 0,
            errors_in_window=errors,
            consecutive_errors=life.consecutive_errors if life else 0,
            last_error=(life.last_error if life else "") or child.last_error,
            last_exit=child.last_exit,
            retry_at=child.retry_at if child.state in {"restarting", "benched"} else None,
        )

    def watch(self, life: Life) -> None:
        """Probe this life, if its spec says so, until `unwatch`; on its own thread."""
        if life.spec is not None and life.spec.liveness is not None:
            self._prober.watch(life, life.spec.liveness.ping_deadline)

    def unwatch(self, life: Life) -> None:
        """Probe this life no more: it handles no messages now."""
        if life.spec is not None and life.spec.liveness is not None:
            self._prober.unwatch(life, life.spec.liveness.ping_deadline)

    def _tell_of_pause(self, seconds: float) -> None:
        if self.root is not None:
            self.emit("pause.detected", self.root.path, self.root.incarnation, seconds=seconds)

    def fence_subtree(self, path: str, reason: ExitReason = ABANDONED) -> None:
        """End every life below `path` from outside, last started first: nobody is left to stop them."""
        below = list(reversed(self.under(path)))
        for child in below:
            if child.life is not None:
                self._fence(child.life, reason)
        for child in below:
            life = child.life
            if life is not None and life.tell_once() and child.is_up:
                child.went_down(life.reason or reason)
                self.emit("child.exited", child.path, child.incarnation, reason=child.last_exit)
            self.remove(child)

    def abandon(self, life: Life) -> None:
        """Fence a life whose thread does not end, and what lives below it."""
        self._fence(life, ABANDONED)
        self.fence_subtree(life.path)

    def kill(self, life: Life) -> None:
        """Fence a life without asking it, and what lives below it. Its thread ends with what it has in hand."""
        self._fence(life, KILLED)
        self.fence_subtree(life.path, KILLED)

    def _fence(self, life: Life, reason: ExitReason) -> None:
        if not life.fence(reason):
            return
        if reason is ABANDONED:
            life.emit("child.abandoned")
        with self._lock:
            if life.thread is not None:
                self._leaked.append(life.thread)
        live = self.leaked()
        if live >= self._leak_cap and self.root is not None:
            self.root.mailbox.post(LeakCap(live))

    def leaked(self) -> int:
        """How many abandoned threads still run."""
        with self._lock:
            self._leaked = [thread for thread in self._leaked if thread.is_alive()]
            return len(self._leaked)

    def leak_cap_reached(self, grace: float) -> int:
        """How many abandoned threads run on, if too many; else 0. Those that are about to end get `grace` seconds."""
        with self._lock:
            threads = list(self._leaked)
        until = REAL.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, until - REAL.monotonic()))
        live = self.leaked()
        return live if live >= self._leak_cap else 0

    def close(self) -> None:
        """The root has ended: nothing is probed any more."""
        self._prober.close()


def _is_under(child: Child, path: str) -> bool:
    at = child.parent
    while at is not None:
        if at.path == path:
            return True
        at = at.parent
    return False


def _depth_first(children: list[Child], below: dict[str | None, list[Child]]) -> Iterator[Child]:
    for child in children:
        yield child
        yield from _depth_first(below.get(child.path, []), below)
