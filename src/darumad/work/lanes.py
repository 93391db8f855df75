"""Lanes: queues within the queue, so that whoever submits much does not keep everybody else waiting. Pure.

Fair by stride: each lane has a position, which a claim moves on by 1 / weight; the lane that is furthest behind goes
first. Within a lane the rank decides.
"""

from collections.abc import Iterable, Mapping

from darumad.values import Value

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


class Turns:
    """Whose turn it is. Memory only: after a restart everybody starts level."""

    def __init__(self, lanes: Mapping[str, Lane] | None = None, positions: Mapping[str, float] | None = None) -> None:
        self._lanes = lanes or {}
        self._positions = dict(positions or {})

    @property
    def paused(self) -> tuple[str, ...]:
        """The lanes that claim nothing."""
        return tuple(name for name, lane in self._lanes.items() if lane.paused)

    @property
    def limits(self) -> Mapping[str, int]:
        """How many items each limited lane may have under way; a paused one none is asked of."""
        return {
            name: lane.max_running
            for name, lane in self._lanes.items()
            if lane.max_running is not None and not lane.paused
        }

    def among(self, active: Iterable[str]) -> "Turns":
        """The turns of these lanes, which have something ready, and of no other.

        One that had nothing lately has saved up no turns by it.
        """
        present = set(active)
        known = [at for name, at in self._positions.items() if name in present]
        floor = min(known, default=0.0)
        return Turns(self._lanes, {name: self._positions.get(name, floor) for name in present})

    def position(self, lane: str) -> float:
        """How far this lane has come; the one that is least far goes first."""
        return self._positions.get(lane, 0.0)

    def took(self, lane: str) -> None:
        """An item of this lane was claimed."""
        weight = self._lanes[lane].weight if lane in self._lanes else 1.0
        self._positions[lane] = self.position(lane) + 1.0 / weight
