"""An item as it is shown: its record in the journal made into the views that the replies hold."""

from collections.abc import Mapping
from typing import Any

from darumad.control.replies import WorkSummary, WorkView
from darumad.work.codec import item_to_json
from darumad.work.item import WorkRecord
from darumad.work.states import UNFINISHED

_BESIDE_PAYLOAD = frozenset({"id", "agent", "phase", "priority", "lane", "expires_at"})
"""What is known of an item whose payload cannot be read."""


def summary_of(record: WorkRecord) -> WorkSummary:
    """`record` as one line of a list."""
    item = record.item
    return WorkSummary(
        id=item.id,
        state=record.state.value,
        reason=record.reason,
        stage=record.stage.value,
        agent=item.agent,
        phase=item.phase,
        priority=item.priority,
        attempt=record.attempt,
        description=None if record.unreadable else item.description[:200],
        created_at=record.created_at,
        run_at=record.run_at,
        finished_at=record.finished_at,
        unreadable=why_unreadable(record),
    )


def view_of(record: WorkRecord) -> WorkView:
    """All that `record` itself says of its item; the caller adds what stands elsewhere with `changed`."""
    return WorkView(
        id=record.item.id,
        state=record.state.value,
        stage=record.stage.value,
        reason=record.reason,
        attempt=record.attempt,
        failures=record.failures,
        crashes=record.crashes,
        suspect=record.suspect,
        delays=record.delays,
        parks=record.parks,
        reviews=record.reviews,
        rank=record.rank,
        holder=record.holder,
        boot=record.boot,
        created_at=record.created_at,
        ready_at=record.ready_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        scheduled_for=record.run_at,
        error=record.error,
        questions=record.questions,
        answers=record.answers,
        feedback=record.feedback,
        origin=record.origin,
        submitted_by=record.submitted_by,
        correlation_id=record.correlation_id,
        unreadable=why_unreadable(record),
        asked=_asked(record),
    )


def why_unreadable(record: WorkRecord) -> str | None:
    """Why the journal cannot tell what was asked for, and what to do about it; None where it can."""
    if record.unreadable is None:
        return None
    name = record.item.id
    cancel = f"`daruma work cancel {name}` and " if record.state in UNFINISHED else ""
    return f"{record.unreadable} Or let go of the item with {cancel}`daruma work purge {name}`."


def _asked(record: WorkRecord) -> Mapping[str, Any]:
    asked = item_to_json(record.item)
    if record.unreadable is None:
        return asked
    return {field: value if field in _BESIDE_PAYLOAD else None for field, value in asked.items()}
