"""Accepting items: each submit is judged by itself in `acceptance`, and what was accepted is written together."""

from collections.abc import Mapping, Sequence
from typing import Any

from darumad.events import WorkChallenged, WorkSubmitted
from darumad.journal.acceptance import Known, NewItems, new_items_of
from darumad.journal.batch import Batch
from darumad.journal.encoding import STATES, WORDS, dump, record_or_remains, sha256
from darumad.journal.requests import Accept, Accepted, Answer, NewItem
from darumad.names import ItemId, Millis
from darumad.work.codec import item_to_json
from darumad.work.item import WorkRecord
from darumad.work.states import WorkState

Created = tuple[NewItem, WorkState]


def accept(batch: Batch, accepts: Sequence[Accept]) -> list[Answer]:
    """Accept or refuse each submit as a whole. One that is refused costs the others of its batch nothing."""
    rows = {row[0]: row for row in batch.run("known_items", _names(accepts))}
    known = {uid: Known(row[2], STATES[row[3]], row[4]) for uid, row in rows.items()}
    low = None if batch.room is None else batch.room.low()
    verdicts = []
    for each in accepts:
        verdict = new_items_of(each, known, batch.tail.unfinished + batch.unfinished, now=batch.now, low_on_disk=low)
        verdicts.append(verdict)
        if isinstance(verdict, NewItems):
            known.update(
                {
                    new.item.id: Known(new.digest, state, verdict.depths.get(new.item.id, 0))
                    for new, state in verdict.new
                }
            )
            batch.unfinished += len(verdict.new)
            batch.audit(each.audit)
    created = {new.item.id: (new, state) for each in verdicts if isinstance(each, NewItems) for new, state in each.new}
    records = _write(batch, created, {uid: row[1] for uid, row in rows.items() if row[1] is not None}, known)
    if rows:
        records |= _held_before(batch, accepts, rows) | _gone_before(accepts, rows)
    return [
        _answer(each, verdict, records) if isinstance(verdict, NewItems) else verdict
        for each, verdict in zip(accepts, verdicts, strict=True)
    ]


def _names(accepts: Sequence[Accept]) -> list[ItemId]:
    items = [each.item for accept in accepts for each in accept.items]
    named = {each.id for each in items}.union(*[each.depends_on for each in items])
    return list(named.union([each.parent for each in items if each.parent is not None]))


def _answer(accept: Accept, verdict: NewItems, records: Mapping[ItemId, WorkRecord]) -> Accepted:
    new = {each.item.id for each, _ in verdict.new}
    asked = [each.item.id for each in accept.items]
    return Accepted(tuple(records[uid] for uid in asked), tuple(uid in new for uid in asked))


def _held_before(batch: Batch, accepts: Sequence[Accept], rows: Mapping[ItemId, Any]) -> dict[ItemId, WorkRecord]:
    named = [rows[each.item.id][1] for accept in accepts for each in accept.items if each.item.id in rows]
    ids = [row for row in named if row is not None]
    records = (record_or_remains(row, batch.db) for row in batch.run_if_any("records_by_id", ids))
    return {record.item.id: record for record in records}


def _gone_before(accepts: Sequence[Accept], rows: Mapping[ItemId, Any]) -> dict[ItemId, WorkRecord]:
    """Items whose time of keeping is over: how they ended is all that is left of them."""
    return {
        new.item.id: WorkRecord(item=new.item, state=STATES[rows[new.item.id][3]], stage=new.item.stages[-1])
        for accept in accepts
        for new in accept.items
        if new.item.id in rows and rows[new.item.id][1] is None
    }


def _write(
    batch: Batch, created: Mapping[ItemId, Created], held: Mapping[ItemId, int], known: Mapping[ItemId, Known]
) -> dict[ItemId, WorkRecord]:
    if not created:
        return {}
    records = {uid: _record(batch, *each) for uid, each in created.items()}
    ids = dict(zip(created, batch.new_rows(len(created)), strict=True))
    batch.run("accept_items", [_row(ids[uid], each) for uid, each in records.items()])
    batch.run("accept_payloads", [_payload(batch, ids[uid], new) for uid, (new, _) in created.items()])
    batch.run_if_any(
        "accept_labels",
        [(ids[uid], key, value) for uid, (new, _) in created.items() for key, value in new.item.labels.items()],
    )
    batch.run_if_any(
        "accept_exchanges",
        [(ids[uid], new.item.conversation) for uid, (new, _) in created.items() if new.item.conversation is not None],
    )
    batch.run_if_any(
        "accept_requires", [(ids[uid], word) for uid, (new, _) in created.items() for word in new.item.requires]
    )
    everyone = {**held, **ids}
    batch.run_if_any(
        "accept_dependencies",
        [
            (ids[uid], everyone[need])
            for uid, (new, _) in created.items()
            for need in new.item.depends_on
            if need in everyone
        ],
    )
    _tie(batch, created, everyone, known)
    batch.run_if_any(
        "correspond",
        [(ids[uid], dump(new.questions), "[]", "[]") for uid, (new, _) in created.items() if new.questions],
    )
    batch.record(fact for record in records.values() for fact in _facts(record))
    return records


def _tie(
    batch: Batch, created: Mapping[ItemId, Created], rows: Mapping[ItemId, int], known: Mapping[ItemId, Known]
) -> None:
    """Tie the new items to their parents, a level at a time from the top: each row finds its parent's already there."""
    ties = [
        (rows[uid], rows[new.item.parent], known[uid].depth)
        for uid, (new, _) in created.items()
        if new.item.parent is not None
    ]
    for depth in sorted({depth for _, _, depth in ties}):
        batch.run("accept_children", [each for each in ties if each[2] == depth])


def _record(batch: Batch, new: NewItem, state: WorkState) -> WorkRecord:
    """The item as it begins. One that waits keeps in `reason` and `run_at` the state that its submit asked for."""
    item = new.item
    ready_at = batch.now if state is WorkState.READY else None
    begins = max(batch.now, Millis(new.run_at or 0))
    return WorkRecord(
        item=item,
        state=state,
        stage=item.stages[0],
        reason=new.reason,
        rank=begins - item.priority * batch.ageing_ms,
        run_at=new.run_at,
        created_at=batch.now,
        ready_at=ready_at,
        questions=new.questions,
        origin=new.origin,
        submitted_by=new.submitted_by,
        correlation_id=new.correlation_id,
    )


def _row(row: int, record: WorkRecord) -> tuple[Any, ...]:
    item = record.item
    return (
        row, item.id, item.agent, item.phase, item.lane, WORDS[record.stage], item.priority, WORDS[record.state],
        record.reason, record.rank, record.run_at, item.expires_at, record.ready_at,
    )  # fmt: skip


def _payload(batch: Batch, row: int, new: NewItem) -> tuple[Any, ...]:
    body = dump(item_to_json(new.item))
    digest = sha256(body)
    batch.recent.add(digest, new.item)
    return row, body, digest, new.digest, new.origin, new.submitted_by, new.correlation_id


def _facts(record: WorkRecord) -> list[WorkSubmitted | WorkChallenged]:
    item = record.item
    submitted = WorkSubmitted(item.id, item.agent, item.phase, item.priority, record.state)
    if record.state is WorkState.PARKED and record.questions:
        return [submitted, WorkChallenged(item.id, record.questions)]
    return [submitted]
