"""Listening to a tree, breaking it, and looking whether anything of it is left."""

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from darumad.supervision import Event, SupervisorRef
from darumad.supervision.pykka_door import ActorRegistry
from tests.kit.probe import pause

CEILING = float(os.environ.get("TESTS_CEILING", "10"))
"""Real seconds after which what a test waits for will not come."""


class Bus:
    """Keeps every event; waits for those to come."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.heard_at: list[float] = []
        self._came = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._came:
            self.events.append(event)
            self.heard_at.append(time.monotonic())
            self._came.notify_all()

    def named(self, name: str, path: str | None = None) -> list[Event]:
        return [e for e in list(self.events) if e.name == name and path in {None, e.path}]

    def until(self, name: str, path: str | None = None, *, times: int = 1, within: float = CEILING) -> Event:
        """The `times`-th event of this name; fails after `within` real seconds."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.named(name, path)) >= times, within), (
                f"no {name} number {times} of {path}; heard {[(e.name, e.path) for e in self.events]}"
            )
            return self.named(name, path)[times - 1]

    def until_heard(self, event: tuple[str, str, int], *, within: float = CEILING) -> None:
        """Wait for an event of this name, path and incarnation."""
        with self._came:
            assert self._came.wait_for(lambda: event in self.names(), within), f"no {event}; heard {self.names()}"

    def names(self) -> list[tuple[str, str, int]]:
        return [(e.name, e.path, e.incarnation) for e in list(self.events)]


def eventually(true: Callable[[], Any], within: float = CEILING, every: float = 0.002) -> None:
    """Fail unless `true` comes true within real seconds; for states that no event tells of.

    `every` are the seconds from one look to the next: more where looking costs something.
    """
    tick, until = threading.Event(), time.monotonic() + within
    while time.monotonic() < until:
        if true():
            return
        tick.wait(every)
    raise AssertionError("it never came true")


def fastest(attempt: Callable[[], Any], *, of: int = 5, enough: float = 0.0) -> float:
    """The real seconds of the quickest attempt: a noisy machine slows some of them, not all.

    An attempt may return seconds that it measured itself. Ends with the first that takes less than `enough`.
    """
    best = float("inf")
    for _ in range(of):
        begun = time.perf_counter()
        measured = attempt()
        best = min(best, measured if isinstance(measured, float) else time.perf_counter() - begun)
        if best < enough:
            break
    return best


def times_a_wait(seconds: float, act: Callable[[], object]) -> float:
    """How many times as long as a wait of so many seconds `act` takes. Begun together: a noisy machine slows both."""
    waited: list[float] = []
    beside = threading.Thread(target=lambda: waited.append(fastest(lambda: pause(seconds), of=1)))
    beside.start()
    took = fastest(act, of=1)
    beside.join()
    return took / waited[0]


def cpu_bound_thread() -> AbstractContextManager[None]:
    """One thread beside the test that never gives the interpreter up by itself."""
    return busy(lambda: sum(range(1000)))


@contextmanager
def busy(do: Callable[[], object]) -> Iterator[None]:
    """One thread beside the test that does this again and again, without a pause."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            do()

    thread = threading.Thread(target=work, name="busy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    """Threads take turns this often, so that races that are rare otherwise happen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def seeded_rng(seed: int = 1) -> random.Random:
    return random.Random(seed)


class _Poison:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def deliver(self, actor: object) -> None:
        raise self._error


def break_supervisor(ref: SupervisorRef, exc: BaseException) -> None:
    """Raise `exc` in the supervisor's own thread, outside every guard."""
    ref._life.mailbox.post(_Poison(exc))


class Leaks:
    """What is running now, to compare with what runs at the end."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._actors = len(ActorRegistry.get_all())

    def check(self, *, but: int = 0, within: float = CEILING) -> None:
        """No actor and no thread more than before, but for `but` abandoned threads."""
        eventually(lambda: len(ActorRegistry.get_all()) <= self._actors, within)
        eventually(lambda: len(self.threads()) <= but, within)

    def threads(self) -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in self._threads and t.name != "timer"]
