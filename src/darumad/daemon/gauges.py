"""The values that only the composition root can read, since each belongs to another room.

Read at scrape, off the loops, from tables and counters; nobody is asked.
"""

from darumad.agents.providers import Broker, State
from darumad.bridge import Bridge
from darumad.bus import Labels
from darumad.journal import Journal
from darumad.supervision import SupervisorRef

CIRCUIT: dict[State, float] = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0, State.HARD_OPEN: 3.0}
"""What `circuit_state` says: the higher, the longer it will take."""


def gauges(
    journal: Journal, bridge: Bridge, broker: Broker, root: SupervisorRef, lost_lines: int
) -> dict[tuple[str, Labels], float]:
    """Their values now, under the names of the metrics table; `lost_lines` is what the log dropped so far."""
    health = bridge.health()
    values: dict[tuple[str, Labels], float] = {
        ("bridge_lag_seconds", ()): health.late,
        ("bridge_abandoned_tasks", ()): float(health.abandoned),
        ("abandoned_threads", ()): float(root.leaked + health.forsaken),
        ("journal_bytes", ()): float(journal.size()),
        ("journal_room_bytes", ()): float(journal.room()),
        ("log_lines_dropped_total", ()): float(lost_lines),
    }
    return values | {("circuit_state", target): CIRCUIT[each.state] for target, each in broker.circuits().items()}
