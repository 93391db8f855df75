"""Row V2's stress: many threads at one tree, a log of all that happened, and what must be true of any such log."""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from darumad.supervision import (
    ActorDeadError,
    ChildSpec,
    Event,
    Liveness,
    SupervisionError,
    Supervisor,
    SupervisorFlags,
    SupervisorRef,
    Timeout,
)
from tests.kit import Probe

THREADS, CALLS = 8, 12
STUCK_AFTER, STOP_WITHIN = 0.1, 0.3
PATIENT = SupervisorFlags(intensity=1_000_000, period=600.0)
HASTY = SupervisorFlags(strategy="one_for_all", intensity=3, period=600.0)
POOL = SupervisorFlags(strategy="pool", intensity=1_000_000, period=600.0)


@dataclass
class Stress:
    """One tree under `seed`'s storm."""

    seed: int
    free: threading.Event = field(default_factory=threading.Event)
    log: list[Any] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def run(self) -> list[Event]:
        """Let all threads at it, stop it, and hand back what its bus heard."""
        self.root = Supervisor.start(PATIENT, self._specs(), bus=self.events.append, leak_cap=1_000_000)
        threads = [threading.Thread(target=self._storm, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a call never ended"
        self.free.set()
        assert self.root.stop(timeout=60)
        return self.events

    def _specs(self) -> list[ChildSpec]:
        kinds = ("permanent", "transient", "temporary")
        inner = [self._spec(f"i{n}", kind) for n, kind in enumerate(kinds)]
        return [
            *(self._spec(f"w{n}", kind) for n, kind in enumerate(kinds)),
            ChildSpec("group", Supervisor.factory(HASTY, inner), type="supervisor"),
            ChildSpec("pool", Supervisor.factory(POOL, [self._spec("p", "transient")]), type="supervisor"),
        ]

    def _spec(self, name: str, restart: Any) -> ChildSpec:
        return ChildSpec(
            name,
            lambda *_: Probe.start(self.log, name),
            restart=restart,
            shutdown=STOP_WITHIN,
            liveness=Liveness(STUCK_AFTER),
        )

    def _storm(self, number: int) -> None:
        rng = random.Random(f"{self.seed}.{number}")
        for _ in range(CALLS):
            try:
                self._one_call(rng)
            except (SupervisionError, ActorDeadError, Timeout, ValueError):
                continue  # refused, or the wrong moment: that is what the storm is for

    def _one_call(self, rng: random.Random) -> None:
        sup = self._some_supervisor(rng)
        child = rng.choice(sup.which_children() or [None])
        calls: list[Callable[[], object]] = [sup.which_children, sup.count_children, lambda: self._new(sup, rng)]
        if child is not None:
            name = child.id if child.id is not None else child.ref
            calls += [
                lambda: sup.terminate_child(name),
                lambda: sup.restart_child(name),
                lambda: sup.delete_child(name),
            ]
            if child.ref is not None and child.type == "worker":
                calls += self._messages(child.ref, rng)
        rng.choice(calls)()

    def _messages(self, ref: Any, rng: random.Random) -> list[Callable[[], object]]:
        ways = ["normal", "shutdown", ("shutdown", 1), ValueError("exit")]
        return [
            *[lambda: ref.tell(ValueError("crash"))] * 3,
            lambda: ref.tell(("exit", rng.choice(ways))),
            lambda: ref.ask("who", timeout=1),
            lambda: ref.tell(("block", self.free)) if rng.random() < 0.1 else None,
            lambda: ref.stop(timeout=1),
        ]

    def _new(self, sup: SupervisorRef, rng: random.Random) -> object:
        if sup.path.endswith("pool"):
            return sup.start_child(rng.random())
        return sup.start_child(self._spec(f"n{rng.randrange(3)}", rng.choice(["permanent", "transient", "temporary"])))

    def _some_supervisor(self, rng: random.Random) -> SupervisorRef:
        nested = [info.ref for info in self.root.which_children() if isinstance(info.ref, SupervisorRef)]
        return rng.choice([self.root, *nested])


def broken_promises(events: Iterable[Event]) -> list[str]:
    """What row V2 forbids and these events show: one sentence each."""
    found: list[str] = []
    newest: dict[str, int] = {}
    living: dict[str, int] = {}
    for event in events:
        path, life = event.path, event.incarnation
        if event.name == "child.starting":
            if life <= newest.get(path, 0):
                found.append(f"{path}: incarnation {life} after {newest[path]}")
            if path in living:
                found.append(f"{path}: {life} starts while {living[path]} has not exited")
            newest[path] = life
        elif event.name == "child.started":
            living[path] = life
            if newest.get(path) != life:
                found.append(f"{path}: {life} started without starting")
        elif event.name == "child.exited" and living.pop(path, None) != life:
            found.append(f"{path}: {life} exited and was not living")
    return [*found, *(f"{path}: {life} never exited" for path, life in living.items())]
