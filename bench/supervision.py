"""Supervised actors beside plain Pykka in one run, with what ships: mailbox, liveness, error budget, a listener.

Each part runs in a process of its own, so that one part's threads and memory are not another's. The two sides take
turns in short rounds, and the median of the rounds' ratios counts: what else runs on the machine hits both. The
start of many is shown on one core too, as the daemon keeps its threads (`daemon.one_core`), and beside plain Pykka's:
on every core it measures above all how dear this machine's cores are to each other.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pykka

from bench.yardstick import speed
from darumad.clock import SystemClock
from darumad.cores import one_core
from darumad.supervision import (
    Actor,
    ChildSpec,
    ErrorBudget,
    FatalError,
    Liveness,
    Supervisor,
    SupervisorFlags,
    SupervisorRef,
)

PATIENT = SupervisorFlags(intensity=1_000_000, period=1.0)
SHIPPED: dict[str, Any] = {"error_budget": ErrorBudget(5, 60.0), "liveness": Liveness(10.0)}
BURST, BURSTS, ASKS, ROUNDS = 5_000, 2, 1_000, 25
CRASHES, IDLE, CYCLES = 300, 10_000, 1_000
WARM = 3_000
"""Crashes until the allocator's arenas stand: 8,000 crashes leave 1.5 MB more than the first 1,000 do."""


class Plain(pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message: object) -> object:
        return message


class Supervised(Actor):
    def on_receive(self, message: object) -> object:
        if isinstance(message, Exception):
            raise message
        return message


class Listener:
    """The one listener: counts, and says when the next life is READY."""

    def __init__(self) -> None:
        self.heard = 0
        self.started = threading.Semaphore(0)

    def __call__(self, event: Any) -> None:
        self.heard += 1
        if event.name == "child.started":
            self.started.release()


def one_child() -> tuple[SupervisorRef, Listener]:
    listener = Listener()
    root = Supervisor.start(PATIENT, [ChildSpec("a", Supervised.start, **SHIPPED)], bus=listener)
    listener.started.acquire()
    return root, listener


# --- messages ---------------------------------------------------------------------------------------------------------


def tells(ref: Any) -> float:
    """Messages per second of one teller, in bursts that fit the mailbox, until the last was handled."""
    began = time.perf_counter()
    for _ in range(BURSTS):
        for number in range(BURST):
            ref.tell(number)
        ref.ask(None)
    return BURSTS * BURST / (time.perf_counter() - began)


def asks(ref: Any) -> float:
    """Round trips per second of one asker."""
    began = time.perf_counter()
    for number in range(ASKS):
        ref.ask(number)
    return ASKS / (time.perf_counter() - began)


def messages() -> dict[str, float]:
    """Of each kind: how much quicker supervised is, and what both sides do per second, at the medians."""
    root, _ = one_child()
    plain, supervised = Plain.start(), root.which_children()[0].ref
    found = {}
    for what, measure in (("tell", tells), ("ask", asks)):
        rounds = [(measure(supervised), measure(plain)) for _ in range(ROUNDS)]
        found[f"{what} ratio"] = statistics.median(ours / theirs for ours, theirs in rounds)
        found[f"{what} supervised"], found[f"{what} plain"] = map(statistics.median, zip(*rounds, strict=True))
    plain.stop()
    root.stop()
    return found


# --- restarts ---------------------------------------------------------------------------------------------------------


