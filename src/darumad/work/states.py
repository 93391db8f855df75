"""The life of a work item: eight states and one table of where each leads.

The journal's triggers guard the same table a second time.
"""

from collections.abc import Mapping
from enum import StrEnum


class WorkState(StrEnum):
    """Where an item is in its life."""

    WAITING = "waiting"
    READY = "ready"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


class ParkReason(StrEnum):
    """Whom or what a parked item needs."""

    CHALLENGE = "challenge"
    APPROVAL = "approval"
    QUESTION = "question"
    CHILDREN = "children"
    BUDGET = "budget"
    PROVIDER = "provider"
    TEMPLATE = "template"
    CONFLICT = "conflict"


class ScheduleReason(StrEnum):
    """Why an item is ready only later."""

    BACKOFF = "backoff"
    OUTAGE = "outage"
    DELAY = "delay"


_W = WorkState

LEADS_TO: Mapping[WorkState, frozenset[WorkState]] = {
    _W.WAITING: frozenset({_W.READY, _W.SCHEDULED, _W.PARKED, _W.DEAD, _W.CANCELLED}),
    _W.READY: frozenset({_W.RUNNING, _W.SCHEDULED, _W.PARKED, _W.DEAD, _W.CANCELLED}),
    _W.SCHEDULED: frozenset({_W.READY, _W.PARKED, _W.DEAD, _W.CANCELLED}),
    _W.RUNNING: frozenset({_W.RUNNING, _W.SUCCEEDED, _W.SCHEDULED, _W.READY, _W.PARKED, _W.DEAD, _W.CANCELLED}),
    _W.PARKED: frozenset({_W.READY, _W.SCHEDULED, _W.CANCELLED, _W.DEAD}),
    _W.SUCCEEDED: frozenset(),
    _W.CANCELLED: frozenset(),
    _W.DEAD: frozenset({_W.READY, _W.WAITING, _W.CANCELLED}),
}
INITIAL: frozenset[WorkState] = frozenset({_W.WAITING, _W.READY, _W.SCHEDULED, _W.PARKED})
UNFINISHED: frozenset[WorkState] = frozenset({_W.WAITING, _W.READY, _W.SCHEDULED, _W.RUNNING, _W.PARKED})
