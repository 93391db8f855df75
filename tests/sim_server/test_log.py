"""The log of a simulator that runs for days: the newest attempts find room, and it says how many older ones did not."""

import json

from darumad.sim.admin import administer
from darumad.sim.log import Log
from darumad.sim.server import Simulator
from darumad.sim.wire import Request

TAKES = 4 << 10
"""What an attempt takes of which nothing is kept but that it was."""


def asked(log: Log, **fields: object) -> int:
    return log.open(
        listener="l", connection=1, method="POST", path="/", headers={}, body_sha256="", t_arrive=0.0, **fields
    )


def kept(log: Log) -> list[int]:
    return [each.number for each in log.attempts()]


def test_the_oldest_attempts_make_room_for_the_newest() -> None:
    log = Log(room=3 * TAKES)
    for _ in range(5):
        asked(log)
    assert (kept(log), log.dropped) == ([3, 4, 5], 2)
    log.note(1, status=200)
    assert (kept(log), log.dropped) == ([3, 4, 5], 2), "what became of one that was dropped brings it not back"


def test_what_was_asked_and_what_was_said_take_room_as_well() -> None:
    log = Log(room=4 * TAKES)
    for size in 0, 0, TAKES:
        asked(log, bytes_in=size)
    assert kept(log) == [1, 2, 3]
    log.note(3, said="x" * TAKES)
    assert (kept(log), log.dropped) == ([2, 3], 1)
    log.note(3, said="")
    asked(log)
    assert kept(log) == [2, 3, 4], "what is said no more leaves its room"


def test_an_attempt_that_is_larger_than_the_room_is_kept_until_the_next() -> None:
    log = Log(room=TAKES)
    asked(log, bytes_in=10 * TAKES)
    assert (kept(log), log.dropped) == ([1], 0)
    asked(log)
    assert (kept(log), log.dropped) == ([2], 1)


def test_a_log_that_was_forgotten_has_all_of_its_room_again() -> None:
    log = Log(room=2 * TAKES)
    for _ in range(3):
        asked(log)
    log.forget()
    assert (kept(log), log.dropped) == ([], 0)
    asked(log)
    asked(log)
    assert (kept(log), log.dropped) == ([4, 5], 0)


def test_the_door_says_how_many_were_dropped() -> None:
    simulator = Simulator(log=Log(room=TAKES))
    for _ in range(3):
        asked(simulator.log)
    shown, counted = (administer(simulator, Request("GET", f"/_sim/{each}", "", {}, b"")) for each in ("log", "stats"))
    assert [each["number"] for each in json.loads(shown.frames[0])] == [3]
    assert shown.headers == {"x-sim-dropped": "2"}
    told = json.loads(counted.frames[0])
    assert (told["attempts"], told["dropped"]) == (1, 2)
