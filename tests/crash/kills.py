"""The kill campaign: load from outside, one life of the daemon after another, each ended where it hurts.

A life ends at a point of its source, or at random; some random ones have their orchestrator fail before. After each
death the file is read; after the last, everything is given the time to end, and the whole history is judged.
"""

import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.crash.checker import Violation, check, repeated_calls
from tests.crash.history import History, Kill, calls_seen, clients_said, read_tables, tables_of
from tests.crash.houses import Nursery, Place, client, daemon, model_server, nursery, until_answering, until_drained
from tests.crash.rules import DRAINED

SOONEST, LATEST = 0.01, 0.9
"""Seconds after it answered within which a life ends at random."""
LIFE = 6.0
"""Seconds that a life has to reach the point that it was sent to; then it is asked to stop."""
STOPPING = 45.0
"""Seconds that it then has."""
AT_RANDOM = "at random"
AT_THE_END = frozenset({
    "journal.publisher.Publisher.close 1", "journal.writer.Writer.close 1", "journal.writer._turn_away 1",
    "bridge.loop.LoopThread.stop 1",
})  # fmt: skip
"""Lines that only a daemon comes to that was asked to stop."""
NOT_SENT_FOR: Mapping[str, str] = {
    "actors.orchestrator.Orchestrator._carry_out 1": "an end that moves nothing: a cancel was faster",
    "actors.orchestrator.Orchestrator._moved 1": "a move that came too late: a cancel was faster",
    "actors.orchestrator.Orchestrator._look_again 1": "an item is parked for what is mended in that moment: tests/e2e",
    "actors.role.RoleActor._spawned 1": "an agent that could not be made is made after all: somebody mends its file",
    "actors.listener.TreeListener.__call__ 1": "an agent is benched: eight restarts with their backoff take minutes",
    "actors.listener.TreeListener._started 1": "a benched agent is up again, after 15 minutes",
    "journal.writer.Writer._keep_what_happened 1": "the disk is full: tests/journal",
    "bridge.steps.Steps._end_replay 1": "an agent asks otherwise than before its death: tests/crash/test_replays",
    "control.on_operating.purge 1": "an operator purges an item, and who was told of it finds it gone: tests/journal",
    "control.on_operating.retry 1": "an operator says that a provider is mended, of an item that is ready: tests/e2e",
    "daemon.engine.Engine._heard 1": "a provider that was down is back, half a minute later: tests/e2e/test_outage",
    "bridge.loop.LoopThread.aside 1": "a day begins, or a key is looked for again, once a minute",
    "bridge.task.StageTask.end 1": "a task is cancelled in the turn of the loop that made it",
    "bridge.whole.Bridge.restart 1": "nobody in the daemon: an agent is restarted through the tree",
    "bridge.whole.Bridge.convict 1": "an agent holds the loop for ten seconds",
    "daemon.engine.Engine.left_behind 1": "the same, after its item is done",
    "bridge.whole.Bridge._tell 1": "the same",
    "bridge.whole.Bridge.replace 1": "the same",
    "bridge.whole.Bridge.replace 2": "the same",
    "bridge.loop.LoopThread.let_go 1": "the same",
    "journal.commits.Commits.drop 1": "the same",
    "bridge.task.StageTask._abandon 1": "a task ignores its cancel for five seconds",
    "bridge.half.BridgeHalf._give_up_on 1": "the same",
}
"""Lines that these campaigns do not come to, and who does. Their posts are those of lines that are covered."""
FAULTS = 0.03
CLIENTS, PACE = 2, 0.12
TIMES = (1, 1, 1, 3, 9)
"""At which of its times a point fails; one that was missed is sent for again, at its first."""
LIVES = 3
"""How many lives are spent on a point that is not reached."""
SELDOM = (
    "journal.boot.", "actors.orchestrator.Orchestrator._reread", "actors.role.RoleActor._spawn_failed",
    "actors.listener.TreeListener._", "bridge.half.BridgeHalf.forget", "bridge.half.BridgeHalf._leave",
    "control.on_",
)  # fmt: skip
"""Lines to which a life comes once, or every few seconds: they fail at their first time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one life ends: at a point or, without one, at random; `deed` says what fails."""

    point: str | None = None
    deed: str = "kill"


@dataclass(frozen=True, slots=True)
class Campaign:
    """What came of it, and where. `boots` are seconds from the birth of a life to its first answer."""

    history: History
    violations: tuple[Violation, ...]
    boots: tuple[float, ...]
    home: Path

    @property
    def items(self) -> int:
        """How many items there were."""
        return len(self.history.tables["item"])

    @property
    def repeated(self) -> int:
        """How many answered model calls were made again."""
        return repeated_calls(self.history)

    @property
    def points(self) -> Counter[str]:
        """How often the daemon died at each point."""
        return Counter(kill.where for kill in self.history.kills if kill.daemon)

    @property
    def failures(self) -> Counter[str]:
        """How often the orchestrator failed at each point, and its daemon lived."""
        return Counter(kill.where for kill in self.history.kills if not kill.daemon)

    @property
    def states(self) -> Counter[str]:
        """How often a death of the daemon met an item in each state; of running ones, in each stage."""
        met = (state for kill in self.history.kills for state in kill.states.values())
        return Counter(f"{state} {stage}" if state == "running" else state for state, stage in met)


