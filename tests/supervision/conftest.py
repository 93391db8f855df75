"""Every test leaves nothing behind: no actor, no thread but those it abandoned, no tree."""

from collections.abc import Iterator
from typing import Any

import pytest

from darumad.supervision import ChildSpec, Supervisor, SupervisorFlags, SupervisorRef
from tests.kit import Bus, FakeClock, Leaks, Probe, seeded_rng


class House:
    """A bus, a clock, a log, and the trees built on them."""

    def __init__(self) -> None:
        self.bus, self.clock, self.log = Bus(), FakeClock(), []
        self.roots: list[SupervisorRef] = []
        self.opened: list[Any] = []
        self.abandoned = 0

    def spec(self, name: str, *, shutdown: Any = 5.0, probe: dict[str, Any] | None = None, **rest: Any) -> ChildSpec:
        return ChildSpec(name, lambda: Probe.start(self.log, name, **(probe or {})), shutdown=shutdown, **rest)

    def start(self, *specs: ChildSpec, name: str = "root", leak_cap: int = 3, **flags: Any) -> SupervisorRef:
        flags = {"intensity": 100, "period": 60.0, **flags}
        ref = Supervisor.start(
            SupervisorFlags(**flags),
            specs,
            name=name,
            clock=self.clock,
            bus=self.bus,
            rng=seeded_rng(),
            leak_cap=leak_cap,
        )
        self.roots.append(ref)
        return ref

    def nested(self, name: str, *specs: ChildSpec, restart: Any = "permanent", significant: bool = False, **flags: Any):
        flags = {"intensity": 100, "period": 60.0, **flags}
        factory = Supervisor.factory(SupervisorFlags(**flags), specs)
        return ChildSpec(name, factory, type="supervisor", restart=restart, significant=significant)

    def up(self, path: str, incarnation: int) -> None:
        """Wait until this life is READY and its supervisor has told so."""
        self.bus.until_heard(("child.started", path, incarnation))

    def whats(self, *whats: str) -> list[tuple[str, str]]:
        return [(what, name) for what, name, _ in self.log if what in whats]


@pytest.fixture
def house() -> Iterator[House]:
    leaks = Leaks()
    built = House()
    yield built
    for event in built.opened:
        event.set()
    for root in built.roots:
        root.stop(timeout=20)
    leaks.check()
