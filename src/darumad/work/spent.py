"""Where an item's time went, told by its events: in which state, and while it ran in which stage. Values only."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from darumad.events import (
    Recorded,
    WorkAssigned,
    WorkCancelled,
    WorkChallenged,
    WorkDead,
    WorkExpired,
    WorkInterrupted,
    WorkParked,
    WorkReady,
    WorkRescued,
    WorkRetried,
    WorkReviewFailed,
    WorkRevived,
    WorkScheduled,
    WorkStageChanged,
    WorkSubmitted,
    WorkSucceeded,
)
from darumad.names import Millis
from darumad.work.states import WorkState

_Leads = Callable[[Mapping[str, Any]], str | None]


def _to(state: WorkState) -> _Leads:
    return lambda _: state.value


def _to_its_end(_: Mapping[str, Any]) -> None:
    return None


def _into_a_stage(data: Mapping[str, Any]) -> str:
    """A stage without a holder waits for its slot."""
    return str(data["stage"]) if data.get("holder") else WorkState.READY.value


_LEADS: Mapping[str, _Leads] = {
    WorkSubmitted.name: lambda data: str(data["state"]),
    WorkReady.name: _to(WorkState.READY),
    WorkAssigned.name: _into_a_stage,
    WorkStageChanged.name: _into_a_stage,
    WorkReviewFailed.name: _to(WorkState.READY),
    WorkInterrupted.name: _to(WorkState.READY),
    WorkRescued.name: _to(WorkState.READY),
    WorkScheduled.name: _to(WorkState.SCHEDULED),
    WorkChallenged.name: _to(WorkState.PARKED),
    WorkParked.name: _to(WorkState.PARKED),
    WorkRetried.name: _to(WorkState.WAITING),
    WorkRevived.name: _to(WorkState.WAITING),
    WorkSucceeded.name: _to_its_end,
    WorkDead.name: _to_its_end,
    WorkExpired.name: _to_its_end,
    WorkCancelled.name: _to_its_end,
}
"""Every event that moves an item, and where to; None for an end. What is retried or revived waits, unless the next
event of the same instant says otherwise."""


def places(events: Iterable[Recorded]) -> Iterator[tuple[Millis, str | None]]:
    """Since when an item, whose events these are, was where: a state, the stage while it ran, None at its end.

    An event that cannot be read any more says nothing of it.
    """
    for event in events:
        if (leads := _LEADS.get(event.type)) is not None and "unreadable" not in event.data:
            yield Millis(event.at), leads(event.data)


def spent(events: Iterable[Recorded], now: Millis) -> dict[str, int]:
    """Milliseconds in each state, and for `running` in each stage, in the order they were first entered.

    Args:
        events: an item's own, oldest first. What was before the first of them is not known and not counted.
        now: wall milliseconds, up to which it counts where it is, unless it is at its end.
    """
    times: Counter[str] = Counter()
    for (since, place), (until, _) in pairwise([*places(events), (now, None)]):
        if place is not None:
            times[place] += max(0, until - since)
    return {name: took for name, took in times.items() if took}
