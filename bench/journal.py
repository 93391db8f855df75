"""The journal's figures: accepting over the socket, claiming from a long queue, booting, and what a full file costs.

Nothing is left out: synchronous=FULL, the daemon with its log and metrics, every answer after its commit. Beside each
figure stands the floor that was measured in the same run (`bench.floors`): on a machine that is busy or slow, the
ratio of the two still says something, and is what is judged. The goals and these floors were once measured on one
machine, and so they make a goal for the ratio: 3,000 submits a second of the 3,230 that a bare server commits for one
client, 10,000 of its 12,900 for 64 clients, 40,000 items of its 53,500 in batches, and claims whose slowest hundredth
takes 5 ms where plain SQL takes 3.3.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import floors
from bench.filled import AUDIT, ROOM, WITHIN, filled, new_items, opened
from bench.walk import floor
from bench.yardstick import cpu_of
from darumad.cli.serve import collect
from darumad.journal import Accept, Claim, Journal, Slot
from darumad.names import AgentName, Stage
from tests.kit import eventually
from tests.kit.daemon import Daemon


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: items in a full file, unfinished ones at a boot, items in an empty file.

    `slots` are filled by each of so many `claims`; `accepts` are handed in at a time to see what one costs; so many
    `seconds` of load are put on the socket.
    """

    many: int = 1_000_000
    unfinished: int = 10_000
    few: int = 100
    slots: int = 128
    claims: int = 200
    accepts: int = 10_000
    seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach, and what its floor was on the machine that it was set on."""

    figure: float
    floor: float

    @property
    def ratio(self) -> float:
        """What the figure may be of the floor of any machine."""
        return self.figure / self.floor


ACCEPTS = ((1, 1, Goal(3_000, 3_230)), (64, 1, Goal(10_000, 12_900)), (4, 100, Goal(40_000, 53_500)))
"""Clients, items in a request, and the goal in items a second."""
CLAIM = Goal(5.0, 3.3)
"""Milliseconds that the slowest hundredth of the claims takes."""
BOOT_GOAL, FINISHED_GOAL = 1.0, 2.0
FLAT = 1.25
"""By how much an item may cost more in a full file than in an empty one."""


def row(sizes: Sizes = Sizes()) -> bool:
    """Measure, print, and say whether the goals were met."""
    commits = floor()
    print(f"journal: floor {commits:,.0f} single commits/s of this disk, in this run")
    return all([*_accepting(sizes), *_claiming(sizes), *_booting(sizes)])


# --- accepting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """What so many clients got accepted: items a second, the slowest hundredth, and the server's CPU an item."""

    rate: float
    p99_ms: float
    cpu_ms: float


def _accepting(sizes: Sizes) -> Iterator[bool]:
    with _place() as home, _bare(home) as (path, pid), _daemon(home) as daemon:
        assert daemon.process is not None
        for clients, batch, goal in ACCEPTS:
            bare = _loaded(path, pid, clients, batch, sizes.seconds)
            ours = _loaded(daemon.socket, daemon.process.pid, clients, batch, sizes.seconds)
            reached = ours.rate / bare.rate
            print(
                f"journal: accepted over the socket, {clients} clients x {batch}: {ours.rate:,.0f} items/s (goal"
                f" {goal.figure:,}), {reached:.2f} x the {bare.rate:,.0f} of a bare server (goal {goal.ratio:.2f}), p99"
                f" {ours.p99_ms:.1f} ms, {ours.cpu_ms:.3f} ms CPU an item ({ours.cpu_ms / bare.cpu_ms:.1f} x its"
                f" {bare.cpu_ms:.3f})"
            )
            yield reached >= goal.ratio


def _loaded(path: Path, server: int, clients: int, batch: int, seconds: float) -> Load:
    """`server` is its process."""
    asked = [sys.executable, "-m", "bench.load", path, str(clients), str(batch), str(seconds)]
    before = cpu_of(server)
    got = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    spent = max(cpu_of(server) - before, 1 / os.sysconf("SC_CLK_TCK"))
    return Load(got["per_second"], got["p99_ms"], spent * 1000 / got["items"])