def campaign(plans: Sequence[Plan], seed: int, home: Path | None = None) -> Campaign:
    """Carry out these plans, and judge. What broke a promise stays where it lay, for whoever looks into it."""
    place = Place(Path(tempfile.mkdtemp(prefix="crash-", dir=home)))
    rng = random.Random(seed)
    with model_server(place, faults=FAULTS), nursery(place) as cradle, ExitStack() as load:
        lives = _Lives(place, cradle, rng)
        kills = [*lives.one(plans[0])]
        for number in range(CLIENTS):
            load.enter_context(client(place, f"client{number}", pace=PACE))
        kills += [kill for plan in plans[1:] for kill in lives.one(plan)]
        with daemon(place):
            load.close()  # the clients settle what they left open, with a daemon that lives
            until_drained(place)
    history = history_of(place, kills)
    found = tuple(check(history, DRAINED))
    if not found:
        shutil.rmtree(place.home, ignore_errors=True)
    return Campaign(history, found, tuple(lives.boots), place.home)


def history_of(place: Place, kills: Sequence[Kill]) -> History:
    """What clients, model server and file tell of a campaign that is over."""
    said = clients_said(place.client_logs)
    return replace(said, calls=calls_seen(place.calls), kills=tuple(kills), tables=tables_of(place.database))


class _Lives:
    """One life after another. `boots` grows by one each."""

    def __init__(self, place: Place, cradle: Nursery, rng: random.Random) -> None:
        self._place = place
        self._cradle = cradle
        self._rng = rng
        self._told = 0
        self._reached: list[str] = []
        self.boots: list[float] = []

    def one(self, plan: Plan) -> Iterator[Kill]:
        """A life and its death, and before that the orchestrator's, if that is planned."""
        once = plan.point is None or plan.point.startswith(SELDOM) or _line(plan.point) in AT_THE_END
        yield from self._life(plan, 1 if once else self._rng.choice(TIMES))
        for _ in range(1, LIVES):
            if plan.point is None or self._reached:
                return
            yield from self._life(plan, 1)

    def _life(self, plan: Plan, nth: int) -> Iterator[Kill]:
        born = time.monotonic()
        self._cradle.bear(plan.point, nth, plan.deed)
        until_answering(self._place, lambda: self._cradle.dead)
        if not self._cradle.dead:
            self.boots.append(time.monotonic() - born)
        if plan.point is not None and plan.deed == "kill":
            self._send_for(plan.point)
        else:
            if plan.point is not None:
                _wait(lambda: self._cradle.dead or len(self._said()) > self._told, LIFE)
            _wait(lambda: self._cradle.dead, self._rng.uniform(SOONEST, LATEST))
        self._cradle.kill()
        yield from self._deaths(plan)

    def _send_for(self, point: str) -> None:
        _wait(lambda: self._cradle.dead, SOONEST if _line(point) in AT_THE_END else LIFE)
        if not self._cradle.dead:
            self._cradle.stop()
            _wait(lambda: self._cradle.dead, STOPPING)

    def _said(self) -> list[str]:
        """Which points were reached so far, over all lives."""
        return self._place.told.read_text().splitlines()

    def _deaths(self, plan: Plan) -> Iterator[Kill]:
        told = self._said()
        self._reached, self._told = told[self._told :], len(told)
        if plan.deed == "raise":
            yield from (Kill(time.monotonic_ns(), each, daemon=False) for each in self._reached)
        where = self._reached[0] if self._reached and plan.deed == "kill" else AT_RANDOM
        yield dead_file(self._place, where)


def fails_alone(line: str) -> bool:
    """Whether what fails at this line is the orchestrator, and not the whole daemon."""
    return ".Orchestrator." in line and line not in NOT_SENT_FOR


def _line(point: str) -> str:
    return point.rpartition(" ")[0]


def dead_file(place: Place, where: str) -> Kill:
    """What a dead daemon left, read from a copy: the file itself stays as it is."""
    copy = place.home / "copy"
    copy.mkdir(exist_ok=True)
    for each in (place.database, place.database.with_name("journal.db-wal")):
        (copy / each.name).unlink(missing_ok=True)
        if each.exists():
            shutil.copyfile(each, copy / each.name)
    (copy / "journal.db-shm").unlink(missing_ok=True)
    rows = read_tables(copy / "journal.db", ("item", "reservation"))
    return Kill(
        time.monotonic_ns(),
        where,
        states={row["uid"]: (row["state"], row["stage"]) for row in rows["item"]},
        fences={row["uid"]: row["fence"] for row in rows["item"]},
        unsettled=frozenset(row["uid"] for row in rows["reservation"] if row["settled_at"] is None),
    )


def _wait(over: Callable[[], bool], within: float) -> None:
    until = time.monotonic() + within
    tick = threading.Event()
    while time.monotonic() < until and not over():
        tick.wait(0.002)
