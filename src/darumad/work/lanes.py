"""Lanes: queues within the queue, so that whoever submits much does not keep everybody else waiting. Pure.

Fair by stride: each lane has a position, which a claim moves on by 1 / weight; the lane that is furthest behind goes
first. Within a lane the rank decides. What lanes wait for are slots, so each pool of these has positions of its own: in
a claim for another stage a lane may have nothing ready, and still stand in line here.
"""

from collections.abc import Collection, Mapping

from darumad.names import AgentName, Stage
from darumad.values import Value

Pool = tuple[Stage, AgentName]
"""The slots that are as good as each other: those of one stage and one definition, or of any."""

DEFAULT = "default"
"""The lane of an item that names none. It has no limits: whoever wants limits names a lane."""


class Lane(Value, kw_only=True):
    """What is set of a lane.

    `max_running` counts items from their first claim until they are succeeded, dead or cancelled, parked and waiting
    ones too: with 1, two items never work on one thing at once. A paused lane begins nothing.
    """

    weight: float = 1.0
    max_running: int | None = None
    paused: bool = False


def limited(lanes: Mapping[str, Lane]) -> Mapping[str, int]:
    """How many items each limited lane may have under way; a lane without a limit is not there."""
    return {name: each.max_running for name, each in lanes.items() if each.max_running is not None}


class Turns:
    """Whose turn it is. Memory only: after a restart everybody starts level."""

    def __init__(
        self, lanes: Mapping[str, Lane] | None = None, positions: Mapping[Pool, Mapping[str, float]] | None = None
    ) -> None:
        self._lanes = lanes or {}
        self._positions = {pool: dict(lanes) for pool, lanes in (positions or {}).items()}

    @property
    def paused(self) -> tuple[str, ...]:
        """The lanes that claim nothing."""
        return tuple(name for name, lane in self._lanes.items() if lane.paused)

    @property
    def limits(self) -> Mapping[str, int]:
        """How many items each limited lane may have under way; a paused one none is asked of."""
        return limited({name: lane for name, lane in self._lanes.items() if not lane.paused})

    def among(self, able: Mapping[Pool, Collection[str]], there: Mapping[Pool, Collection[str]]) -> "Turns":
        """The turns in these pools of the lanes which have something ready for them, and of no other; else as they are.

        Of those `there` the ones that are `able` may go. One that had nothing lately has saved up no turns by it; those
        that could not go have saved up none against those that could, and stay as they were among themselves.
        """
        return Turns(self._lanes, self._positions | {pool: self._level(pool, able[pool], there[pool]) for pool in able})

    def position(self, pool: Pool, lane: str) -> float:
        """How far this lane has come in this pool; the one that is least far goes first."""
        return self._positions.get(pool, {}).get(lane, 0.0)

    def took(self, pool: Pool, lane: str) -> None:
        """An item of this lane was claimed for a slot of this pool."""
        weight = self._lanes[lane].weight if lane in self._lanes else 1.0
        self._positions.setdefault(pool, {})[lane] = self.position(pool, lane) + 1.0 / weight

    def _level(self, pool: Pool, able: Collection[str], there: Collection[str]) -> dict[str, float]:
        known = {name: at for name, at in self._positions.get(pool, {}).items() if name in able or name in there}
        going = {name: at for name, at in known.items() if name in able}
        held = {name: at for name, at in known.items() if name not in able}
        floor = min((going or held).values(), default=0.0)
        behind = max(0.0, floor - min(held.values(), default=floor))
        return dict.fromkeys((*able, *there), floor) | going | {name: at + behind for name, at in held.items()}
