"""The metrics there are, each with its labels and what it says. docs/reference/metrics.md prints this table.

Labels have few values and never an id. Rooms count under these names into `bus.Tally`; nobody here knows Prometheus.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from darumad.agents.providers import BUCKETS as OF_CALLS
from darumad.bridge import MEASURES as OF_THE_BRIDGE
from darumad.bus import Labels
from darumad.events import CATALOGUE
from darumad.journal import MEASURES as OF_THE_JOURNAL
from darumad.values import Value
from darumad.work.gates import Gate, Verdict
from darumad.work.item import PHASES

OTHER = "other"
_LONG = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
Kind = Literal["counter", "gauge", "histogram"]


class Shape(Value):
    """One metric: its name without `daruma_`, its labels in order, what it says, and which label sets start at 0."""

    name: str
    kind: Kind
    says: str
    labels: tuple[str, ...] = ()
    starts: tuple[Labels, ...] = ()

    @property
    def full(self) -> str:
        """The name on the page. What OpenTelemetry has named for everybody keeps that name."""
        return self.name if self.name.startswith("gen_ai_") else f"daruma_{self.name}"


_ENDS = ("succeeded", "dead", "expired", "cancelled")
_ITEM_ENDS = tuple((phase, end) for phase in (*PHASES, OTHER) for end in _ENDS)
_VERDICTS = tuple((gate.value, verdict.value) for gate in Gate for verdict in Verdict)
_REFUSALS = tuple((door, reason) for door in ("control-socket", "metrics") for reason in ("full", "long", "slow"))

METRICS: Mapping[str, Shape] = {
    each.name: each
    for each in (
        Shape("work_items_total", "counter", "Items that ended, by phase and how.",
              ("phase", "outcome"), starts=_ITEM_ENDS),
        Shape("work_submitted_total", "counter", "Items that were accepted.", starts=((),)),
        Shape("work_item_seconds", "histogram", "From accept to success.", ("phase",)),
        Shape("work_item_stage_seconds", "histogram", "How long an agent worked at a stage, whatever came of it.",
              ("stage",)),
        Shape("attempts_total", "counter", "Claims, by the stage that was begun.", ("stage",)),
        Shape("retries_total", "counter", "Attempts that failed and are followed by another, by why.", ("reason",)),
        Shape("reviews_total", "counter", "Reviews, by what they found.", ("result",)),
        Shape("quality_gate_total", "counter", "What reviews found, gate by gate.",
              ("gate", "verdict"), starts=_VERDICTS),
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
        Shape("supervisor_restarts_total", "counter",
              "Lives in the supervision tree that followed another, also after a sleep.", starts=((),)),
        Shape("supervisor_escalations_total", "counter",
              "Supervisors that gave up: their children restarted too often.", starts=((),)),
        Shape("abandoned_threads", "gauge", "Threads of actors and agents that were given up and still run."),
        Shape("bridge_lag_seconds", "gauge", "How late the agents' loop is."),
        Shape("bridge_abandoned_tasks", "gauge", "Tasks since the start that ignored their cancel."),
        Shape("control_lag_seconds", "gauge", "How late the control loop is."),
        Shape("connections_refused_total", "counter",
              "Callers that a door turned away: it was full, the request too long, or too slow.",
              ("door", "reason"), starts=_REFUSALS),
        Shape("llm_calls_total", "counter", "Model calls that went out, by how they ended.",
              ("provider", "model", "outcome")),
        Shape("llm_calls_not_sent_total", "counter",
              "Model calls that never went out, by why: an open circuit, a limit a minute, no place in time, a cancel.",
              ("provider", "model", "reason")),
        Shape("llm_fallbacks_total", "counter", "Calls that went on to the next provider of their chain.",
              ("provider", "next")),
        Shape("gen_ai_client_operation_duration_seconds", "histogram", "How long model calls took.",
              ("provider", "model")),
        Shape("gen_ai_client_token_usage", "histogram", "Tokens of a model call.",
              ("provider", "model", "type")),
        Shape("llm_time_to_first_token_seconds", "histogram", "How long until a reply began.",
              ("provider", "model")),
        Shape("llm_cost_usd_total", "counter", "What model calls cost, where the price is known.",
              ("provider", "model")),
        Shape("llm_calls_without_price_total", "counter",
              "Model calls whose cost is in no sum: their price is not known.",
              ("provider", "model")),
        Shape("llm_calls_without_usage_total", "counter",
              "Model calls whose server did not say what they used, or what cannot be: booked at their estimate.",
              ("provider", "model")),
        Shape("llm_calls_over_max_tokens_total", "counter",
              "Model calls whose server said that they wrote more than they were allowed to: booked as it said.",
              ("provider", "model")),
        Shape("rate_limit_wait_seconds_total", "counter",
              "How long calls waited because their provider takes so many a minute, or asked to be left alone.",
              ("provider",)),
        Shape("circuit_state", "gauge",
              "The circuit of a provider's model: 0 closed, 1 half-open, 2 open, 3 open until it is mended.",
              ("provider", "model")),
        Shape("budget_remaining_usd", "gauge", "What may still be spent of a limit in money.", ("scope", "period")),
        Shape("tool_runs_total", "counter",
              "Tools that agents ran, by how they ended: ok, refused (wrong arguments), failed, or cancelled.",
              ("tool", "outcome")),
        Shape("tool_seconds", "histogram", "How long tools ran.", ("tool",)),
        Shape("journal_commit_seconds", "histogram", "How long a commit took."),
        Shape("journal_batch_size", "histogram", "Requests in one commit."),
        Shape("journal_bytes", "gauge", "The journal on disk."),
        Shape("journal_room_bytes", "gauge", "What is left on its disk."),
        Shape("log_lines_dropped_total", "counter", "Log lines that found no room."),
        Shape("events_total", "counter", "Facts recorded.",
              ("type",), starts=tuple((each.name,) for each in CATALOGUE)),
        Shape("event_gaps_total", "counter", "Followers of events who were told that some are no longer there.",
              starts=((),)),
        Shape("build_info", "gauge", "Always 1; what this daemon is.", ("version", "python")),
        Shape("up_since_seconds", "gauge", "When this daemon started, in seconds since 1970."),
    )
}  # fmt: skip
BUCKETS: Mapping[str, Sequence[float]] = {**OF_CALLS, **OF_THE_JOURNAL, **OF_THE_BRIDGE, "work_item_seconds": _LONG}
"""The bounds of every distribution of the table, from the room that observes it; a `bus.Tally` is made with them."""
