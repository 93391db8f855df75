"""A turn of the control loop: what holds for everybody in it is asked once, what they brought is told as one."""

import asyncio
from collections.abc import Mapping
from typing import Any

from darumad.control.turn import Turn
from darumad.names import AgentName, Stage

ECHO = AgentName("echo")


class Behind:
    """What stands behind the turn: what it was told, and how often it was asked."""

    def __init__(self) -> None:
        self.told: list[Mapping[Any, int]] = []
        self.asked = 0

    def hint(self, ready: Mapping[Any, int]) -> None:
        self.told.append(dict(ready))

    def unmade(self) -> Mapping[AgentName, str]:
        self.asked += 1
        return {ECHO: f"answer {self.asked}"}


def _turn() -> tuple[Turn, Behind]:
    behind: Any = Behind()
    return Turn(behind, asyncio.get_running_loop()), behind


async def test_what_became_ready_in_one_turn_is_told_as_one_and_once() -> None:
    turn, behind = _turn()
    turn.became_ready(ECHO, Stage.EXECUTING)
    turn.became_ready(ECHO, Stage.EXECUTING)
    await asyncio.sleep(0)  # the next turn
    assert behind.told == [{(ECHO, Stage.EXECUTING): 2}]
    turn.became_ready(ECHO, Stage.REVIEWING)
    await asyncio.sleep(0)  # the next turn
    assert behind.told[1:] == [{(ECHO, Stage.REVIEWING): 1}]


async def test_which_agents_cannot_be_made_is_asked_once_a_turn_and_anew_in_the_next() -> None:
    turn, behind = _turn()
    assert turn.unmade() == turn.unmade() == {ECHO: "answer 1"}
    await asyncio.sleep(0)  # the next turn
    assert turn.unmade() == {ECHO: "answer 2"}
    assert behind.asked == 2
