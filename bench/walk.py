"""The walk of an item: the shipped `echo` agent, all three stages, through the real bridge, actors and journal.

Nothing is left out: synchronous=FULL, the log written, metrics counted. The floor is one durable SQLite commit of the
same run; a fresh process per measurement, so that one row's memory is not another's.
"""

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.yardstick import speed
from darumad.cli.serve import collect
from darumad.clock import SystemClock
from darumad.control.counting import FactCounter
from darumad.cores import one_core
from darumad.daemon.assembly import build_kernel, build_minds, credentials_of
from darumad.daemon.engine import Engine
from darumad.daemon.guardian import Guardian
from darumad.daemon.turns import SwitchInterval
from darumad.journal.requests import Accept, Audit, NewItem
from darumad.logs import configure
from darumad.names import AgentName, ItemId, Seconds, Stage
from darumad.notify import Notifier
from darumad.settings import AgentSettings, Executors, Log, Optimizers, Provider, Reviewers, Settings
from darumad.values import changed
from darumad.work.item import WorkItem

ITEMS, IN_FLIGHT, WARM = 12_000, 256, 1_000
ROUNDS = 3
GOAL, GOAL_BESIDE = 2_000, 800


def settings_for(home: Path, in_flight: int) -> Settings:
    """The shipped settings, with as many executors as items in flight, and as many of the others as ship at most."""
    return changed(
        Settings(),
        state_dir=home / "state",
        executors=Executors(count=2),
        optimizers=Optimizers(count=32),
        reviewers=Reviewers(count=32),
        provider=Provider(use="offline"),
        agents={"echo": AgentSettings(template="echo", count=in_flight)},
        log=Log(format="json", file=home / "daruma.log"),
    )


class Feed:
    """Keeps a number of items in flight: what succeeds is replaced, by whole batches."""

    def __init__(self, kernel, engine, total: int) -> None:
        self._kernel, self._engine, self._total = kernel, engine, total
        self._next = 0
        self._lock = threading.Lock()
        self.ended: Counter[str] = Counter()
        self.times: list[float] = []
        self.done = threading.Event()

    def submit(self, count: int) -> None:
        """Hand in `count` more, as one batch."""
        with self._lock:
            first, self._next = self._next, min(self._next + count, self._total)
            last = self._next
        if first == last:
            return
        items = tuple(self._item(number) for number in range(first, last))
        audit = Audit(by="bench", action="submit", target=items[0].item.id)
        accept = Accept(items=items, audit=audit, max_unfinished=10_000)
        ready = {(AgentName("echo"), Stage.OPTIMIZING): len(items)}
        self._kernel.journal.post(accept, lambda _: self._engine.hint(ready))

    def hear(self, batch) -> None:
        """A committed batch of events."""
        ended = [each.type for each in batch if each.type in {"work.succeeded", "work.dead", "work.parked"}]
        if not ended:
            return
        self.ended.update(ended)
        now = time.perf_counter()
        self.times += [now] * len(ended)
        if len(self.times) >= self._total:
            self.done.set()
        self.submit(len(ended))

    def _item(self, number: int) -> NewItem:
        name = f"item-{number}"
        item = WorkItem(id=ItemId(name), description="say it again", agent=AgentName("echo"), input={"n": number})
        return NewItem(item=item, digest=name)


def spin(until: threading.Event) -> None:
    """A CPU-bound Python thread."""
    count = 0
    while not until.is_set():
        count += 1


def measure(beside: str, items: int, warm: int = WARM, in_flight: int = IN_FLIGHT) -> dict[str, float]:
    """Items per second and CPU per item, in this process."""
    home = Path(tempfile.mkdtemp())
    settings = settings_for(home, in_flight)
    clock = SystemClock()
    devnull = os.open(os.devnull, os.O_WRONLY)
    logs = configure(settings.log, clock=clock, environ={}, descriptor=devnull)
    with ExitStack() as stack:
        stack.enter_context(one_core())
        turns = SwitchInterval(clock, settings.daemon.switch_interval)
        turns.open()
        stack.callback(turns.close)
        kernel = build_kernel(settings, clock, Guardian(clock, Notifier({})), stack)
        kernel.publisher.subscribe(FactCounter(kernel.tally))
        engine = Engine(kernel, build_minds(kernel, credentials_of(settings, {})))
        engine.start([])
        stack.callback(engine.root.stop)
        collect()
        feed = Feed(kernel, engine, items + warm)
        kernel.publisher.subscribe(feed.hear)
        stop = threading.Event()
        if beside == "spinner":
            threading.Thread(target=spin, args=(stop,), daemon=True).start()
        feed.submit(in_flight)
        cpu = time.process_time()
        if not feed.done.wait(300):
            raise SystemExit(f"only {len(feed.times)} of {items + warm} ended: {feed.ended}")
        cpu = time.process_time() - cpu
        stop.set()
        took = feed.times[items + warm - 1] - feed.times[warm]
    logs.close(Seconds(5.0))
    return {
        "items_per_second": items / took,
        "cpu_ms_per_item": cpu / (items + warm) * 1000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "succeeded": feed.ended["work.succeeded"],
    }


def floor() -> float:
    """Durable commits per second of one row each: what this disk gives a single writer."""
    with tempfile.TemporaryDirectory() as home:
        db = sqlite3.connect(Path(home, "floor.db"), isolation_level=None)
        db.executescript("PRAGMA journal_mode=wal; PRAGMA synchronous=FULL; CREATE TABLE t (a INTEGER, b TEXT);")
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 1.0:
            db.execute("INSERT INTO t VALUES (?, 'row')", (count,))
            count += 1
        db.close()
        return count


def row() -> bool:
    """Measure in fresh processes, print, and say whether the goals were met."""
    commits = floor()
    print(f"walk: floor {commits:,.0f} single commits/s of this disk")
    alone, beside = rounds("nothing", ITEMS), rounds("spinner", ITEMS // 3)
    return all(
        [_told("alone", alone, GOAL, commits), _told("beside one CPU-bound thread", beside, GOAL_BESIDE, commits)]
    )


def rounds(beside: str, items: int) -> list[dict[str, float]]:
    """What was measured, each with the machine's `speed` at that time."""
    found, before = [], speed()
    for _ in range(ROUNDS):
        got, after = measured(beside, items), speed()
        found.append({**got, "speed": (before + after) / 2})
        before = after
    return found


def _told(name: str, found: list[dict[str, float]], goal: int, commits: float) -> bool:
    share = median(each["items_per_second"] / (goal * each["speed"]) for each in found)
    rates = ", ".join(f"{each['items_per_second']:,.0f}" for each in found)
    goals = ", ".join(f"{goal * each['speed']:,.0f}" for each in found)
    rate, cpu, rss = (
        median(each[what] for each in found) for what in ("items_per_second", "cpu_ms_per_item", "rss_mb")
    )
    print(
        f"walk: {name}: {rates} items/s (goal {goal:,}; at this machine's speed then {goals}: {share:.2f} x;"
        f" {rate / commits:.2f} x the floor), {cpu:.2f} ms CPU/item, {rss:.0f} MB"
    )
    return share >= 1.0


def measured(beside: str, items: int) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.walk", beside, str(items)], check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
