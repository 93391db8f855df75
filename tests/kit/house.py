"""Listening to a tree, breaking it, and looking whether anything of it is left."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from darumad.supervision import Event, SupervisorRef
from darumad.supervision.pykka_door import ActorRegistry

CEILING = 10.0


class Bus:
    """Keeps every event; waits for those to come."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._came = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._came:
            self.events.append(event)
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


def eventually(true: Callable[[], Any], within: float = CEILING) -> None:
    """Fail unless `true` comes true within real seconds; for states that no event tells of."""
    tick, until = threading.Event(), time.monotonic() + within
    while time.monotonic() < until:
        if true():
            return
        tick.wait(0.002)
    raise AssertionError("it never came true")


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