@contextlib.contextmanager
def _daemon(home: Path) -> Iterator[Daemon]:
    settings = {"provider": {"use": "offline"}, "queue": {"max_items": ROOM}}
    daemon = Daemon(home, settings).start()
    try:
        yield daemon
    finally:
        daemon.close()


@contextlib.contextmanager
def _bare(home: Path) -> Iterator[tuple[Path, int]]:
    """The bare server's socket and process."""
    path = home / "bare.sock"
    server = subprocess.Popen([sys.executable, "-m", "bench.floors", path, home / "bare.db"])
    try:
        eventually(lambda: _listens(path))
        yield path, server.pid
    finally:
        server.terminate()
        server.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(os.fspath(path)) == 0


# --- claiming ---------------------------------------------------------------------------------------------------------


def _claiming(sizes: Sizes) -> Iterator[bool]:
    """A claim for every slot of a large daemon, beside a short queue and beside a long one."""
    with _place() as home:
        bare = floors.claims(home / "bare.db", sizes.many, sizes.slots, sizes.claims)
    with _journal("ready", sizes.many) as journal:
        full = _claims(journal, sizes)
        full_accept = _accept(journal, sizes.accepts)
    with _journal("ready", sizes.few) as journal:
        empty_accept = _accept(journal, sizes.accepts)
        empty = _claims(journal, sizes)
    (p50, p99), (bare_p50, bare_p99) = _in_ms(full), _in_ms(bare)
    print(
        f"journal: claim of {sizes.slots} of {sizes.many:,} ready: p99 {p99:.1f} ms (goal {CLAIM.figure:g}),"
        f" {p99 / bare_p99:.1f} x the {bare_p99:.1f} of plain SQL (goal {CLAIM.ratio:.1f}), p50 {p50:.1f}"
        f" ({p50 / bare_p50:.1f} x its {bare_p50:.1f})"
    )
    yield p99 / bare_p99 <= CLAIM.ratio
    for what, much, little in (("claim", median(full), median(empty)), ("accept", full_accept, empty_accept)):
        grown = much / little
        print(f"journal: {what} in a file of {sizes.many:,} items against {sizes.few}: {grown:.2f} x (goal {FLAT:g})")
        yield grown <= FLAT


def _in_ms(took: list[float]) -> tuple[float, float]:
    """The middle one and the slowest hundredth."""
    return median(took) * 1000, sorted(took)[int(len(took) * 0.99)] * 1000


def _claims(journal: Journal, sizes: Sizes) -> list[float]:
    """Seconds that each claim took, from the request to the answer."""
    slots = tuple(Slot(AgentName("echo"), Stage.EXECUTING, f"bench/{number}#1") for number in range(sizes.slots))
    took = []
    for _ in range(sizes.claims):
        if len(took) % 10 == 0:
            _accept(journal, 10 * sizes.slots)
        began = time.perf_counter()
        journal.call(Claim(slots=slots), WITHIN)
        took.append(time.perf_counter() - began)
    return took


def _accept(journal: Journal, count: int) -> float:
    """Seconds to accept so many, a thousand at a time."""
    items = new_items(f"more-{time.perf_counter_ns()}", count)
    began = time.perf_counter()
    for first in range(0, count, 1_000):
        journal.call(Accept(items=items[first : first + 1_000], audit=AUDIT, max_unfinished=ROOM), WITHIN)
    return time.perf_counter() - began


# --- booting ----------------------------------------------------------------------------------------------------------


def _booting(sizes: Sizes) -> Iterator[bool]:
    for state, count, goal in (("running", sizes.unfinished, BOOT_GOAL), ("succeeded", sizes.many, FINISHED_GOAL)):
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
        collect()
        try:
            yield journal
        finally:
            journal.close(WITHIN)


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        yield Path(home)
