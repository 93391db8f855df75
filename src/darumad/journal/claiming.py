"""Claims: the best ready items for the free slots, each under a new fence, with all that its stage needs to go on."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from darumad.events import WorkAssigned, WorkExpired
from darumad.journal.batch import Batch
from darumad.journal.dependents import doom
from darumad.journal.effects import effects_by_row
from darumad.journal.encoding import dump, load, record_from_row
from darumad.journal.requests import Answer, Claim, Claimed, Held, Slot
from darumad.names import AgentName, Stage
from darumad.work.blame import SETTLED_AFTER
from darumad.work.item import WorkRecord

ANY = "*"
"""The agent of a slot that takes items of every definition."""
_LINEAGE = 31


class _Candidate(NamedTuple):
    id: int
    agent: AgentName
    stage: Stage
    fresh: bool
    resumed: bool


Choice = tuple[_Candidate, Slot]


def claim(batch: Batch, claims: Sequence[Claim]) -> list[Answer]:
    """Each claim by itself: its bounds are its own."""
    return [_claim(batch, each) for each in claims]


def _claim(batch: Batch, asked: Claim) -> Claimed:
    chosen = _choose(asked, _candidates(batch, asked))
    if batch.suspects:
        chosen += _one_suspect(batch, asked, chosen)
    if not chosen:
        return Claimed(())
    ids = [each.id for each, _ in chosen]
    batch.run("claim", [(each.id, slot.holder) for each, slot in chosen])
    batch.run_if_any("open_attempts", [each.id for each, _ in chosen if not each.resumed])
    batch.run("open_holds", ids)
    rows = {row[0]: row for row in batch.run("records_by_id", ids)}
    gathered = _Gathered(batch, [row for row in rows.values() if _needs_more(row)])
    held = tuple(_held(batch, rows[each.id], slot, gathered) for each, slot in chosen)
    batch.record(_assigned(each.record) for each in held)
    return Claimed(held)


def expire(batch: Batch) -> None:
    """Whatever is past its time and not running is dead, and so are those that wait on it."""
    rows = batch.run("expire", ())
    batch.record(WorkExpired(uid, agent, phase) for _, uid, agent, phase in rows)
    batch.unfinished -= len(rows)
    ended = [row[0] for row in rows]
    if ended:
        batch.run("close_attempts", ended, outcome="expired")
        doom(batch, ended)


def _candidates(batch: Batch, asked: Claim) -> list[_Candidate]:
    wanted = Counter((slot.stage, slot.agent) for slot in asked.slots)
    lanes = [(stage, agent, count) for (stage, agent), count in wanted.items()]
    bounds = {"gated": dump(sorted(asked.gated)), "first": dump(dict(asked.first))}
    rows = batch.run_if_any("claim_candidates", lanes, **bounds)
    if any(expires_at is not None and expires_at <= batch.now for *_, expires_at in rows):
        expire(batch)
        rows = batch.run("claim_candidates", lanes, **bounds)
    return _read(rows)


def _read(rows: Iterable[Sequence[Any]]) -> list[_Candidate]:
    return [
        _Candidate(row, agent, Stage(stage), bool(fresh), bool(attempt_open))
        for row, agent, stage, fresh, attempt_open, _ in rows
    ]


def _choose(asked: Claim, candidates: Iterable[_Candidate]) -> list[Choice]:
    """The candidates, best first, into the slots: one of their own definition before one that takes any."""
    free: defaultdict[tuple[Stage, str], deque[Slot]] = defaultdict(deque)
    for slot in asked.slots:
        free[slot.stage, slot.agent].append(slot)
    begun: Counter[AgentName] = Counter()
    chosen: list[Choice] = []
    for each in candidates:
        slots = free[each.stage, each.agent] or free[each.stage, ANY]
        if not slots or (each.fresh and begun[each.agent] >= asked.first.get(each.agent, len(asked.slots))):
            continue
        begun[each.agent] += each.fresh
        chosen.append((each, slots.popleft()))
    return chosen


def _one_suspect(batch: Batch, asked: Claim, chosen: Sequence[Choice]) -> list[Choice]:
    """One suspect at a time, in a boot that has proven itself: if the process dies now, it was this item."""
    if batch.lived < SETTLED_AFTER:
        return []
    taken = {slot for _, slot in chosen}
    free = Claim(slots=tuple(each for each in asked.slots if each not in taken), first=asked.first)
    rows = [row for row in batch.run("claim_suspects", ()) if row[1] not in asked.gated]
    return _choose(free, _read(rows))[:1]


def _needs_more(row: Sequence[Any]) -> bool:
    """Whether a held row has a history: a first attempt in its first stage has none, unless it was put back before."""
    return bool(row[8] > 1)


class _Gathered:
    """The steps, effects, outputs and failures of the held items that have a history, by row."""

    def __init__(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        ids = [row[0] for row in rows]
        self.steps: dict[int, list[tuple[int, str, str, Any]]] = defaultdict(list)
        self.outputs: dict[int, dict[str, Any]] = defaultdict(dict)
        self.failures: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row, seq, kind, digest, output in batch.run_if_any("steps_of_held", ids):
            self.steps[row].append((seq, kind, digest, load(output)))
        self.effects = effects_by_row(batch, ids)
        for row, stage, body in batch.run_if_any("outputs_of_held", ids):
            self.outputs[row][stage] = load(body)
        for row, error in batch.run_if_any("failures_of_held", ids):
            self.failures[row].append(load(error))


def _held(batch: Batch, row: Sequence[Any], slot: Slot, gathered: _Gathered) -> Held:
    record = record_from_row(tuple(row), batch.recent)
    before = record.item.stages[: _place(record)]
    made = {stage: body for stage, body in gathered.outputs[row[0]].items() if stage in before}
    return Held(
        record=record,
        slot=slot,
        steps=tuple(gathered.steps[row[0]]),
        effects=gathered.effects.get(row[0], ()),
        brief=made.get(Stage.OPTIMIZING),
        work=made.get(Stage.EXECUTING),
        failed=tuple(gathered.failures[row[0]]),
        lineage=row[_LINEAGE],
    )


def _place(record: WorkRecord) -> int:
    return record.item.stages.index(record.stage)


def _assigned(record: WorkRecord) -> WorkAssigned:
    return WorkAssigned(record.item.id, record.stage, record.attempt, str(record.holder))
