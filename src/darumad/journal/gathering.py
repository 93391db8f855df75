"""What was claimed, read back: each item as it stands now, with all that its stage needs to begin or to go on.

What cannot be read is told apart. It costs its own item the claim, and no other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darumad.journal.batch import Batch
from darumad.journal.deaths import Death
from darumad.journal.effects import effect_from_row
from darumad.journal.encoding import load, record_from_row, why_unreadable
from darumad.journal.requests import Held, Slot
from darumad.names import Stage
from darumad.work.codec import result_from_json
from darumad.work.item import WorkItem, WorkRecord

_UID, _SHA256, _FENCE = 1, 3, 8
"""Where they stand in a row of the `record` view."""


def gather(batch: Batch, slots: Mapping[int, Slot]) -> tuple[dict[int, Held], list[Death]]:
    """What the claimed rows hold for their slots, and what is said of those that cannot be read."""
    written = _Written(batch, list(slots))
    held: dict[int, Held] = {}
    unread: list[Death] = []
    for row, slot in slots.items():
        try:
            held[row] = written.read(row, slot)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one item, the others were claimed too
            unread.append(Death(row, "unreadable", why_unreadable(error)))
    return held, unread


class _Written:
    """What the journal holds of the claimed items, as it stands there: nothing is decoded before it is asked for.

    Items that were lately accepted or read are not read once more.
    """

    def __init__(self, batch: Batch, ids: Sequence[int]) -> None:
        ((claimed,),) = batch.run("claimed", ids)
        self._rows = {row[0]: row for row in load(claimed)}
        self._recent = batch.recent
        # What is known is taken out at once: each item that is read may drive another out.
        self._known = {row: batch.recent.known(each[_SHA256]) for row, each in self._rows.items()}
        unknown = [row for row, item in self._known.items() if item is None]
        self._bodies: dict[int, str] = dict(batch.run_if_any("payloads_by_id", unknown))
        old = [row for row, each in self._rows.items() if _has_history(each)]
        self._steps = _by_row(batch.run_if_any("steps_of_held", old))
        self._effects = _by_row(batch.run_if_any("effects_of_held", old))
        self._outputs = _by_row(batch.run_if_any("outputs_of_held", old))
        self._failures = _by_row(batch.run_if_any("failures_of_held", old))

    def read(self, id_: int, slot: Slot) -> Held:
        """The item of this row for its slot; raises whatever keeps it from being read."""
        row = self._rows[id_]
        record = record_from_row(row, self._known[id_] or self._read_item(row))
        if not _has_history(row):
            return Held(record=record, slot=slot)
        made = _made_before(record, self._outputs[id_])
        work = made.get(Stage.EXECUTING)
        return Held(
            record=record,
            slot=slot,
            steps=tuple((seq, kind, digest, load(output)) for seq, kind, digest, output in self._steps[id_]),
            effects=tuple(map(effect_from_row, self._effects[id_])),
            brief=made.get(Stage.OPTIMIZING),
            work=None if work is None else result_from_json(work),
            failed=tuple(load(error) for (error,) in self._failures[id_]),
        )

    def _read_item(self, row: Sequence[Any]) -> WorkItem:
        return self._recent.read(self._bodies[row[0]], row[_SHA256], row[_UID])


def _has_history(row: Sequence[Any]) -> bool:
    """A first attempt in its first stage has none, unless it was put back before."""
    return bool(row[_FENCE] > 1)


def _by_row(found: Iterable[Sequence[Any]]) -> Mapping[int, list[Sequence[Any]]]:
    by_row: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for row, *rest in found:
        by_row[row].append(rest)
    return by_row


def _made_before(record: WorkRecord, outputs: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """What the stages before the present one made; of two attempts the later."""
    before = record.item.stages[: record.item.stages.index(record.stage)]
    latest = {stage: body for stage, body in outputs if stage in before}
    return {stage: load(body) for stage, body in latest.items()}
