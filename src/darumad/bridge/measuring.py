"""What the bridge counts of the stages and the tools that run on its loop: an increment each, into a tally."""

from collections.abc import Callable, Mapping, Sequence

from darumad.bridge.seat import Done
from darumad.bus import Tally
from darumad.clock import Clock
from darumad.names import Stage

MEASURES: Mapping[str, Sequence[float]] = {
    "work_item_stage_seconds": (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0),
    "tool_seconds": (0.001, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0),
}
"""The distributions that are observed here, with their buckets: a `Tally` handed in must know them."""


def count_stage(tally: Tally, done: Done) -> None:
    """A stage was worked on, and came to `done`; of a review, what each of its gates found."""
    stage, result = done.held.record.stage, done.result
    if done.abandoned:
        return
    tally.observe("work_item_stage_seconds", result.duration, (stage.value,))
    if stage is Stage.REVIEWING and result.success:
        for gate, finding in result.data["gates"].items():
            tally.add("quality_gate_total", (gate, finding["verdict"]))


def tool_begins(tally: Tally, clock: Clock, tool: str) -> Callable[[str], None]:
    """A tool runs from now on; call what this gives with how it ended."""
    began = clock.monotonic()

    def ended(outcome: str) -> None:
        tally.add("tool_runs_total", (tool, outcome))
        tally.observe("tool_seconds", clock.monotonic() - began, (tool,))

    return ended
