"""What is kept for its time and then goes, in bites; and what is purged at once."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from darumad.errors import Refused
from darumad.journal import Note, Prune, Pruned, Purge
from darumad.journal.database import Database
from darumad.journal.pruning import BITE
from darumad.journal.reader import PAGE
from darumad.names import ItemId, Millis, Seconds
from darumad.work.states import WorkState
from tests.journal.desk import AUDIT, DO, MADE, Desk, new_item, step
from tests.kit import eventually

DAY = 86_400.0


def prune(desk: Desk, *, steps: float = 7, events: float = 30, items: float = 90, behind: int = 0) -> Pruned:
    """What is older than so many days."""
    now = desk.clock.wall()
    before = {name: Millis(now - int(days * DAY * 1000)) for name, days in
              {"steps": steps, "events": events, "items": items}.items()}  # fmt: skip
    answer = desk.call(Prune(**before, remember_ms=int(30 * DAY * 1000), behind=behind))
    assert isinstance(answer, Pruned)
    return answer


def finish(desk: Desk, item: str, **more: Any) -> None:
    desk.submit(new_item(item, stages=(DO,), **more))
    held = desk.claim_one(DO)
    desk.call(step(held, 1, asked={"messages": ["do"]}))
    desk.succeed(held, output={"o": 1})


def test_finished_items_go_when_their_time_is_over_with_all_that_is_theirs(desk: Desk) -> None:
    finish(desk, "old", labels={"k": "v"})
    desk.clock.advance(60 * DAY)
    finish(desk, "young")
    desk.submit(new_item("unfinished", stages=(DO,)))
    desk.clock.advance(31 * DAY)
    assert prune(desk).items == ("old",)
    assert desk.reader.record(ItemId("old")) is None
    assert desk.state("young") is WorkState.SUCCEEDED
    assert desk.state("unfinished") is WorkState.READY
    for table in ("payload", "result", "step", "prompt", "attempt", "hold", "label", "output"):
        assert desk.sql(f"SELECT count(*) FROM {table} WHERE item = 1") == [(0,)], table
    assert desk.sql("PRAGMA foreign_key_check") == []


def test_steps_of_what_succeeded_go_first_and_those_of_the_dead_stay_for_whoever_looks(desk: Desk) -> None:
    finish(desk, "done")
    desk.submit(new_item("dead", stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(step(held, 1))
    desk.kill(held)
    desk.clock.advance(8 * DAY)
    prune(desk)
    assert desk.reader.steps(ItemId("done")) == []
    assert len(desk.reader.steps(ItemId("dead"))) == 1
    assert desk.reader.result(ItemId("done")) == MADE


def test_an_id_outlives_its_item(desk: Desk) -> None:
    finish(desk, "a")
    desk.clock.advance(91 * DAY)
    prune(desk)
    again = desk.submit(new_item("a", stages=(DO,)))
    assert again.created == (False,)
    assert again.records[0].state is WorkState.SUCCEEDED, "how it ended is still known"
    with pytest.raises(Refused) as refused:
        desk.submit(new_item("a", digest="other"))
    assert refused.value.code == "conflict"
    desk.clock.advance(31 * DAY)
    prune(desk)
    assert desk.submit(new_item("a", digest="other", stages=(DO,))).created == (True,)


def test_a_dependency_that_is_gone_still_counts_as_it_ended(desk: Desk) -> None:
    finish(desk, "done")
    desk.submit(new_item("lost", stages=(DO,)))
    desk.kill(desk.claim_one(DO))
    desk.clock.advance(91 * DAY)
    assert prune(desk).items == ("done", "lost")
    desk.submit(new_item("next", needs=["done"], stages=(DO,)))
    assert desk.state("next") is WorkState.READY
    with pytest.raises(Refused) as refused:
        desk.submit(new_item("never", needs=["lost"]))
    assert "lost, which is dead" in refused.value.problems[0].detail


def test_what_others_died_of_stays_as_long_as_they_do(desk: Desk) -> None:
    desk.submit(new_item("lost", stages=(DO,)), new_item("with it", needs=["lost"], stages=(DO,)))
    desk.kill(desk.claim_one(DO))
    desk.clock.advance(91 * DAY)
    assert prune(desk).items == ("with it",)
    assert prune(desk).items == ("lost",)


def test_events_go_from_the_oldest_on_and_positions_never_come_back(desk: Desk) -> None:
    finish(desk, "a")
    position = desk.reader.last_position()
    desk.clock.advance(31 * DAY)
    desk.submit("b")
    assert prune(desk).events == position
    assert [each.seq for each in desk.reader.events(0)] == [position + 1]
    desk.clock.advance(31 * DAY)
    prune(desk)
    desk.close()
    desk.open()
    assert [each.seq for each in desk.reader.events(0)] == [position + 2], "the boot's own, behind all that were"


def test_events_of_a_clock_that_was_ahead_do_not_keep_those_behind_them(desk: Desk) -> None:
    desk.clock.jump(3650 * DAY)
    desk.submit(*(new_item(f"i{number}") for number in range(BITE)))
    desk.clock.jump(-3650 * DAY)
    ahead = desk.reader.last_position()
    finish(desk, "a")
    later = desk.reader.last_position() - ahead
    desk.clock.advance(31 * DAY)
    assert prune(desk).events >= later
    desk.clock.jump(3650 * DAY)
    prune(desk)
    assert desk.reader.events(0) == [], "they go when their own time has come"


def test_it_goes_in_bites_behind_a_cursor(desk: Desk) -> None:
    count = BITE + 20
    desk.submit(*(new_item(f"i{number}") for number in range(count)))
    desk.cancel(*(f"i{number}" for number in range(count)))
    desk.clock.advance(91 * DAY)
    first = prune(desk)
    assert len(first.items) == BITE
    assert first.behind is not None
    second = prune(desk, behind=first.behind)
    assert len(second.items) == 20
    while second.behind is not None:
        second = prune(desk, behind=second.behind)
    assert desk.reader.records() == []


def test_settled_reservations_and_the_budgets_of_items_that_are_gone_go_with_them(desk: Desk) -> None:
    finish(desk, "a")
    desk.sql("INSERT INTO budget VALUES ('item:a', 'ever', 1, 1, 1, 0, 0, 0, 0), ('all', 'ever', 1, 1, 1, 0, 0, 0, 0)")
    desk.clock.advance(91 * DAY)
    prune(desk)
    assert desk.sql("SELECT scope FROM budget") == [("all",)]


# --- purged -----------------------------------------------------------------------------------------------------------

SECRET = "hunter2-9f3c-do-not-keep"


def purge(desk: Desk, item: str) -> Any:
    return desk.call(Purge(item=ItemId(item), remember_ms=int(30 * DAY * 1000), audit=AUDIT))


def on_disk(desk: Desk) -> bytes:
    return b"".join(each.read_bytes() for each in desk.directory.iterdir())


def test_a_secret_that_was_pasted_is_in_no_file_of_the_journal_any_more(desk: Desk) -> None:
    desk.submit(new_item("a", description=f"log in with {SECRET}", labels={"k": SECRET}, stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(step(held, 1, asked={"messages": [SECRET]}, output={"said": SECRET}))
    desk.succeed(held, output={"o": SECRET}, result={"text": SECRET})
    assert SECRET.encode() in on_disk(desk)
    purge(desk, "a")
    desk.close()
    assert SECRET.encode() not in on_disk(desk)
    desk.open()
    assert desk.reader.record(ItemId("a")) is None
    assert desk.events("a")[-1] == "work.purged"
    assert [dict(each.data) for each in desk.reader.events(0, item="a")[:-1]] == [{}] * (len(desk.events("a")) - 1)
    assert desk.submit(new_item("a", stages=(DO,))).created == (False,), "its id stays taken"


@pytest.mark.parametrize("size", [10, 6_000], ids=["in a page with others", "in pages of its own"])
def test_nothing_is_left_of_a_secret_where_rows_were_moved_on_the_way(desk: Desk, size: int) -> None:
    secrets = {f"i{number}": f"{SECRET}-{number}-" + "x" * size for number in range(40)}
    desk.submit(*(new_item(uid, description=secret, stages=(DO,)) for uid, secret in secrets.items()))
    for held in desk.claim(DO, count=40)[::-1]:
        secret = secrets[held.record.item.id]
        desk.call(step(held, 1, asked={"messages": [secret]}, output={"said": secret}))
        desk.succeed(held, output={"o": secret}, result={"text": secret})
    for uid in list(secrets)[::2]:
        purge(desk, uid)
    desk.close()
    left = on_disk(desk)
    assert [secret[:30] in left.decode(errors="replace") for secret in secrets.values()] == [False, True] * 20


@contextmanager
def purged_beside_a_reader(desk: Desk) -> Iterator[None]:
    """While it lasts, somebody reads what was there before."""
    desk.submit(new_item("a", description=SECRET))
    desk.cancel("a")
    with closing(Database.reader(desk.directory / "journal.db")) as reader:
        reader.all("BEGIN")
        reader.all("SELECT count(*) FROM item")
        purge(desk, "a")
        yield


def test_a_purge_waits_for_no_reader_and_empties_the_log_once_that_has_gone(desk: Desk) -> None:
    with purged_beside_a_reader(desk):
        desk.journal.call(Note(facts=()), Seconds(4.0))  # less than SQLite would wait for the reader
        assert SECRET.encode() in (desk.directory / "journal.db-wal").read_bytes()
    eventually(lambda: SECRET.encode() not in on_disk(desk))


def test_a_log_that_a_killed_life_left_a_secret_in_is_emptied_by_the_next(desk: Desk, tmp_path: Path) -> None:
    with purged_beside_a_reader(desk):
        shutil.copytree(desk.directory, tmp_path / "killed")
    killed = Desk(tmp_path / "killed", desk.clock).open()
    eventually(lambda: SECRET.encode() not in on_disk(killed))
    killed.close()


def test_what_is_not_finished_cannot_be_purged(desk: Desk) -> None:
    desk.submit("a")
    with pytest.raises(Refused, match="cancel it first"):
        purge(desk, "a")
    with pytest.raises(Refused) as refused:
        purge(desk, "nobody")
    assert refused.value.code == "not_found"


def test_what_others_died_of_is_purged_after_them(desk: Desk) -> None:
    desk.submit(new_item("lost"), new_item("with it", needs=["lost"]))
    desk.cancel("lost")
    with pytest.raises(Refused, match="purge those first"):
        purge(desk, "lost")
    purge(desk, "with it")
    purge(desk, "lost")
    assert desk.reader.records() == []


def test_whoever_goes_through_all_items_meets_each_that_is_left_though_one_is_purged_behind_them(desk: Desk) -> None:
    names = [f"i{number}" for number in range(PAGE + 1)]
    desk.submit(*(new_item(name, stages=(DO,)) for name in names))
    desk.cancel(last_of_the_page := names[-2])
    reading = desk.reader.each_record()
    met = [next(reading).item.id for _ in range(PAGE)]
    purge(desk, last_of_the_page)
    assert [*met, *(each.item.id for each in reading)] == names
