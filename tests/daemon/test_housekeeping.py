"""What is old goes, a clock that was set is told of, and the pages are looked at by a child."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from darumad.bridge import Workspaces
from darumad.daemon import housekeeping
from darumad.daemon.housekeeping import JUMP_MS, PATIENCE, Housekeeping, HousekeepingPorts
from darumad.events import DaemonClockJumped, Fact, WorkScheduled
from darumad.journal import Held, Move, PromoteDue, SetBack
from darumad.journal.writer import HANDLERS
from darumad.names import ItemId, Seconds
from darumad.settings import Retention
from darumad.settings.units import Bytes
from darumad.values import changed
from darumad.work.item import Input
from darumad.work.states import WorkState
from tests.bridge.room import UNPACK_LIMITS
from tests.journal.desk import DO, Desk, move, new_item
from tests.kit import captured_logs, eventually
from tests.kit.clock import FakeClock
from tests.kit.deep import dug

DAY = 86_400.0


class SetClock(FakeClock):
    """A wall clock that somebody sets."""

    offset = 0

    def wall(self) -> int:
        return super().wall() + self.offset


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_700_000_000.0)


@pytest.fixture
def desk(tmp_path: Path, clock: SetClock) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state", clock).open()
    yield desk
    desk.close()


class Kept:
    """Housekeeping over a journal, and what it told."""

    def __init__(self, desk: Desk, retention: Retention | None = None) -> None:
        self.facts: list[Fact] = []
        self.looks = self.claims_seen = 0
        self.dates: list[int] = []
        self.workspaces = Workspaces(desk.directory / "workspaces", desk.directory / "uploads", UNPACK_LIMITS)
        ports = HousekeepingPorts(
            clock=desk.clock,
            journal=desk.journal,
            workspaces=self.workspaces,
            uploads=desk.directory / "uploads",
            directory=desk.directory,
            note=self.facts.append,
            look_again=self._look,
            look_at_the_date=lambda: self.dates.append(desk.clock.wall()),
            look_at_the_claims=self._look_at_claims,
        )
        self.keeping = Housekeeping(ports, retention or Retention(), Seconds(60.0))

    def _look(self) -> None:
        self.looks += 1

    def _look_at_claims(self) -> None:
        self.claims_seen += 1

    def workspace(self, item: str, size: int = 10, age: float = 0.0, now: float = 0.0) -> Path:
        home = self.workspaces.home_of(item)
        (home / "0").mkdir(parents=True)
        (home / "0" / "file").write_bytes(bytes(size))
        os.utime(home, (now - age, now - age))
        return home


def nest(place: Path) -> None:
    """A file whose path is too long, though each directory's is not."""
    inmost = os.open(place, os.O_RDONLY)
    while len(str(place)) < 3950:
        place /= "n" * 100
        os.mkdir(place.name, dir_fd=inmost)
        outer, inmost = inmost, os.open(place.name, os.O_RDONLY, dir_fd=inmost)
        os.close(outer)
    os.close(os.open("f" * 250, os.O_CREAT, dir_fd=inmost))
    os.close(inmost)


def finished(desk: Desk, *items: str) -> None:
    for item in items:
        desk.submit(new_item(item, stages=(DO,)))
        desk.succeed(desk.claim_one(DO))


def test_a_disk_that_takes_nothing_new_is_logged_once_and_so_is_its_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, why = Kept(desk), "the disk has 3 MiB left"
    said: list[str | None] = [why, why, None, None]
    monkeypatch.setattr(desk.journal, "no_room", lambda: said.pop(0))
    with captured_logs() as lines:
        for _ in range(4):
            kept.keeping.look_at_the_disk()
    assert [(each["log_level"], each["event"], each.get("why")) for each in lines] == [
        ("warning", "disk_low", why), ("info", "disk_has_room", None),
    ]  # fmt: skip
    assert kept.looks == 1, "what waited for room goes on at once"


def test_what_is_old_goes_in_as_many_bites_as_it_takes_with_its_workspace(desk: Desk) -> None:
    kept = Kept(desk)
    desk.submit(*(new_item(f"i{number}") for number in range(600)))
    desk.cancel(*(f"i{number}" for number in range(600)))
    home = kept.workspace("i599", now=desk.clock.monotonic())
    desk.clock.advance(91 * DAY)
    kept.keeping.tidy()
    assert desk.reader.records() == []
    assert not home.exists()


def test_nothing_is_let_go_of_before_its_time(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "a")
    kept.keeping.tidy()
    assert desk.state("a") is WorkState.SUCCEEDED
    assert desk.reader.result(ItemId("a")) is not None


