"""Counting: listeners that turn what is committed, and the tree's signals, into counters.

So nobody counts an event in passing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from darumad.bus import Tally
from darumad.control.metrics_table import OTHER
from darumad.events import Recorded
from darumad.supervision import Event
from darumad.work.item import PHASES

MOST_AGENTS = 50
"""How many agent definitions have a label of their own; the rest are `other`."""


class FactCounter:
    """Counts what is committed, on the publisher's thread. Nobody else counts an event in passing."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._agents: set[str] = set()

    def __call__(self, batch: Sequence[Recorded]) -> None:
        """Counts every fact of `batch`."""
        kinds = Counter([each.type for each in batch])
        for kind, count in kinds.items():
            self._tally.add("events_total", (kind,), count)
        if accepted := kinds["work.submitted"]:
            self._tally.add("work_submitted_total", amount=accepted)
        for each in batch:
            if each.type in _COUNTS:
                _COUNTS[each.type](self, each)

    def assigned(self, fact: Recorded) -> None:
        """An item was claimed."""
        self._tally.add("attempts_total", (str(fact.data["stage"]),))

    def retried(self, fact: Recorded) -> None:
        """An attempt failed and another follows."""
        self._tally.add("retries_total", (str(fact.data["reason"]),))

    def ended(self, fact: Recorded) -> None:
        """An item ended."""
        phase = fact.data.get("phase", OTHER)
        phase = phase if phase in PHASES else OTHER
        self._tally.add("work_items_total", (phase, fact.type.removeprefix("work.")))
        if fact.type == "work.succeeded":
            self._tally.observe("work_item_seconds", fact.data["duration_ms"] / 1000, (phase,))

    def sent_back(self, _: Recorded) -> None:
        """A review found faults."""
        self._tally.add("reviews_total", ("sent_back",))

    def failed(self, fact: Recorded) -> None:
        """An error was counted against an agent."""
        self._tally.add("agent_errors_total", (self._agent(fact),))

    def restarted(self, fact: Recorded) -> None:
        """An instance got up again."""
        self._tally.add("agent_restarts_total", (self._agent(fact), str(fact.data["reason"]).split(":")[0][:40]))

    def _agent(self, fact: Recorded) -> str:
        name = str(fact.data.get("agent", OTHER))
        if name not in self._agents and len(self._agents) < MOST_AGENTS:
            self._agents.add(name)
        return name if name in self._agents else OTHER


class SignalCounter:
    """Counts what supervisors did, on their own threads."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __call__(self, signal: Event) -> None:
        """Counts `signal` where it is one of those."""
        if signal.name == "child.started" and signal.incarnation > 1:
            self._tally.add("supervisor_restarts_total")
        elif signal.name == "supervisor.intensity_exceeded":
            self._tally.add("supervisor_escalations_total")


_COUNTS: Mapping[str, Callable[[FactCounter, Recorded], None]] = {
    "work.assigned": FactCounter.assigned,
    "work.retried": FactCounter.retried,
    "work.review_failed": FactCounter.sent_back,
    "work.succeeded": FactCounter.ended,
    "work.dead": FactCounter.ended,
    "work.expired": FactCounter.ended,
    "work.cancelled": FactCounter.ended,
    "agent.error_recorded": FactCounter.failed,
    "agent.restarted": FactCounter.restarted,
}