def restarts() -> dict[str, float]:
    """Milliseconds from the error to the next READY, at the median."""
    root, listener = one_child()
    address = root.address("a")

    def crash() -> float:
        began = time.perf_counter()
        address.tell(FatalError())
        listener.started.acquire()
        return (time.perf_counter() - began) * 1000

    def fifth_error() -> float:
        for _ in range(4):
            address.tell(ValueError())
        address.ask("have they come", within=60)
        began = time.perf_counter()
        address.tell(ValueError())
        listener.started.acquire()
        return (time.perf_counter() - began) * 1000

    crashes = [crash() for _ in range(CRASHES)]
    fifths = [fifth_error() for _ in range(CRASHES // 5)]
    root.stop()
    return {"crash_ms": statistics.median(crashes), "fifth_ms": statistics.median(fifths)}


# --- many -------------------------------------------------------------------------------------------------------------


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def plain_starts() -> dict[str, float]:
    """Plain Pykka's 10,000: nobody waits until one is ready, and nobody looks after it."""
    began = time.perf_counter()
    for _ in range(IDLE):
        Plain.start()
    sys.stdout.write(json.dumps({"start_s": time.perf_counter() - began}))
    sys.stdout.flush()
    os._exit(0)  # their stop is no part of the measure


def idle() -> dict[str, float]:
    """What 10,000 children cost that wait for work."""
    specs = [ChildSpec(f"a{number}", Supervised.start, **SHIPPED) for number in range(IDLE)]
    began, used = time.perf_counter(), time.process_time()
    root = Supervisor.start(PATIENT, specs, bus=Listener())
    took, used = time.perf_counter() - began, time.process_time() - used
    cpu = time.process_time()
    time.sleep(3.0)
    cpu = (time.process_time() - cpu) / 3.0
    found = {
        "start_s": took,
        "rss_mb": rss_mb(),
        "start_cpu_s": used,
        "idle_cpu": cpu,
        "active": root.count_children()["active"],
    }
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # their stop is no part of the measure


def cycles() -> dict[str, float]:
    """What 1,000 lives that began and crashed leave behind."""
    root, listener = one_child()
    address, clock = root.address("a"), SystemClock()

    def crash(times: int) -> None:
        for _ in range(times):
            address.tell(FatalError())
            listener.started.acquire()

    def held() -> tuple[int, int, int, float]:
        gc.collect()
        timers = sum(thread.name == "timer" for thread in threading.enumerate())
        return threading.active_count(), len(pykka.ActorRegistry.get_all()), timers, rss_mb()

    crash(WARM)
    before, began = held(), clock.monotonic()
    crash(CYCLES)
    took, after = clock.monotonic() - began, held()
    root.stop()
    threads, actors, timers, memory = (now - then for now, then in zip(after, before, strict=True))
    return {"threads": threads, "actors": actors, "timers": timers, "rss_mb": memory, "ms": took / CYCLES * 1000}


# --- the row ----------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "messages": messages,
    "restarts": restarts,
    "idle": idle,
    "plain_starts": plain_starts,
    "cycles": cycles,
}
TOGETHER = "together"
"""Said behind a part: on one core."""


def row() -> bool:
    """Measure, print each figure with its goal, and say whether all were met."""
    found = {name: _measured(name) for name in PARTS}
    together = {name: _measured(name, TOGETHER)["start_s"] for name in ("idle", "plain_starts")}
    print("supervision: mailbox 10,000, error budget 5 in 60 s, liveness 10 s, one listener; two sides, one run")
    print(
        f"supervision: plain Pykka starts {IDLE:,} in s: {found['plain_starts']['start_s']:.2f}"
        f"; on one core {together['plain_starts']:.2f}, and the supervised {together['idle']:.2f}"
    )
    return all([*_told_messages(found["messages"]), *_told_lives(found["restarts"], found["idle"], found["cycles"])])


def _told_messages(found: dict[str, float]) -> list[bool]:
    for what in ("tell", "ask"):
        ratio, ours, theirs = (found[f"{what} {name}"] for name in ("ratio", "supervised", "plain"))
        print(f"supervision: {what}: {ours:,.0f}/s, plain Pykka {theirs:,.0f}/s: {ratio:.2f} x (goal 0.90)")
    return [found["tell ratio"] >= 0.9, found["ask ratio"] >= 0.9]


def _told_lives(restarts: dict[str, float], idle: dict[str, float], cycles: dict[str, float]) -> list[bool]:
    left, here = {name: cycles[name] for name in ("threads", "actors", "timers")}, speed()
    times = (
        ("crash to the next READY, median, ms", restarts["crash_ms"], 1.0),
        ("fifth error to READY, median, ms", restarts["fifth_ms"], 5.0),
        (f"starting {idle['active']:,.0f}, s ({idle['start_cpu_s']:.1f} of CPU)", idle["start_s"], 6.0),
    )
    amounts = (
        (f"{idle['active']:,.0f} idle children, MB", idle["rss_mb"], 300.0),
        ("their CPU, share of one core", idle["idle_cpu"], 0.002),
        (f"{CYCLES:,} crashes leave threads, actors and timers", float(sum(map(abs, left.values()))), 0.0),
        (f"{CYCLES:,} crashes leave MB", cycles["rss_mb"], 5.0),
    )
    for name, got, goal in times:
        print(f"supervision: {name}: {got:.3g} (goal at most {goal:g}, at this machine's speed {goal / here:.3g})")
    for name, got, goal in amounts:
        print(f"supervision: {name}: {got:.3g} (goal at most {goal:g})")
    return [*(got <= goal / here for _, got, goal in times), *(got <= goal for _, got, goal in amounts)]


def _measured(part: str, *where: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.supervision", part, *where]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    with one_core() if TOGETHER in sys.argv else nullcontext():
        print(json.dumps(PARTS[sys.argv[1]]()))
