"""The power cuts: a daemon under load is recorded write by write; then its disk is cut off, over and over.

A kill tells nothing of what a missing sync costs: what was written stays in the kernel. Here only what was synced is
sure to be there. Each state that a cut may leave is opened by the product's own boot and judged by the same rules.
"""

import random
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from darumad.clock import SystemClock
from darumad.errors import DarumaError
from darumad.journal import Journal, Program
from darumad.names import Seconds
from tests.crash.checker import Violation, check
from tests.crash.disk import Change, Disk, changes
from tests.crash.history import History, calls_seen, clients_said, tables_of
from tests.crash.houses import Place, client, daemon, model_server, watched
from tests.crash.rules import STANDING

SHIM = Path("build/crash/disk.so")
_SOURCE = Path(__file__).with_name("disk.c")
_MEMORY = Path("/dev/shm")
_WITHIN = Seconds(10.0)
PACE = 0.02
FAULTS = 0.02


@dataclass(frozen=True, slots=True)
class Recording:
    """What one daemon did to its disk, over several lives, and what its witnesses knew when."""

    history: History
    changes: tuple[Change, ...]


def shim() -> Path:
    """The library that records, built when there is none or its source is newer."""
    if not SHIM.exists() or SHIM.stat().st_mtime < _SOURCE.stat().st_mtime:
        SHIM.parent.mkdir(parents=True, exist_ok=True)
        draft = SHIM.with_name(f"{uuid.uuid4()}.so")
        subprocess.run(
            [
                "gcc",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
                "-o",
                draft,
                _SOURCE,
                "-ldl",
                "-lpthread",
            ],
            check=True,
        )
        draft.replace(SHIM)
    return SHIM.absolute()


def recorded(lives: Sequence[int]) -> Recording:
    """Record one daemon: in each life, but for the last, it is killed when so many further items were accepted."""
    place = Place(Path(tempfile.mkdtemp(prefix="cuts-")))
    trace = place.home / "trace"
    environ = {"LD_PRELOAD": str(shim()), "DISK_ROOT": str(place.state.parent), "DISK_TRACE": str(trace)}
    try:
        with model_server(place, faults=FAULTS), ExitStack() as load:
            for name in ("client0", "client1"):
                load.enter_context(client(place, name, pace=PACE))
            for items in lives[:-1]:
                with _life(place, environ, items) as process:
                    process.kill()
                    process.wait()
            with _life(place, environ, lives[-1]):
                load.close()
        history = replace(clients_said(place.client_logs), calls=calls_seen(place.calls))
        return Recording(history, tuple(changes(trace)))
    finally:
        shutil.rmtree(place.home, ignore_errors=True)


@contextmanager
def _life(place: Place, environ: Mapping[str, str], items: int) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that has accepted so many further items."""
    before = _accepted(place)
    with daemon(place, environ) as process:
        watched(lambda: _accepted(place) - before >= items, process)
        yield process


def _accepted(place: Place) -> int:
    return len(clients_said(place.client_logs).answered)


@dataclass(frozen=True, slots=True)
class Cuts:
    """What came of cutting: how often, what was broken, and how many items had been promised at each cut on average."""

    count: int
    violations: tuple[Violation, ...]
    promised: float


def cut(recording: Recording, count: int, seed: int) -> Cuts:
    """Cut the recorded disk off at so many moments, each in a way of its own, and judge what is left."""
    rng = random.Random(seed)
    moments = sorted(rng.choices(_moments(recording.changes), k=count))
    found: list[Violation] = []
    promised = 0
    for moment, disk in _at(recording.changes, moments):
        known = recording.history.until(moment, {})
        promised += len(known.answered)
        found += _judged(disk, known, rng)
    return Cuts(count, tuple(found), promised / count)


def _moments(recorded: Sequence[Change]) -> list[int]:
    """When a cut tells something: after each change, and just before it."""
    return [at for each in recorded for at in (each.at - 1, each.at)]


def _at(recorded: Iterable[Change], moments: Iterable[int]) -> Iterator[tuple[int, Disk]]:
    disk, left = Disk(), iter(recorded)
    change = next(left, None)
    for moment in moments:
        while change is not None and change.at <= moment:
            disk.play(change)
            change = next(left, None)
        yield moment, disk


def _judged(disk: Disk, known: History, rng: random.Random) -> list[Violation]:
    home = Path(tempfile.mkdtemp(prefix="cut-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        disk.cut(home / "daemon", rng)
        try:
            _boot(home / "daemon" / "state")
        except DarumaError as error:
            return [Violation("it opens after a power cut", "the daemon", f"would not start: {error}")]
        try:
            tables = tables_of(home / "daemon" / "state" / "journal.db")
        except sqlite3.DatabaseError as error:
            return [Violation("it is whole after a power cut", "the journal", f"is broken: {error}")]
        return check(replace(known, tables=tables), STANDING)
    finally:
        shutil.rmtree(home)


def _boot(state: Path) -> None:
    """The product's boot, and its end."""
    journal = Journal.open(
        state,
        clock=SystemClock(),
        node="local",
        publish=lambda _: None,
        tally=None,
        ageing=Seconds(600.0),
        program=Program("cut"),
        on_fatal=lambda _: None,
    )
    journal.close(_WITHIN)


def summed(parts: Iterable[Cuts]) -> Cuts:
    """Several as one."""
    all_ = list(parts)
    count = sum(each.count for each in all_)
    violations = tuple(violation for each in all_ for violation in each.violations)
    return Cuts(count, violations, sum(each.promised * each.count for each in all_) / max(count, 1))


def kinds(violations: Iterable[Violation]) -> Counter[str]:
    """How often each rule was broken."""
    return Counter(each.rule for each in violations)
