"""What operators ask of items: cancel and release.

All of a request's items, or an error that names the one that cannot.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from darumad.errors import DarumaError, Refused, unknown_item
from darumad.events import Fact, WorkAnswered, WorkCancelled, WorkReady, WorkRetried, WorkScheduled
from darumad.journal.acceptance import LOST
from darumad.journal.batch import Batch
from darumad.journal.dependents import doom, end, revive
from darumad.journal.effects import settle_unknown
from darumad.journal.encoding import WORDS, dump
from darumad.journal.requests import (
    APPLIED,
    Answer,
    Cancel,
    Cancelled,
    Note,
    Release,
    Released,
    ReleaseRepaired,
    Setting,
)
from darumad.journal.sql import SQL
from darumad.names import Attempt, Fence, ItemId, Millis, Stage
from darumad.values import Value
from darumad.work.states import UNFINISHED, ParkReason, ScheduleReason, WorkState


class Found(Value):
    """Where an item stands as the request finds it."""

    uid: ItemId
    row: int
    state: WorkState
    stage: Stage
    reason: str | None
    holder: str | None
    fence: Fence
    attempt: Attempt
    run_at: Millis | None


Chosen = Mapping[ItemId, Found]
"""Items by their ids, in the order of the request."""
_CANCELLABLE = UNFINISHED | {WorkState.DEAD}
_RELEASABLE = frozenset({WorkState.PARKED, WorkState.SCHEDULED, WorkState.DEAD})
_WISHED = frozenset({ParkReason.CHALLENGE.value, ScheduleReason.DELAY.value})
"""The reasons beside which the time that an item has is the one that its submit wished."""


def cancel(batch: Batch, asked: Sequence[Cancel]) -> list[Answer]:
    """The writer asks for one at a time: the second sees what the first did."""
    return [_cancel(batch, each) for each in asked]


def release(batch: Batch, asked: Sequence[Release]) -> list[Answer]:
    """As `cancel`."""
    return [_release(batch, each) for each in asked]


def release_repaired(batch: Batch, asked: Sequence[ReleaseRepaired]) -> list[Answer]:
    """As `release`, of what they find parked; where there is none nobody has asked for anything."""
    return [_release_repaired(batch, each) for each in asked]


def note(batch: Batch, asked: Sequence[Note]) -> list[Answer]:
    """Facts that change no item."""
    for each in asked:
        batch.record(each.facts)
        if each.audit:
            batch.audit(each.audit)
    return [APPLIED] * len(asked)


def setting(batch: Batch, asked: Sequence[Setting]) -> list[Answer]:
    """The last of two of one key holds."""
    for each in asked:
        for key, value in each.values.items():
            batch.db.all(SQL["set"], {"key": key, "value": value})
        batch.record(each.facts)
        for audit in each.audits:
            batch.audit(audit)
    return [APPLIED] * len(asked)


def _cancel(batch: Batch, asked: Cancel) -> Answer:
    found = _to_cancel(batch, asked)
    if isinstance(found, DarumaError):
        return found
    rows = [each.row for each in found.values()]
    end(batch, rows)
    batch.unfinished -= sum(each.state in UNFINISHED for each in found.values())
    batch.record(WorkCancelled(uid, asked.audit.by, asked.reason) for uid in found)
    batch.audit(asked.audit)
    fallen = doom(batch, rows, asked.audit.by)
    running = [(each.uid, each.holder or "", each.fence) for each in found.values() if each.holder]
    return Cancelled((*found, *fallen.cancelled), (*running, *fallen.running), tuple(fallen.died))


def _release(batch: Batch, asked: Release) -> Answer:
    found = _to_release(batch, asked)
    if isinstance(found, DarumaError):
        return found
    settled = _settle_effects(batch, found, asked.answers)
    if isinstance(settled, DarumaError):
        return settled
    waiting = _unsettled(batch, found)
    if isinstance(waiting, DarumaError):
        return waiting
    if asked.answers:  # before the release, which looks whether anything is left to be answered
        answered = [each for each in found.values() if each.row not in settled]
        batch.run_if_any("correspond", [(each.row, "[]", dump(asked.answers), "[]") for each in answered])
        batch.record(WorkAnswered(uid, asked.audit.by) for uid in found)
    to = {each.uid: _goes_to(each, asked, waiting, batch.now) for each in found.values()}
    batch.run("release", [(each.row, WORDS[to[uid]], int(_starts_fresh(each, asked))) for uid, each in found.items()])
    dead = {each.row: each.uid for each in found.values() if each.state is WorkState.DEAD}
    fresh = [each.row for each in found.values() if _starts_fresh(each, asked)]
    batch.run_if_any("close_attempts", fresh, outcome="released")
    batch.unfinished += len(dead)
    for each in found.values():
        batch.record(_facts(each, asked, to[each.uid]))
    batch.audit(asked.audit)
    return Released((*found, *revive(batch, dead, asked.audit.by)))


def _release_repaired(batch: Batch, asked: ReleaseRepaired) -> Answer:
    given = {"agent": asked.agent, "resources_version": asked.resources_version}
    found = tuple(ItemId(uid) for (uid,) in batch.db.all(SQL["parked_for_another"], given))
    return _release(batch, Release(items=found, audit=asked.audit)) if found else Released(())


def _to_cancel(batch: Batch, asked: Cancel) -> Chosen | DarumaError:
    found = _standing(batch, asked.items)
    if asked.those_that_can:
        return _those_in(_CANCELLABLE, found)
    return _all_in(_CANCELLABLE, found, asked.items, "cancelled")


def _to_release(batch: Batch, asked: Release) -> Chosen | DarumaError:
    found = _standing(batch, asked.items)
    if asked.those_that_can:
        return _not_in_vain(batch, _those_in(_RELEASABLE, found))
    return _all_in(_RELEASABLE, found, asked.items, "answered" if asked.answers else "retried")


def _those_in(states: frozenset[WorkState], found: Chosen) -> Chosen:
    return {uid: each for uid, each in found.items() if each.state in states}


def _all_in(states: frozenset[WorkState], found: Chosen, uids: Sequence[ItemId], done: str) -> Chosen | DarumaError:
    """All that were asked for, or what is said of the first that cannot be `done`."""
    unknown = [uid for uid in uids if uid not in found]
    if unknown:
        return unknown_item(unknown[0])
    wrong = [each for each in found.values() if each.state not in states]
    if wrong:
        return Refused(f"{wrong[0].uid} is {wrong[0].state}: it cannot be {done}", code="conflict")
    return found


def _not_in_vain(batch: Batch, able: Chosen) -> Chosen:
    """Those that can be released, without the dead that would wait in vain for something lost.

    Taking one out makes others wait in vain that need it, and so on down: each need is looked at once.
    """
    left = dict(able)
    rows = {each.row: uid for uid, each in able.items() if each.state is WorkState.DEAD}
    held_by: defaultdict[ItemId, list[ItemId]] = defaultdict(list)
    for row, needed, state in batch.run_if_any("unsettled_needs", list(rows)):
        if state in LOST:
            held_by[needed].append(rows[row])
    gone = [needed for needed in held_by if needed not in able]
    while gone:
        gone += [uid for uid in held_by.pop(gone.pop(), ()) if left.pop(uid, None)]
    return left


def _settle_effects(batch: Batch, found: Chosen, answers: Sequence[str]) -> frozenset[int] | DarumaError:
    """The rows whose answer was about an effect with an unknown outcome: it is no message for their agent."""
    settled = set()
    for each in found.values():
        if answers and each.reason == ParkReason.CONFLICT:
            was_one = settle_unknown(batch, each.row, answers)
            if isinstance(was_one, DarumaError):
                return was_one
            if was_one:
                settled.add(each.row)
    return frozenset(settled)


def _standing(batch: Batch, uids: Sequence[ItemId]) -> Chosen:
    rows = {
        row[0]: Found(row[0], row[1], WorkState(row[2]), Stage(row[3]), *row[4:])
        for row in batch.run("standing_of", list(dict.fromkeys(uids)))
    }
    return {uid: rows[uid] for uid in uids if uid in rows}


def _unsettled(batch: Batch, found: Chosen) -> frozenset[int] | DarumaError:
    """The rows that must wait on something first, or the lost dependency that one of them would wait for in vain."""
    rows = {each.row: each.uid for each in found.values() if each.state is WorkState.DEAD}
    unsettled = batch.run_if_any("unsettled_needs", list(rows))
    for row, uid, state in unsettled:
        if state in LOST and uid not in found:
            return _in_vain(rows[row], uid, state)
    return frozenset(row for row, _, _ in unsettled)


def _in_vain(item: ItemId, needed: ItemId, state: WorkState) -> Refused:
    """What is dead may be retried; what is cancelled stays so, and nothing that depends on it can ever begin."""
    said = f"{item} depends on {needed}, which is {state}"
    if state == WorkState.CANCELLED:
        return Refused(f"{said} and stays so: hand both in anew, under other ids", code="conflict")
    return Refused(f"{said}: retry that first", code="conflict")


def _starts_fresh(each: Found, asked: Release) -> bool:
    """Whether the attempt ends: a retry of the dead does, and answers that change what the agent is asked to do."""
    return each.state is WorkState.DEAD or _answers_a_challenge(each, asked)


def _answers_a_challenge(each: Found, asked: Release) -> bool:
    return bool(asked.answers and each.reason == ParkReason.CHALLENGE)


def _goes_to(each: Found, asked: Release, waiting: frozenset[int], now: Millis) -> WorkState:
    """A retry makes ready at once whatever may begin; an answer, however often it is sent, leaves a time wished for."""
    if each.row in waiting:
        return WorkState.WAITING
    early = each.run_at is not None and each.run_at > now and each.reason in _WISHED
    return WorkState.SCHEDULED if early and asked.answers else WorkState.READY


def _facts(each: Found, asked: Release, to: WorkState) -> list[Fact]:
    facts: list[Fact] = []
    if each.state is WorkState.DEAD:
        facts.append(WorkRetried(each.uid, f"asked for by {asked.audit.by}", each.attempt))
    if to is WorkState.READY:
        facts.append(WorkReady(each.uid, f"released by {asked.audit.by}"))
    if to is WorkState.SCHEDULED:
        facts.append(WorkScheduled(each.uid, ScheduleReason.DELAY, int(each.run_at or 0), None))
    return facts