def test_old_workspaces_of_finished_items_go_and_those_in_use_stay(desk: Desk) -> None:
    kept, now = Kept(desk), desk.clock.monotonic()
    finished(desk, "old", "young")
    desk.submit(new_item("waits", stages=(DO,)))
    homes = {
        name: kept.workspace(name, age=age * DAY, now=now)
        for name, age in {"old": 15, "young": 1, "waits": 20, "gone": 30}.items()
    }
    kept.keeping.tidy()
    assert {name for name, home in homes.items() if home.exists()} == {"young", "waits"}


def test_when_workspaces_outgrow_their_room_the_oldest_go_first(desk: Desk) -> None:
    kept, now = Kept(desk, changed(Retention(), workspaces_size=Bytes(2500))), desk.clock.monotonic()
    finished(desk, "a", "b", "c")
    homes = {name: kept.workspace(name, 1000, age=age, now=now) for name, age in {"a": 30, "b": 20, "c": 10}.items()}
    kept.keeping.tidy()
    assert {name for name, home in homes.items() if home.exists()} == {"b", "c"}


def test_an_item_that_comes_in_while_workspaces_are_measured_keeps_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(desk, Retention(workspaces_size=Bytes(0)))
    homes = kept.workspaces.homes

    def begun_meanwhile() -> list[Path]:
        desk.submit(new_item("new"))
        kept.workspace("new", now=desk.clock.monotonic())
        return homes()

    monkeypatch.setattr(kept.workspaces, "homes", begun_meanwhile)
    kept.keeping.remove_workspaces()
    assert kept.workspaces.home_of("new").exists()


