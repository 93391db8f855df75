"""Every test leaves nothing behind: no actor, no thread but those it abandoned, no tree."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from darumad.supervision import ChildSpec, Supervisor, SupervisorFlags, SupervisorRef
from tests.kit import Bus, FakeClock, Leaks, Probe, cpu_bound_thread, seeded_rng, settle, switch_interval

SWITCHING = pytest.mark.parametrize("switching", [0.005, 1e-6], ids=["as usual", "every microsecond"], indirect=True)
"""A row that races runs as usual and with threads that take turns all the time."""


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

    def crash(self, root: SupervisorRef, *names: str) -> None:
        """Crash these children, one after the other, and wait until the supervisor has dealt with each."""
        for name in names:
            address = root.address(name)
            exits = len(self.bus.named("child.exited", address.path))
            address.tell(ValueError(name))
            self.bus.until("child.exited", address.path, times=exits + 1)
            settle()

    def states(self, root: SupervisorRef) -> list[tuple[str | None, str, int]]:
        return [(info.id, info.state, info.incarnation) for info in root.which_children()]

    def order(self, *names: str) -> list[tuple[str, str]]:
        """Which of these events came, and of which child, in their order."""
        told = [event for event in list(self.bus.events) if event.name in names]
        return [(event.name.removeprefix("child."), event.path.rpartition("/")[2]) for event in told]

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


@pytest.fixture
def switching(request: pytest.FixtureRequest) -> Iterator[float]:
    with switch_interval(request.param):
        yield request.param


@pytest.fixture
def beside_a_spinner() -> Iterator[None]:
    """Rows about time on the real clock run beside one CPU-bound thread."""
    with cpu_bound_thread():
        yield


@pytest.fixture
def wake(house: House) -> threading.Event:
    """What stuck actors wait for; it comes at the end of the test at the latest."""
    event = threading.Event()
    house.opened.append(event)
    return event
