"""The writer: the one thread that changes the journal.

The requests that queued while the last fsync ran are its next transaction. After COMMIT it hands the answers to those
who asked, in one call for each of them, and the events to the publisher. It waits for neither.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from darumad.bus import Tally
from darumad.clock import Clock
from darumad.errors import Broken, DarumaError, Unavailable
from darumad.events import Recorded
from darumad.journal.acceptance import DISK_RETRY
from darumad.journal.accepting import accept
from darumad.journal.batch import Batch, Tail
from darumad.journal.checkpoints import Checkpoints
from darumad.journal.claiming import claim, demand
from darumad.journal.database import Database, is_disk_trouble, is_full
from darumad.journal.editing import edit
from darumad.journal.effects import effect_end, effect_start
from darumad.journal.encoding import RecentItems
from darumad.journal.money import reserve, settle
from darumad.journal.moving import drop_steps, move, step
from darumad.journal.operating import cancel, note, release, release_repaired, setting
from darumad.journal.pruning import prune, purge
from darumad.journal.requests import (
    Accept,
    Answer,
    Cancel,
    Claim,
    Demand,
    DropSteps,
    Edit,
    EffectEnd,
    EffectStart,
    Move,
    Note,
    Outcome,
    PromoteDue,
    Prune,
    Purge,
    Release,
    ReleaseRepaired,
    Request,
    Rescue,
    Reserve,
    SetBack,
    Setting,
    Settle,
    Step,
)
from darumad.journal.returning import promote_due, rescue, set_back
from darumad.journal.room import Room
from darumad.journal.rounds import groups
from darumad.names import Boot, Seconds
from darumad.values import Value
from darumad.work.lanes import Turns

MAX_BATCH = 256
"""Requests in one transaction, at most; under load the queue fills it while the last one is synced."""

AGAIN = 1.0
"""Seconds until a request that waits for room on the disk, or a checkpoint that a reader held up, is tried again."""
REST = 0.05
"""Seconds without a request after which the writer has time for a checkpoint."""
COMPLETES = (Move, Step, EffectEnd, Settle, Cancel)
"""Requests that tell of what has happened. On a full disk these wait for room; all others are refused meanwhile."""

Addressee = Callable[[Sequence[Outcome]], None]
"""Who gets the answers. Called on the writer's thread, once a batch: it must only pass them on."""
Posted = tuple[Request, Addressee | None]

HANDLERS: Mapping[type[Any], Callable[[Batch, Any], list[Answer]]] = {
    Accept: accept,
    Claim: claim,
    Demand: demand,
    Step: step,
    DropSteps: drop_steps,
    EffectStart: effect_start,
    EffectEnd: effect_end,
    Move: move,
    Cancel: cancel,
    Release: release,
    ReleaseRepaired: release_repaired,
    Edit: edit,
    Rescue: rescue,
    PromoteDue: promote_due,
    SetBack: set_back,
    Prune: prune,
    Purge: purge,
    Note: note,
    Reserve: reserve,
    Settle: settle,
    Setting: setting,
}
"""What carries out the requests of each kind: it takes all of a batch, and returns their answers in the same order."""


class WriterHealth(Value):
    """How the writer is: how many requests wait, and how many seconds the present batch has run (None between two).

    `held` counts the requests that wait for room on the disk, `unfinished` the items that are not at their end.
    """

    queued: int
    batch_age: Seconds | None
    held: int = 0
    unfinished: int = 0


class WriterStart(Value, kw_only=True):
    """What the writer starts from and reports to, as the boot left it."""

    boot: Boot
    booted_at: float
    tail: Tail
    suspects: bool
    ageing_ms: int
    publish: Callable[[Sequence[Recorded]], None]
    tally: Tally | None
    on_fatal: Callable[[Exception], None]
    room: Room
    turns: Turns


class _NoRoom(Exception):  # noqa: N818 - it reads as what is the matter
    """The disk is full and the ballast is gone."""


