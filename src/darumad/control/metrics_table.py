"""The metrics there are, each with its labels and what it says. docs/reference/metrics.md prints this table.

Labels have few values and never an id. Rooms count under these names into `bus.Tally`; nobody here knows Prometheus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from darumad.bus import Labels
from darumad.events import CATALOGUE
from darumad.work.item import PHASES

OTHER = "other"
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LONG = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
_CALLS = tuple(0.01 * 2**power for power in range(16))
_TOKENS = tuple(float(4**power) for power in range(14))
_BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One metric: its name without `daruma_`, its labels in order, what it says, and which label sets start at 0."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    starts: tuple[Labels, ...] = ()

    @property
    def full(self) -> str:
        """The name on the page. What OpenTelemetry has named for everybody keeps that name."""
        return self.name if self.name.startswith("gen_ai_") else f"daruma_{self.name}"


_ENDS = ("succeeded", "dead", "expired", "cancelled")
_ITEM_ENDS = tuple((phase, end) for phase in (*PHASES, OTHER) for end in _ENDS)

METRICS: Mapping[str, Shape] = {
    each.name: each
    for each in (
        Shape("work_items_total", "counter", "Items that ended, by phase and how.",
              ("phase", "outcome"), starts=_ITEM_ENDS),
        Shape("work_submitted_total", "counter", "Items that were accepted.", starts=((),)),
        Shape("work_item_seconds", "histogram", "From accept to success.", ("phase",), _LONG),
        Shape("work_item_stage_seconds", "histogram", "How long a stage ran.", ("stage",), _LONG),
        Shape("attempts_total", "counter", "Claims, by the stage that was begun.", ("stage",)),
        Shape("retries_total", "counter", "Attempts that failed and are followed by another, by why.", ("reason",)),
        Shape("reviews_total", "counter", "Reviews, by what they found.", ("result",)),
        Shape("quality_gate_total", "counter", "Gates looked at, by verdict.", ("gate", "verdict")),
        Shape("queue_items", "gauge", "Items in each state.", ("state",)),
        Shape("queue_oldest_age_seconds", "gauge", "How long the item that is ready longest has been so."),
        Shape("agent_up", "gauge", "Instances of an agent that can work.", ("agent",)),
        Shape("agent_state", "gauge", "Instances of an agent in each state.", ("agent", "state")),
        Shape("agent_errors_total", "counter", "Errors counted against an agent.", ("agent",)),
        Shape("agent_errors_in_window", "gauge", "Errors in the window of an agent's worst instance.", ("agent",)),
        Shape("agent_restarts_total", "counter", "Restarts of an agent's instances, by why.", ("agent", "reason")),
        Shape("agent_benched", "gauge", "Benched instances of an agent.", ("agent",)),
        Shape("agent_progress_age_seconds", "gauge", "The longest time since a busy instance made progress.",
              ("agent",)),
        Shape("mailbox_depth", "gauge", "Messages that wait for actors of a kind.", ("actor",)),
        Shape("supervisor_restarts_total", "counter", "Restarts that supervisors carried out."),
        Shape("supervisor_escalations_total", "counter", "Supervisors that gave up on their children."),
        Shape("abandoned_threads", "gauge", "Threads that did not stop when told to and still live."),
        Shape("bridge_lag_seconds", "gauge", "How late the agents' loop is."),
        Shape("control_lag_seconds", "gauge", "How late the control loop is."),
        Shape("llm_calls_total", "counter", "Model calls, by how they ended.", ("provider", "model", "outcome")),
        Shape("gen_ai_client_operation_duration_seconds", "histogram", "How long model calls took.",
              ("provider", "model"), _CALLS),
        Shape("gen_ai_client_token_usage", "histogram", "Tokens of a model call.",
              ("provider", "model", "type"), _TOKENS),
        Shape("llm_time_to_first_token_seconds", "histogram", "How long until a reply began.",
              ("provider", "model"), _CALLS),
        Shape("llm_cost_usd_total", "counter", "What model calls cost, where the price is known.",
              ("provider", "model")),
        Shape("budget_remaining_usd", "gauge", "What may still be spent.", ("scope",)),
        Shape("circuit_state", "gauge", "0 closed, 1 half open, 2 open.", ("provider", "model")),
        Shape("rate_limit_wait_seconds_total", "counter", "Time spent waiting for limits.", ("provider",)),
        Shape("journal_commit_seconds", "histogram", "How long a commit took.", (), _FAST),
        Shape("journal_batch_size", "histogram", "Requests in one commit.", (), _BATCH),
        Shape("journal_bytes", "gauge", "Size of the journal's files.", ("file",)),
        Shape("events_total", "counter", "Facts recorded.",
              ("type",), starts=tuple((each.name,) for each in CATALOGUE)),
        Shape("log_lines_dropped_total", "counter", "Log lines that nobody read in time."),
        Shape("tool_runs_total", "counter", "Tool runs, by how they ended.", ("tool", "outcome")),
        Shape("tool_seconds", "histogram", "How long tools ran.", ("tool",), _LONG),
        Shape("build_info", "gauge", "Always 1; what this daemon is.", ("version", "python")),
        Shape("up_since_seconds", "gauge", "When this daemon started, in seconds since 1970."),
    )
}  # fmt: skip
BUCKETS: Mapping[str, tuple[float, ...]] = {each.name: each.buckets for each in METRICS.values() if each.buckets}
"""What a `bus.Tally` must be made with, so that every distribution of the table can be observed."""
