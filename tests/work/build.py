"""What the tests of this room build: items, records and results, with only the field that a test is about."""

from typing import Any

from darumad.names import ItemId, Millis, Stage
from darumad.work import (
    Failure,
    Finding,
    Gate,
    Review,
    StopReason,
    Verdict,
    WorkItem,
    WorkRecord,
    WorkResult,
    WorkState,
)
from darumad.work.causes import ENDS
from darumad.work.codec import review_to_json
from darumad.work.ends import Next, what_follows

WALK = (Stage.OPTIMIZING, Stage.EXECUTING, Stage.REVIEWING)
NOW = Millis(1_000_000)


def item(**fields: Any) -> WorkItem:
    return WorkItem(**{"id": ItemId("a"), "description": "write the report"} | fields)


def record(stage: Stage = Stage.EXECUTING, *, of: WorkItem | None = None, **fields: Any) -> WorkRecord:
    return WorkRecord(item=of or item(), state=WorkState.RUNNING, stage=stage, **fields)


def failed(kind: str, *, data: Any = None, **fields: Any) -> WorkResult:
    """A result that ended by `kind`, told under the stop reason of its row."""
    return WorkResult(
        stop_reason=ENDS[kind].stop_reason, data=data, error=Failure(kind=kind, message=f"it was {kind}", **fields)
    )


def done(data: Any = None) -> WorkResult:
    return WorkResult(stop_reason=StopReason.COMPLETED, data=data)


def reviewed(**verdicts: Verdict) -> WorkResult:
    """A completed review with these gates required: `reviewed(correctness=Verdict.PASS)`."""
    gates = {Gate(name): Finding(verdict, (f"{name} is {verdict.value}",)) for name, verdict in verdicts.items()}
    return done(review_to_json(Review(gates=gates, required=frozenset(gates))))


PASSED = reviewed(correctness=Verdict.PASS)
FAULTY = reviewed(correctness=Verdict.FAIL)
UNDECIDED = reviewed(correctness=Verdict.UNKNOWN, completeness=Verdict.PASS)


def follows(held: WorkRecord, result: WorkResult, **given: Any) -> Next:
    """What follows for `held` in its stage, at `NOW` and without jitter."""
    return what_follows(held, held.stage, result, **{"stages": held.item.stages, "now": NOW, "rng_unit": 0.0, **given})
