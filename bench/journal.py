"""The journal's figures: accepting over the socket, claiming from a long queue, booting, and what a full file costs.

Nothing is left out: synchronous=FULL, the daemon with its log and metrics, every answer after its commit.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.filled import AUDIT, ROOM, WITHIN, filled, new_items, opened
from bench.walk import floor
from darumad.journal import Accept, Claim, Journal, Slot
from darumad.names import AgentName, Stage
from tests.kit.daemon import Daemon

MANY, UNFINISHED, FEW = 1_000_000, 10_000, 100
SLOTS, CLAIMS = 128, 200
SECONDS = 4.0
ACCEPTS = ((1, 1, 3_000), (64, 1, 10_000), (4, 100, 40_000))
"""Clients, items in a request, and the goal in items a second."""
CLAIM_GOAL_MS, BOOT_GOAL, FINISHED_GOAL = 5.0, 1.0, 2.0
FLAT = 1.25
"""By how much an item may cost more in a full file than in an empty one."""


def row() -> bool:
    """Measure, print, and say whether the goals were met."""
    commits = floor()
    print(f"journal: floor {commits:,.0f} single commits/s of this disk, in this run")
    return all([*_accepting(), *_claiming(), *_booting()])


# --- accepting --------------------------------------------------------------------------------------------------------


def _accepting() -> Iterator[bool]:
    for clients, batch, goal in ACCEPTS:
        with _place() as home, _daemon(home) as daemon:
            before = _cpu_of(daemon)
            got = _loaded(daemon.socket, clients, batch)
            cpu = (_cpu_of(daemon) - before) / (got["per_second"] * SECONDS)
        rate = got["per_second"]
        print(
            f"journal: accepted over the socket, {clients} clients x {batch}: {rate:,.0f} items/s (goal {goal:,}),"
            f" p99 {got['p99_ms']:.1f} ms, {cpu * 1000:.3f} ms CPU of the daemon an item"
        )
        yield rate >= goal


def _loaded(socket: Path, clients: int, batch: int) -> dict[str, float]:
    asked = [sys.executable, "-m", "bench.load", socket, str(clients), str(batch), str(SECONDS)]
    return json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


@contextlib.contextmanager
def _daemon(home: Path) -> Iterator[Daemon]:
    settings = {"provider": {"use": "offline"}, "queue": {"max_items": ROOM}}
    daemon = Daemon(home, settings).start()
    try:
        yield daemon
    finally:
        daemon.close()


def _cpu_of(daemon: Daemon) -> float:
    """Seconds that its process has computed so far."""
    assert daemon.process is not None
    spent = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


# --- claiming ---------------------------------------------------------------------------------------------------------


def _claiming() -> Iterator[bool]:
    """A claim for every slot of a large daemon, beside a short queue and beside a long one."""
    with _journal("ready", MANY) as journal:
        full = _claims(journal)
        full_accept = _accept(journal)
    with _journal("ready", FEW) as journal:
        empty_accept = _accept(journal)
        empty = _claims(journal)
    p50, p99 = median(full) * 1000, sorted(full)[int(CLAIMS * 0.99)] * 1000
    print(f"journal: claim of {SLOTS} of {MANY:,} ready: p99 {p99:.1f} ms (goal {CLAIM_GOAL_MS:g}), p50 {p50:.1f}")
    yield p99 <= CLAIM_GOAL_MS
    for what, much, little in (("claim", median(full), median(empty)), ("accept", full_accept, empty_accept)):
        print(f"journal: {what} in a file of {MANY:,} items against {FEW}: {much / little:.2f} x (goal {FLAT:g})")
        yield much / little <= FLAT


def _claims(journal: Journal) -> list[float]:
    """Seconds that each claim took, from the request to the answer."""
    slots = tuple(Slot(AgentName("echo"), Stage.EXECUTING, f"bench/{number}#1") for number in range(SLOTS))
    took = []
    for _ in range(CLAIMS):
        if len(took) % 10 == 0:
            _accept(journal, 10 * SLOTS)
        began = time.perf_counter()
        journal.call(Claim(slots=slots), WITHIN)
        took.append(time.perf_counter() - began)
    return took


def _accept(journal: Journal, count: int = 10_000) -> float:
    """Seconds to accept so many, a thousand at a time."""
    items = new_items(f"more-{time.perf_counter_ns()}", count)
    began = time.perf_counter()
    for first in range(0, count, 1_000):
        journal.call(Accept(items=items[first : first + 1_000], audit=AUDIT, max_unfinished=ROOM), WITHIN)
    return time.perf_counter() - began


# --- booting ----------------------------------------------------------------------------------------------------------


def _booting() -> Iterator[bool]:
    for state, count, goal in (("running", UNFINISHED, BOOT_GOAL), ("succeeded", MANY, FINISHED_GOAL)):
        with _place() as home:
            filled(home / "state", state, count)
            began = time.perf_counter()
            journal = opened(home / "state")
            took = time.perf_counter() - began
            journal.close(WITHIN)
        print(f"journal: boot with {count:,} {state} items: {took:.2f} s (goal {goal:g})")
        yield took <= goal


@contextlib.contextmanager
def _journal(state: str, count: int) -> Iterator[Journal]:
    with _place() as home:
        filled(home / "state", state, count)
        journal = opened(home / "state")
        try:
            yield journal
        finally:
            journal.close(WITHIN)


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        yield Path(home)
