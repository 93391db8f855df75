"""What could be claimed and is not, as it looks from outside: red after enough looks, and in any doubt green."""

from typing import Any

import pytest

from darumad.actors import Barred, Claiming, Scene, Standstill
from darumad.actors.roster import ANY
from darumad.actors.standstill import claimable
from darumad.journal import Ready
from darumad.names import AgentName, Role, Stage

MINE = AgentName("mine")
NEW = Ready(Stage.EXECUTING, MINE, "default", fresh=True)
MIDWAY = NEW._replace(stage=Stage.REVIEWING, fresh=False)
DOING, REVIEWING = (Role.EXECUTOR, MINE), (Role.REVIEWER, ANY)
SAID = "nothing is claimed, though items of mine are ready for executing and a slot for it is idle"


def scene(*, claimed: int = 0, barred: Barred | None = None, **given: Any) -> Scene:
    """An item of `mine` that nobody has begun, and a slot for it."""
    usual: dict[str, Any] = {
        "ready": [NEW],
        "under_way": {},
        "counts": {MINE: 2},
        "idle": frozenset({DOING}),
        "shut_lanes": frozenset(),
        "claiming": Claiming(barred or Barred(), claimed),
    }
    return Scene(**{**usual, **given})


def test_an_item_beside_an_idle_slot_of_its_own_could_be_claimed() -> None:
    assert claimable(scene()) == NEW
    assert claimable(scene(ready=[MIDWAY], idle=frozenset({REVIEWING}))) == MIDWAY
    assert claimable(scene(under_way={MINE: 1})) == NEW


@pytest.mark.parametrize(
    "held_back",
    [
        pytest.param(scene(ready=[]), id="nothing is ready"),
        pytest.param(scene(idle=frozenset()), id="no slot is idle"),
        pytest.param(scene(idle=frozenset({REVIEWING})), id="a slot for something else is idle"),
        pytest.param(scene(barred=Barred(wholly=frozenset({MINE}))), id="its circuit is open, or its template held"),
        pytest.param(scene(barred=Barred(but_one={MINE: "near"})), id="its probe goes first"),
        pytest.param(scene(shut_lanes=frozenset({"default"})), id="its lane lets nobody in"),
        pytest.param(scene(under_way={MINE: 2}), id="as many of its definition are under way as may be"),
        pytest.param(scene(ready=[NEW, MIDWAY]), id="one that was begun goes first, and has no slot"),
    ],
)
def test_what_is_held_back_could_not(held_back: Scene) -> None:
    assert claimable(held_back) is None


def test_a_look_is_told_once_enough_in_a_row_found_the_same() -> None:
    still = Standstill(most=2)
    signs = []
    for _ in range(4):
        still.look(scene(claimed=7))
        signs.append(still.sign)
    assert signs == [True, True, SAID, SAID]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(scene(claimed=8), id="something was claimed"),
        pytest.param(scene(claimed=7, idle=frozenset()), id="no slot was idle"),
        pytest.param(None, id="nobody was to claim anything"),
    ],
)
def test_whatever_else_a_look_finds_begins_the_count_anew(between: Scene | None) -> None:
    still = Standstill(most=2)
    for _ in range(3):
        still.look(scene(claimed=7))
    assert still.sign == SAID
    still.look(between)
    assert still.sign is True
    still.look(scene(claimed=8))
    assert still.sign is True