class Writer:
    """Owns the writing connection from `start` to `close`; `post` is for every thread."""

    def __init__(self, db: Database, clock: Clock, given: WriterStart) -> None:
        self._db = db
        self._clock = clock
        self._given = given
        self._tail = given.tail
        self._queue: SimpleQueue[Posted | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._checkpoints = Checkpoints(db)
        self._recent = RecentItems()
        self._turns = given.turns
        self._held: list[Posted] = []
        self._batch_began: float | None = None
        self._failed: DarumaError | None = None
        self._closed = False
        self._door = threading.Lock()
        """Held by `post` and `close`, so that no request can be queued behind the end of the queue."""

    def start(self) -> None:
        """Begin to carry out requests. The log is emptied first, for an earlier life may have been killed."""
        self._guarded(self._checkpoints.empty_log)
        self._thread.start()

    def post(self, request: Request, reply: Addressee | None) -> None:
        """Queue `request` and return at once. After `close` its answer is `Unavailable`."""
        with self._door:
            closed = self._closed
            if not closed:
                self._queue.put((request, reply))
        if closed:
            _turn_away([(request, reply)])

    def health(self) -> WriterHealth:
        """How it is, without asking its thread. Safe from any thread."""
        began = self._batch_began
        age = None if began is None else Seconds(max(0.0, self._clock.monotonic() - began))
        return WriterHealth(self._queue.qsize(), age, len(self._held), self._tail.unfinished)

    @property
    def failed(self) -> bool:
        """Whether the disk has failed: nothing is written any more."""
        return self._failed is not None

    def close(self, within: Seconds) -> bool:
        """Carry out what was posted before, then stop; whether that was done within so many seconds."""
        with self._door:
            self._closed = True
            self._queue.put(None)
        if self._thread.ident is None:
            _turn_away(list(iter(self._queue.get, None)))
            return True
        self._thread.join(within)
        return not self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        open_ = True
        while open_:
            posted, open_ = self._take()
            self._batch_began = self._clock.monotonic()
            if posted:
                self._carry_out(posted)
            elif open_:
                self._guarded(self._checkpoints.run)
            self._batch_began = None
        _turn_away(self._held)

    def _take(self) -> tuple[list[Posted], bool]:
        """The next batch, and whether the queue is still open. Waits until there is a request.

        Requests that wait for room on the disk come first. The batch is empty when it is time for a checkpoint.
        """
        posted = list(self._held)
        try:
            first = self._queue.get(timeout=AGAIN if posted else self._patience)
        except Empty:
            return posted, True
        if first is None:
            return posted, False
        posted.append(first)
        most = len(posted) + MAX_BATCH - 1
        while len(posted) < most:
            try:
                each = self._queue.get_nowait()
            except Empty:
                break
            if each is None:
                return posted, False
            posted.append(each)
        return posted, True

    @property
    def _patience(self) -> float | None:
        """Seconds to wait for a request until a checkpoint is due; None where none is."""
        if self._failed is not None:
            return None
        return REST if self._checkpoints.due else AGAIN if self._checkpoints.owed else None

    def _carry_out(self, posted: Sequence[Posted]) -> None:
        try:
            answers, recorded = self._transact([request for request, _ in posted])
        except _NoRoom:
            self._keep_what_happened(posted)
            return
        self._held = []
        _tell(posted, answers)
        if recorded:
            self._given.publish(recorded)
        if self._failed is None:
            self._observe("journal_batch_size", len(posted))
            erased = any(isinstance(request, Purge) for request, _ in posted)
            self._guarded(self._checkpoints.empty_log if erased else self._checkpoints.after_batch)
            self._guarded(self._given.room.set_aside)

    def _keep_what_happened(self, posted: Sequence[Posted]) -> None:
        """The disk is full: what has happened waits for room, in its order; every other request is refused for now."""
        held = [each for each in posted if isinstance(each[0], COMPLETES)]
        refused = [each for each in posted if not isinstance(each[0], COMPLETES)]
        full = Unavailable("the disk is full", code="disk_full", retry_after=DISK_RETRY)
        _tell(refused, [full] * len(refused))
        if refused and held:
            self._carry_out(held)
        else:
            self._held = held

    def _transact(self, requests: Sequence[Request]) -> tuple[Sequence[Answer], Sequence[Recorded]]:
        if self._failed is not None:
            return [self._failed] * len(requests), ()
        try:
            return self._together(requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, some request of this batch caused it
            if self.failed or is_disk_trouble(error):
                return self._in_trouble(error, requests)
        try:
            return self._one_by_one(requests)
        except Exception as error:  # noqa: BLE001 - what no single request explains is the journal's own trouble
            return self._in_trouble(error, requests)

    def _in_trouble(self, error: Exception, requests: Sequence[Request]) -> tuple[Sequence[Answer], Sequence[Recorded]]:
        """On a full disk give up the ballast and try once more. Any other trouble ends the writing.

        Raises:
            _NoRoom: the ballast is gone already.
        """
        if not is_full(error):
            return self._give_up(error, len(requests)), ()
        if not self._given.room.give_up():
            raise _NoRoom from error
        return self._transact(requests)

    def _together(self, requests: Sequence[Request]) -> tuple[Sequence[Answer], Sequence[Recorded]]:
        """The whole batch, without savepoints."""
        batch = self._begin()
        try:
            answers = _run(batch, requests)
            recorded = batch.write()
        except BaseException:
            self._db.rollback()
            raise
        self._commit(batch)
        return answers, recorded

    def _one_by_one(self, requests: Sequence[Request]) -> tuple[Sequence[Answer], Sequence[Recorded]]:
        """The same batch with a savepoint for each request, so that only those fail that cannot be carried out."""
        batch = self._begin()
        try:
            answers = [_under_savepoint(batch, each) for each in requests]
            recorded = batch.write()
        except BaseException:
            self._db.rollback()
            raise
        self._commit(batch)
        return answers, recorded

    def _begin(self) -> Batch:
        given = self._given
        self._db.begin()
        return Batch(
            db=self._db,
            now=self._clock.wall(),
            boot=given.boot,
            ageing_ms=given.ageing_ms,
            lived=Seconds(self._clock.monotonic() - given.booted_at),
            tail=self._tail,
            suspects=given.suspects,
            recent=self._recent,
            room=given.room,
            turns=self._turns,
        )

    def _commit(self, batch: Batch) -> None:
        began = self._clock.monotonic()
        try:
            self._db.commit()
        except Exception as error:
            if is_full(error):
                self._db.rollback()
            else:
                # After a failed fsync nobody knows whether it happened: recovery by restart will tell.
                self._failed = _io_error(error)
            raise
        self._observe("journal_commit_seconds", self._clock.monotonic() - began)
        self._tail = batch.tail
        self._turns = batch.turns

    def _give_up(self, error: Exception, count: int) -> list[Answer]:
        """The disk has failed: from now on every answer is `io_error`, until the daemon is started again."""
        self._failed = self._failed or _io_error(error)
        self._given.on_fatal(self._failed)
        return [self._failed] * count

    def _guarded(self, chore: Callable[[], None]) -> None:
        try:
            chore()
        except Exception as error:  # noqa: BLE001 - the batch was committed; the disk is in trouble all the same
            if not is_full(error):
                self._give_up(error, 0)

    def _observe(self, what: str, value: float) -> None:
        if self._given.tally is not None:
            self._given.tally.observe(what, value)


def _run(batch: Batch, requests: Sequence[Request]) -> list[Answer]:
    answers: dict[int, Answer] = {}
    for kind, group in groups(requests):
        for request, answer in zip(group, HANDLERS[kind](batch, group), strict=True):
            answers[id(request)] = answer
    return [answers[id(each)] for each in requests]


def _under_savepoint(batch: Batch, request: Request) -> Answer:
    mark = batch.mark()
    batch.db.all("SAVEPOINT request")
    try:
        (answer,) = _run(batch, [request])
        batch.prove(mark)
    except Exception as error:
        if is_full(error):
            raise  # SQLite may have rolled back the whole transaction
        batch.db.all("ROLLBACK TO request")
        batch.back_to(mark)
        if is_disk_trouble(error):
            raise
        answer = _defect(request, error)
    batch.db.all("RELEASE request")
    return answer


def _defect(request: Request, error: Exception) -> DarumaError:
    if isinstance(error, DarumaError):
        return error
    return Broken(f"the journal could not carry out {type(request).__name__}: {error}")


def _io_error(error: Exception) -> DarumaError:
    return Unavailable(f"the journal's disk failed: {error}", code="io_error")


def _turn_away(posted: Sequence[Posted]) -> None:
    """Refuse requests that came after the close, or that still waited for room then."""
    _tell(posted, [Unavailable("the journal is closed")] * len(posted))


def _tell(posted: Sequence[Posted], answers: Sequence[Answer]) -> None:
    """Call each addressee once, with all of its answers. What one raises goes to `threading.excepthook`."""
    mail: dict[Addressee, list[Outcome]] = {}
    for (request, reply), answer in zip(posted, answers, strict=True):
        if reply is not None:
            mail.setdefault(reply, []).append(Outcome(request, answer))
    for reply, outcomes in mail.items():
        try:
            reply(outcomes)
        except Exception as error:  # noqa: BLE001 - the commit stands, whatever the addressee makes of it
            hook = threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
            threading.excepthook(hook)