def test_a_file_that_its_agent_removes_while_it_is_measured_keeps_nothing_from_going(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, files = Kept(desk), housekeeping._files
    finished(desk, "old")
    home = kept.workspace("old", age=91 * DAY, now=desk.clock.monotonic())
    monkeypatch.setattr(housekeeping, "_files", lambda place: [*files(place), place / "gone"])
    kept.keeping.remove_workspaces()
    assert not home.exists()


def test_a_workspace_with_a_path_that_is_too_long_keeps_no_other_from_going(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "long", "old")
    homes = {name: kept.workspace(name, age=91 * DAY, now=desk.clock.monotonic()) for name in ("long", "old")}
    nest(homes["long"] / "0")
    kept.keeping.remove_workspaces()
    assert not [each for each in homes.values() if each.exists()]


def test_a_workspace_that_lies_too_deep_for_any_path_goes_as_well(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "deep")
    home = kept.workspace("deep", age=91 * DAY, now=desk.clock.monotonic())
    with dug(home / "0" / "1"):
        os.utime(home, (1, 1))
        kept.keeping.remove_workspaces()
        assert not home.exists()


def test_a_workspace_that_cannot_be_removed_is_named_and_keeps_no_other_from_going(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "odd", "old")
    odd, old = (
        kept.workspace(name, age=age * DAY, now=desk.clock.monotonic()) for name, age in (("odd", 92), ("old", 91))
    )
    place = odd.rename(kept.workspaces.home_of("kept"))
    odd.symlink_to(place)
    with captured_logs() as lines:
        kept.keeping.remove_workspaces()
    told = [(each["path"], each["error"]) for each in lines if each["event"] == "workspace_not_removed"]
    assert told == [(str(odd), f"[Errno 20] Not a directory: '{odd}'")]
    assert not old.exists()


def test_an_item_that_cannot_be_read_keeps_its_uploads_and_nobody_elses(desk: Desk) -> None:
    uploads = desk.directory / "uploads"
    uploads.mkdir()
    named, spare = (uploads / name for name in ("a" * 64, "b" * 64))
    for each in (named, spare):
        each.touch()
        os.utime(each, (1, 1))
    desk.submit(new_item("damaged", inputs=(Input(name="it", upload=named.name),)))
    desk.sql("UPDATE payload SET body = substr(body, 2)")
    Kept(desk).keeping.tidy()
    assert list(uploads.iterdir()) == [named]


def test_housekeeping_that_goes_from_one_workspace_to_the_next_is_not_late(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, late, files = Kept(desk), list[float](), housekeeping._files
    finished(desk, "a", "b", "c")
    for name in "abc":
        kept.workspace(name, now=desk.clock.monotonic())

    def slow(place: Path) -> Sequence[Path]:
        desk.clock.advance(PATIENCE - 1)
        late.append(kept.keeping.late())
        return files(place)

    monkeypatch.setattr(housekeeping, "_files", slow)
    kept.keeping.remove_workspaces()
    assert late == [PATIENCE - 1] * 3


def test_housekeeping_that_lets_go_of_many_items_is_not_late(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, late, remove = Kept(desk, changed(Retention(), results=Seconds(DAY))), list[float](), Workspaces.remove
    finished(desk, "a", "b", "c")
    desk.clock.advance(2 * DAY)

    def slow(workspaces: Workspaces, home: Path) -> None:
        desk.clock.advance(PATIENCE - 1)
        late.append(kept.keeping.late())
        remove(workspaces, home)

    monkeypatch.setattr(Workspaces, "remove", slow)
    kept.keeping.let_go_of_items()
    assert late == [PATIENCE - 1] * 3


def test_uploads_that_no_item_names_go_after_a_day_and_all_others_stay(desk: Desk) -> None:
    kept, now = Kept(desk), desk.clock.monotonic()
    uploads = desk.directory / "uploads"
    uploads.mkdir()
    named, spare, fresh, half = (uploads / name for name in ("a" * 64, "b" * 64, "c" * 64, ".incoming-x"))
    for file, age in ((named, 2), (spare, 2), (fresh, 0.5), (half, 2)):
        file.touch()
        os.utime(file, (now - age * DAY, now - age * DAY))
    desk.submit(new_item("reads", inputs=(Input(name="it", upload=named.name),)))
    kept.keeping.tidy()
    assert sorted(uploads.iterdir()) == [named, fresh]


@pytest.mark.parametrize("by", [JUMP_MS + 1, -JUMP_MS - 1])
def test_a_clock_that_was_set_is_told_of_once_and_everything_is_looked_at_anew(
    desk: Desk, clock: SetClock, by: int
) -> None:
    kept = Kept(desk)
    clock.offset = by
    kept.keeping.look_at_the_clock()
    kept.keeping.look_at_the_clock()
    desk.call(PromoteDue())  # behind what was posted
    assert kept.facts == [DaemonClockJumped("daemon", by)]
    assert (kept.looks, len(kept.dates)) == (1, 1)


def test_a_clock_that_is_kept_in_time_is_no_news(desk: Desk, clock: SetClock) -> None:
    kept = Kept(desk)
    for _ in range(5):
        clock.offset += JUMP_MS // 2
        clock.advance(5)
        kept.keeping.look_at_the_clock()
    assert kept.facts == []


def test_a_clock_that_is_set_convicts_nobody_and_delays_nobody_beyond_the_next_look(
    desk: Desk, clock: SetClock
) -> None:
    desk.submit(
        new_item("later", stages=(DO,), state=WorkState.SCHEDULED, reason="delay", run_at=clock.wall() + 60_000)
    )
    finished(desk, "a")
    clock.offset = 3_600_000
    assert desk.call(PromoteDue()).ready == 1
    assert desk.record("later").failures == desk.record("later").crashes == 0
    clock.offset = -3_600_000
    held = desk.claim_one(DO)
    desk.succeed(held)
    assert desk.state("later") is WorkState.SUCCEEDED


def test_a_clock_that_is_set_back_lengthens_no_delay_of_our_own_and_moves_no_moment_that_was_named(
    desk: Desk, clock: SetClock
) -> None:
    kept, named = Kept(desk), clock.wall() + 20_000
    desk.submit("failed", "outage", new_item("named", state=WorkState.SCHEDULED, reason="delay", run_at=named))
    failed, outage = desk.claim(count=2)
    desk.call(later(failed, "backoff", clock.wall() + 10_000))
    desk.call(later(outage, "outage", clock.wall() + 9_000))
    rank = desk.record("failed").rank
    clock.offset = -3_600_000
    desk.submit("since", "after")
    since, after = desk.claim(count=2)
    desk.call(later(since, "backoff", clock.wall() + 7_200_000))
    kept.keeping.look_at_the_clock()
    desk.call(later(after, "backoff", clock.wall() + 7_200_000))
    assert kept.looks == 1, "the orchestrator arms its alarm anew"
    due = {name: desk.record(name).run_at - clock.wall() for name in ("failed", "outage", "since", "after")}  # type: ignore[operator]
    assert due == {"failed": 10_000, "outage": 9_000, "since": 7_200_000, "after": 7_200_000}
    assert desk.record("failed").rank == rank - 3_600_000
    assert desk.record("outage").rank == outage.record.rank
    assert desk.record("named").run_at == named


def test_a_clock_that_is_set_back_is_made_up_for_once_though_the_journal_could_not_at_first(
    desk: Desk, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(desk)
    desk.submit("before", "since")
    before, since = desk.claim(count=2)
    desk.call(later(before, "outage", clock.wall() + 7_200_000))
    kept.keeping.look_at_the_clock()
    clock.offset = -3_600_000
    with monkeypatch.context() as broken:
        broken.setitem(HANDLERS, SetBack, lambda *_: 1 / 0)
        kept.keeping.look_at_the_clock()
        desk.call(later(since, "outage", clock.wall() + 7_200_000))
    for _ in range(2):
        kept.keeping.look_at_the_clock()
        desk.call(PromoteDue())
    due = {name: desk.record(name).run_at - clock.wall() for name in ("before", "since")}  # type: ignore[operator]
    assert due == {"before": 7_200_000, "since": 7_200_000}


def test_what_was_scheduled_so_long_ago_that_its_event_is_gone_is_set_back_too(desk: Desk, clock: SetClock) -> None:
    kept = Kept(desk)
    desk.submit("a")
    desk.call(later(desk.claim_one(), "outage", clock.wall() + 7_200_000))
    desk.sql("DELETE FROM event")
    clock.offset = -3_600_000
    kept.keeping.look_at_the_clock()
    desk.call(PromoteDue())
    assert desk.record("a").run_at == clock.wall() + 7_200_000


def later(held: Held, reason: str, run_at: int) -> Move:
    told = WorkScheduled(held.record.item.id, reason, run_at, None)
    return move(held, WorkState.SCHEDULED, reason=reason, run_at=run_at, keep_rank=reason == "outage", facts=(told,))


def until_checked(kept: Kept) -> None:
    while kept.keeping.last_check is None:
        kept.keeping.tick()


def test_while_a_child_looks_at_the_pages_everything_else_is_looked_at_too(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, born = tmp_path / "python", tmp_path / "pid"
    long.write_text(f"#!/bin/sh\necho $$ > {born}\nexec sleep 60\n")
    long.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(long))
    kept = Kept(desk)
    desk.clock.advance(61)
    for _ in range(2):
        kept.keeping.tick()
    assert kept.claims_seen == 2
    assert kept.keeping.last_check is None
    kept.keeping.start()
    eventually(born.exists)
    assert kept.keeping.close(Seconds(10.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int(born.read_text()), 0)


def test_what_fails_for_any_reason_is_logged_and_costs_nothing_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, broken = Kept(desk), "items that cannot be read"
    spare = desk.directory / "uploads" / ("b" * 64)
    spare.parent.mkdir()
    spare.touch()
    os.utime(spare, (0, 0))
    monkeypatch.setattr(desk.reader, "unfinished", lambda: {}[broken])
    desk.clock.advance(61)
    with captured_logs() as lines:
        until_checked(kept)
    failed = [(each["job"], each["error"]) for each in lines if each["event"] == "housekeeping_failed"]
    assert failed == [("Housekeeping.remove_workspaces", repr(broken))]
    assert not spare.exists()
    assert kept.claims_seen


def test_every_page_is_looked_at_by_a_child_and_what_it_found_is_told(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "a")
    desk.clock.advance(61)
    until_checked(kept)
    assert kept.keeping.journal_wrong() == ()
    assert kept.facts == [kept.keeping.last_check]


def test_what_the_child_finds_wrong_is_told_in_sentences(desk: Desk) -> None:
    kept = Kept(desk)
    finished(desk, "a")
    desk.sql("UPDATE audit SET hash = ''")
    desk.clock.advance(61)
    until_checked(kept)
    assert "audit" in kept.keeping.journal_wrong()[0]


@pytest.mark.parametrize("child", ["true", "false", "echo", "not there"])
def test_a_check_that_itself_failed_is_told_once_and_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, child: str
) -> None:
    kept = Kept(desk, Retention(every=Seconds(3_600)))
    with monkeypatch.context() as broken, captured_logs() as lines:
        broken.setattr("sys.executable", shutil.which(child) or child)
        desk.clock.advance(61)
        eventually(lambda: kept.keeping.tick() or kept.facts or lines)
        for _ in range(3):
            kept.keeping.tick()
    assert len([*kept.facts, *lines]) == 1
    assert kept.keeping.journal_wrong() in {None, ("the check itself failed; it is tried again",)}
    desk.clock.advance(3_601)
    eventually(lambda: kept.keeping.tick() or kept.keeping.journal_wrong() == ())


def test_it_stops_when_it_is_told_to(desk: Desk) -> None:
    kept = Kept(desk)
    kept.keeping.start()
    assert kept.keeping.close(Seconds(10.0))
