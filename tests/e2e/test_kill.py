"""Kills with work in flight: twenty from outside, and those of an item that does it itself.

What ran how often is counted by a witness outside the daemon.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.conftest import own
from tests.kit import eventually
from tests.kit.daemon import PATIENCE, Daemon

KILLS, A_WAVE = 20, 3
STEPS = {"executing": 3, "reviewing": 2}
IN_ORDER = [(stage, step) for stage, steps in STEPS.items() for step in range(1, steps + 1)]
SETTINGS = {
    "provider": {"use": "offline"},
    "optimizers": {"count": 1},
    "executors": {"count": 3},
    "reviewers": {"count": 1},  # fewer than the executors, so that items wait between their stages
    "agents": {"slow": own("slow", count=3)},
}
STATES = "SELECT uid, state, stage, first_stage FROM item"
IN_FLIGHT = """
    SELECT uid, stage, (SELECT count(*) FROM step WHERE step.item = item.id AND step.stage = item.stage)
    FROM item WHERE state = 'running'
"""
Step = tuple[str, str, int]
"""An item, a stage and the number of a step in it."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What one kill hit, read from the dead file: where each item was, and which step of it cannot have been kept."""

    places: Counter[tuple[str, str]]
    between: int
    in_flight: frozenset[Step] = field(repr=False)

    @property
    def at_work(self) -> int:
        """How many items were in executing or reviewing."""
        return self.places["running", "executing"] + self.places["running", "reviewing"]


def test_one_item_that_kills_the_daemon_every_time_is_put_aside_and_nobody_else_is_blamed(
    house: Callable[..., Daemon],
) -> None:
    daemon = house({**SETTINGS, "agents": {"obeys": own("obeys", count=3)}})
    witness = daemon.home / "witness"
    daemon.start()
    for name, act in {"left": "wait", "right": "wait", "killer": "kill"}.items():
        daemon.submit(name, agent="obeys", input={"witness": str(witness), "acts": [act]}, stages=["execute"])
    for _ in range(2):  # whoever runs beside it looks as guilty
        _die_over(daemon, "left", "right", "killer")
        daemon.start()

    witness.with_suffix(".over").touch()
    for _ in range(3):  # alone, there is only one who can have done it
        _die_over(daemon, "killer")
        daemon.start()
    ended = [daemon.settled(name) for name in ("left", "right", "killer")]
    assert [each["state"] for each in ended] == ["succeeded", "succeeded", "dead"]
    assert [each["failures"] for each in ended[:2]] == [0, 0]
    assert ended[2]["error"]["kind"] == "handler_crashed"


def _die_over(daemon: Daemon, *running: str) -> None:
    """Let the daemon be killed by what it runs, once all of these are at work."""
    now = daemon.home / "witness.now"
    for name in running:
        daemon.becomes(name, state="running")
    assert daemon.process is not None
    now.touch()
    assert daemon.process.wait(PATIENCE) == -signal.SIGKILL
    daemon.client.close()
    now.unlink()


def test_twenty_kills_lose_nothing_and_repeat_nothing_that_was_finished(house: Callable[..., Daemon]) -> None:
    daemon = house(SETTINGS)
    witness = daemon.home / "witness"
    kills = [_a_life(daemon, witness, number) for number in range(KILLS)]
    names = [name for number in range(KILLS) for name in _wave(number)]
    daemon.start()
    eventually(lambda: daemon.client.call("status")["queue"]["succeeded"] == len(names), 2 * PATIENCE)

    print(*kills, sep="\n")
    assert sum(kill.at_work > 0 for kill in kills) >= 12
    assert sum(kill.places["running", "reviewing"] > 0 for kill in kills) >= 3
    assert sum(kill.between > 0 for kill in kills) >= 3
    _nothing_is_lost_and_no_result_came_twice(daemon, names)
    _nobody_went_back(_begun(witness), names)
    _no_finished_step_was_repeated(daemon, _begun(witness), kills, names)


def _a_life(daemon: Daemon, witness: Path, number: int) -> Killed:
    """Start, hand in a few more, let some steps be done, and kill."""
    daemon.start()
    begun = len(_begun(witness))
    daemon.client.batch(
        [{"id": name, "description": f"Lay {name}", "agent": "slow", "input": str(witness)} for name in _wave(number)]
    )
    # The steps of a life that got on with the work clear its items of suspicion; the last wish alternates.
    wished = ("executing", "reviewing")[number % 2]
    eventually(lambda: len(_begun(witness)) >= begun + 6 and _is_running_in(daemon, wished), PATIENCE)
    daemon.kill()
    return _what_was_hit(daemon)


def _wave(number: int) -> Iterator[str]:
    return (f"brick-{number}-{each}" for each in range(A_WAVE))


def _is_running_in(daemon: Daemon, stage: str) -> bool:
    return any((each["state"], each["stage"]) == ("running", stage) for each in daemon.listed())


def _what_was_hit(daemon: Daemon) -> Killed:
    states, running = daemon.dead_rows(STATES, IN_FLIGHT)
    return Killed(
        places=Counter((state, stage) for _, state, stage, _ in states),
        between=sum(state == "ready" and stage != first for _, state, stage, first in states),
        in_flight=frozenset((uid, stage, kept + 1) for uid, stage, kept in running if kept < STEPS.get(stage, 0)),
    )


def _begun(witness: Path) -> list[tuple[Step, str]]:
    """Every step that began, with its token, in order."""
    lines = witness.read_text().splitlines() if witness.exists() else []
    return [((item, stage, int(step)), token) for _, item, stage, step, token in map(str.split, lines)]


def _nothing_is_lost_and_no_result_came_twice(daemon: Daemon, names: list[str]) -> None:
    ends = Counter(each["subject"] for each in daemon.events("work.succeeded"))
    assert ends == Counter(names)
    assert {each["id"]: each["state"] for each in daemon.listed()} == dict.fromkeys(names, "succeeded")


def _nobody_went_back(begun: list[tuple[Step, str]], names: list[str]) -> None:
    """By the witness alone: a step behind which another began was over, and never began again."""
    for name in names:
        places = [IN_ORDER.index((stage, step)) for (item, stage, step), _ in begun if item == name]
        assert places == sorted(places), name


def _no_finished_step_was_repeated(
    daemon: Daemon, begun: list[tuple[Step, str]], kills: list[Killed], names: list[str]
) -> None:
    times = Counter(step for step, _ in begun)
    caught = Counter(step for kill in kills for step in kill.in_flight)
    assert set(times) == {
        (name, stage, step) for name in names for stage, steps in STEPS.items() for step in range(1, steps + 1)
    }
    assert {step: count for step, count in times.items() if count > 1 + caught[step]} == {}
    last = dict(begun)  # of a step that was caught, the last beginning is the one that was finished
    for name in names:
        result = daemon.client.call("result", id=name)
        assert result["data"] == [last[name, "executing", step] for step in (1, 2, 3)]
        assert result["review"]["recommendations"] == [last[name, "reviewing", step] for step in (1, 2)]
