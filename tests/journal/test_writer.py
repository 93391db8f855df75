import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from darumad.bus import Tally
from darumad.errors import DarumaError, Unavailable
from darumad.events import AgentBenched
from darumad.journal import (
    MEASURES,
    STALE,
    Accept,
    Accepted,
    Claim,
    Journal,
    Moved,
    Note,
    Outcome,
    Program,
    PromoteDue,
    Rescue,
    SetBack,
    Setting,
    Slot,
)
from darumad.journal.checkpoints import FULL_FRAMES, IDLE_FRAMES, Checkpoints
from darumad.journal.database import Database
from darumad.journal.rounds import KINDS, groups
from darumad.journal.writer import HANDLERS
from darumad.names import ActorPath, AgentName, ItemId, Millis, Seconds
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, Desk, Gate, move, new_item, step, success
from tests.kit import FakeClock, eventually


def accept(*items: Any) -> Accept:
    return Accept(items=items, audit=AUDIT, max_unfinished=10_000)


class Ear:
    """An addressee that remembers each call it got."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Outcome]] = []

    def hear(self, outcomes: Sequence[Outcome]) -> None:
        self.calls.append(outcomes)

    @property
    def answers(self) -> list[Any]:
        return [each.answer for call in self.calls for each in call]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(accept(new_item("bad", input={"not": {"json"}})), id="what JSON cannot say"),
        pytest.param(accept(new_item("bad", priority=11)), id="what a CHECK refuses"),
        pytest.param(accept(new_item("bad", state=WorkState.RUNNING)), id="what a trigger refuses"),
        pytest.param(accept(new_item("bad", description="lone \ud800 surrogate")), id="what is no text"),
        pytest.param(Note(facts=(AgentBenched(ActorPath("a"), "a", "no file \udcff"),)), id="a fact not in Unicode"),
        pytest.param(Setting(values={"k": 2**70}, audits=(AUDIT,)), id="what no column holds"),  # type: ignore[arg-type] # on purpose
    ],
)
def test_a_bad_request_sinks_nobody_else_in_its_batch(desk: Desk, bad: Any) -> None:
    good, wrong = Ear(), Ear()
    gate = Gate(desk)
    desk.journal.post(accept(new_item("a")), good.hear)
    desk.journal.post(bad, wrong.hear)
    desk.journal.post(accept(new_item("b", needs=["a"])), good.hear)
    gate.open()
    desk.submit("c")
    assert [type(each) for each in good.answers] == [Accepted, Accepted]
    (answer,) = wrong.answers
    assert isinstance(answer, DarumaError)
    assert answer.code == "broken"
    assert desk.reader.record(ItemId("bad")) is None
    assert desk.events().count("work.submitted") == 3
    assert len(desk.reader.audits()) == 3
    assert desk.fatal == []


def test_a_move_that_breaks_a_rule_leaves_its_item_as_it_was(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one()
    with pytest.raises(DarumaError) as broken:
        desk.call(move(held, WorkState.PARKED))
    assert broken.value.code == "broken"
    assert desk.record("a") == held.record
    desk.succeed(held)


def test_an_addressee_is_called_once_a_batch_with_all_that_is_its_own(desk: Desk) -> None:
    one, other = Ear(), Ear()
    gate = Gate(desk)
    for n in range(6):
        desk.journal.post(accept(new_item(f"i{n}")), (one if n % 2 else other).hear)
    gate.open()
    desk.close()
    assert [[each.request.items[0].item.id for each in call] for call in one.calls] == [["i1", "i3", "i5"]]  # type: ignore[union-attr] # accepts
    assert len(other.calls) == 1


def test_an_answer_comes_after_the_commit(desk: Desk) -> None:
    seen: list[Any] = []
    told = threading.Event()

    def look(_: Sequence[Outcome]) -> None:
        seen.append(desk.reader.record(ItemId("a")))
        told.set()

    desk.journal.post(accept(new_item("a")), look)
    assert told.wait(20)
    assert seen[0] is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_addressee_that_raises_stops_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))

    def fall(_: Sequence[Outcome]) -> None:
        raise RuntimeError("I fell")

    desk.journal.post(accept(new_item("a")), fall)
    desk.submit("b")
    assert [str(each) for each in told] == ["I fell"]


def test_an_error_out_of_a_commit_means_unknown_and_ends_the_writing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = Database.commit

    def commit_then_raise(self: Database) -> None:
        committed(self)
        error = sqlite3.OperationalError("disk I/PREPARE error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    monkeypatch.setattr(Database, "commit", commit_then_raise)
    with pytest.raises(Unavailable) as unknown:
        desk.submit("a")
    assert unknown.value.code == "io_error"
    monkeypatch.undo()
    desk.die()
    desk.open()
    assert desk.submit("a").created == (False,), "it had happened; the same id again says so"


def test_the_writer_tells_how_it_is_while_it_is_stuck(desk: Desk) -> None:
    assert (desk.journal.health().queued, desk.journal.health().batch_age) == (0, None)
    gate = Gate(desk)
    desk.journal.post(PromoteDue())
    desk.clock.advance(7.0)
    health = desk.journal.health()
    assert (health.queued, health.batch_age) == (1, 7.0)
    gate.open()
    desk.close()
    assert desk.journal.health().batch_age is None


def test_what_was_posted_before_the_close_is_carried_out_and_what_comes_after_is_told(desk: Desk) -> None:
    ear = Ear()
    for n in range(600):
        desk.journal.post(accept(new_item(f"i{n}")), ear.hear)
    desk.close()
    assert len([each for each in ear.answers if isinstance(each, Accepted)]) == 600
    with pytest.raises(Unavailable, match="closed"):
        desk.submit("late")


def test_what_is_posted_while_the_journal_closes_is_answered_whoever_is_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, writer, closer = Ear(), desk.journal._writer, threading.Thread(target=desk.close)
    queue = writer._queue

    class Door:
        """Somebody has seen that it is open, and is not in yet, when the journal closes."""

        def put(self, posted: Any) -> None:
            if posted is not None:
                closer.start()
                closer.join(0.2)
            queue.put(posted)

        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

    monkeypatch.setattr(writer, "_queue", Door())
    desk.journal.post(accept(new_item("a")), ear.hear)
    closer.join()
    assert len(ear.answers) == 1


def test_a_wait_that_runs_out_says_so(desk: Desk) -> None:
    gate = Gate(desk)
    with pytest.raises(Unavailable) as expired:
        desk.journal.call(PromoteDue(), Seconds(0.01))
    assert expired.value.code == "wait_expired"
    gate.open()


def test_batches_are_measured_and_of_their_time_that_of_the_commit_alone(tmp_path: Path, clock: FakeClock) -> None:
    tally = Tally(MEASURES)
    journal = Journal.open(
        tmp_path / "j", clock=clock, node="n", publish=lambda _: None, tally=tally, ageing=Seconds(1),
        program=Program("1"), on_fatal=lambda _: None,
    )  # fmt: skip
    journal.start()
    journal.post(Note(facts=()), lambda _: clock.advance(5.0))
    journal.close(Seconds(20))
    measured = {name: histogram.total for (name, _), histogram in tally.histograms().items()}
    assert measured == {"journal_commit_seconds": 0.0, "journal_batch_size": 1}


def test_a_journal_that_never_started_closes_and_tells_whoever_asked_it(tmp_path: Path, clock: FakeClock) -> None:
    desk, ear = Desk(tmp_path / "state", clock).open(start=False), Ear()
    desk.journal.post(Note(facts=()), ear.hear)
    desk.close()
    desk.close()
    assert [type(each) for each in ear.answers] == [Unavailable]


# --- rounds ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_request_has_its_handler_and_its_place() -> None:
    assert set(KINDS) == set(HANDLERS)


def test_two_requests_of_one_item_never_share_a_statement_and_keep_their_order(desk: Desk) -> None:
    desk.submit("a", "b")
    one, other = desk.claim(count=2)
    asked = [
        step(one, 0), move(other, WorkState.READY), step(one, 1), success(one), PromoteDue(), accept(new_item("c")),
    ]  # fmt: skip
    assert groups(asked) == [
        (type(asked[1]), [asked[1]]),
        (type(asked[0]), [asked[0]]),
        (Accept, [asked[5]]),
        (type(asked[2]), [asked[2]]),
        (type(asked[3]), [asked[3]]),
        (PromoteDue, [asked[4]]),
    ]


def test_a_claim_sees_what_its_own_batch_made_ready(desk: Desk) -> None:
    desk.submit("a", new_item("b", needs=["a"], stages=(DO,)))
    held = desk.claim_one()
    ear = Ear()
    gate = Gate(desk)
    desk.journal.post(Claim(slots=(Slot(AgentName("executor"), DO, "x#1"),)), ear.hear)
    desk.journal.post(success(held), ear.hear)
    gate.open()
    desk.close()
    claimed, moved = ear.answers
    assert isinstance(moved, Moved)
    assert [each.record.item.id for each in claimed.held] == ["b"]


def test_a_rescue_knows_nothing_of_what_was_posted_after_it(desk: Desk) -> None:
    """Else an item that goes on to another slot in the same batch would be taken from it."""
    desk.submit("a", "b")
    goes_on, lost = desk.claim(count=2)
    ear, gate = Ear(), Gate(desk)
    desk.journal.post(Rescue(live=frozenset({(goes_on.record.item.id, goes_on.record.fence)})), ear.hear)
    desk.journal.post(move(goes_on, WorkState.RUNNING, DO, holder="next#1"), ear.hear)
    desk.journal.post(success(lost), ear.hear)
    gate.open()
    desk.close()
    rescued, moved, late = ear.answers
    assert rescued.items == ("b",)
    assert isinstance(moved, Moved)
    assert late is STALE


def test_what_was_posted_before_a_rescue_is_seen_by_it(desk: Desk) -> None:
    desk.submit("a", "b")
    ends, goes_on = desk.claim(count=2)
    ear, gate = Ear(), Gate(desk)
    desk.journal.post(success(ends), ear.hear)
    desk.journal.post(move(goes_on, WorkState.RUNNING, DO, holder="next#1"), ear.hear)
    desk.journal.post(Rescue(live=frozenset()), ear.hear)
    gate.open()
    desk.close()
    ended, moved, rescued = ear.answers
    assert isinstance(ended, Moved)
    assert isinstance(moved, Moved)
    assert rescued.items == ("b",)


def test_a_clock_that_was_set_back_takes_nothing_from_what_its_own_batch_schedules(desk: Desk) -> None:
    """The events of that are not there yet."""
    desk.submit("a")
    held, due = desk.claim_one(), Millis(desk.clock.wall() + 7_200_000)
    gate = Gate(desk)
    desk.journal.post(move(held, WorkState.SCHEDULED, reason="outage", run_at=due))
    desk.journal.post(Rescue(live=frozenset()))
    seen = desk.reader.last_position()
    desk.journal.post(SetBack(by_ms=3_600_000, at=Millis(desk.clock.wall()), right=seen, wrong=seen))
    gate.open()
    desk.call(PromoteDue())
    assert desk.record("a").run_at == due


# --- checkpoints ----------------------------------------------------------------------------------------------------


def test_the_writer_checkpoints_when_nobody_waits_and_in_any_case_when_the_log_is_large(tmp_path: Path) -> None:
    db = Database.writer(tmp_path / "x.db")
    db.all("CREATE TABLE t (x)")
    checkpoints = Checkpoints(db)
    wal = tmp_path / "x.db-wal"

    def grow(pages: int) -> None:
        for _ in range(pages // 100):
            db.all(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                " INSERT INTO t SELECT randomblob(3900) FROM n"
            )

    grow(IDLE_FRAMES + 200)
    checkpoints.after_batch()
    assert checkpoints.frames >= IDLE_FRAMES
    assert checkpoints.due
    checkpoints.run()
    assert checkpoints.frames == 0
    assert not checkpoints.due
    grow(FULL_FRAMES + 200)
    assert wal.stat().st_size > FULL_FRAMES * 4096
    checkpoints.after_batch()
    assert checkpoints.frames == 0
    db.close()


def test_a_checkpoint_that_a_reader_stops_is_not_tried_again_before_something_was_written(tmp_path: Path) -> None:
    db = Database.writer(tmp_path / "x.db")
    db.all("CREATE TABLE t (x)")
    checkpoints, reader = Checkpoints(db), Database.reader(tmp_path / "x.db")
    reader.all("BEGIN")
    reader.all("SELECT * FROM t")
    more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
    db.all(f"{more} INSERT INTO t SELECT randomblob(3900) FROM n")
    checkpoints.after_batch()
    checkpoints.run()
    assert checkpoints.frames >= IDLE_FRAMES
    assert not checkpoints.due
    checkpoints.after_batch()
    assert checkpoints.due
    reader.close()
    db.close()


def test_the_writer_empties_its_log_by_itself_once_nobody_asks(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darumad.journal.checkpoints.IDLE_FRAMES", 1)
    desk = Desk(tmp_path / "state", clock).open()
    desk.submit("one")
    eventually(lambda: desk.journal._writer._checkpoints.frames == 0)
    assert not desk.journal._writer._checkpoints.due
    desk.close()
