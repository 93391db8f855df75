import json
import threading
from collections.abc import Iterator, Sequence

import pytest

from darumad.events import Recorded
from darumad.journal import Publisher
from darumad.journal.publisher import RING, Ring, render
from tests.journal.desk import WITHIN, Desk
from tests.kit.clock import FakeClock


def event(seq: int) -> Recorded:
    return Recorded(seq, 1000 + seq, "work.ready", f"i{seq}", {"why": "it is time"})


def batch(*positions: int) -> tuple[Recorded, ...]:
    return tuple(event(each) for each in positions)


@pytest.fixture
def publisher(clock: FakeClock) -> Iterator[Publisher]:
    publisher = Publisher(clock)
    yield publisher
    assert publisher.close(WITHIN)


def test_batches_are_told_in_the_order_of_their_commit(publisher: Publisher) -> None:
    heard: list[int] = []
    publisher.subscribe(lambda each: heard.extend(event.seq for event in each))
    for n in range(50):
        publisher.publish(batch(2 * n, 2 * n + 1))
    publisher.start()
    publisher.publish(batch(100))
    publisher.close(WITHIN)
    assert heard == list(range(101))


def test_a_listener_that_raises_is_heard_of_and_costs_the_others_nothing(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    heard: list[Sequence[Recorded]] = []

    def fall(_: Sequence[Recorded]) -> None:
        raise RuntimeError("I fell")

    publisher.subscribe(fall)
    publisher.subscribe(heard.append)
    publisher.start()
    publisher.publish(batch(1))
    publisher.publish(batch(2))
    publisher.close(WITHIN)
    assert len(heard) == len(told) == 2


def test_who_no_longer_listens_hears_nothing(publisher: Publisher) -> None:
    heard: list[Sequence[Recorded]] = []
    stop = publisher.subscribe(heard.append)
    stop()
    publisher.start()
    publisher.publish(batch(1))
    publisher.close(WITHIN)
    assert heard == []


def test_a_stuck_listener_shows_in_the_publishers_health(publisher: Publisher, clock: FakeClock) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hang(_: Sequence[Recorded]) -> None:
        entered.set()
        go_on.wait(20)

    publisher.subscribe(hang)
    publisher.start()
    publisher.publish(batch(1))
    assert entered.wait(20)
    publisher.publish(batch(2))
    clock.advance(31.0)
    assert (publisher.health().queued, publisher.health().batch_age) == (1, 31.0)
    go_on.set()
    publisher.close(WITHIN)
    assert publisher.health().batch_age is None


def test_an_event_is_one_line_of_json() -> None:
    line = render(event(7))
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "seq": 7, "at": 1007, "type": "work.ready", "subject": "i7", "data": {"why": "it is time"},
    }  # fmt: skip


def seqs(lines: Sequence[bytes]) -> list[int]:
    return [json.loads(each)["seq"] for each in lines]


def test_an_empty_ring_promises_nothing() -> None:
    assert Ring().after(0) == ((), False)


def test_a_follower_inside_the_ring_gets_all_that_it_missed() -> None:
    ring = Ring(size=10)
    ring.extend(batch(5, 6, 8))
    assert (seqs(ring.after(4)[0]), ring.after(4)[1]) == ([5, 6, 8], True)
    assert (seqs(ring.after(6)[0]), ring.after(6)[1]) == ([8], True)
    assert ring.after(8) == ((), True)
    assert ring.last == 8


def test_a_follower_behind_the_ring_is_told_that_it_missed_some() -> None:
    ring = Ring(size=4)
    ring.extend(batch(1, 2, 3))
    ring.extend(batch(4, 5, 6))
    assert (seqs(ring.after(1)[0]), ring.after(1)[1]) == ([3, 4, 5, 6], False)
    assert (seqs(ring.after(2)[0]), ring.after(2)[1]) == ([3, 4, 5, 6], True)


def test_a_follower_from_before_this_life_reads_the_journal() -> None:
    ring = Ring(size=4)
    ring.extend(batch(100))
    assert not ring.after(98)[1]
    assert ring.after(99)[1]


def test_a_batch_larger_than_the_ring_leaves_its_end() -> None:
    ring = Ring(size=3)
    ring.extend(batch(*range(1, 9)))
    assert seqs(ring.after(5)[0]) == [6, 7, 8]
    assert (ring.after(5)[1], ring.after(4)[1]) == (True, False)


def test_the_ring_holds_what_the_glossary_promises() -> None:
    assert RING == 16_384


def test_what_is_published_is_what_the_journal_holds(desk: Desk) -> None:
    desk.submit("a", "b")
    for held in desk.claim(count=2):
        desk.succeed(held)
    desk.cancel(*[desk.submit("c").records[0].item.id])
    desk.close()
    desk.open()
    stored = [(each.seq, each.type, each.subject) for each in desk.reader.events(0)]
    assert [(each.seq, each.type, each.subject) for each in desk.published] == stored
    assert [each[0] for each in stored] == list(range(1, len(stored) + 1))


def test_events_are_read_by_place_subject_and_type(desk: Desk) -> None:
    desk.submit("a", "b")
    start = desk.reader.last_position()
    desk.claim(count=2)
    assert [each.subject for each in desk.reader.events(start)] == ["a", "b"]
    assert [each.type for each in desk.reader.events(0, item="b")] == ["work.submitted", "work.assigned"]
    assert [each.subject for each in desk.reader.events(0, type="work.assigned", limit=1)] == ["a"]


@pytest.mark.parametrize("damage", ["'{'", "CAST(x'7bff7d' AS TEXT)"])
def test_an_event_that_cannot_be_read_is_told_as_such_and_what_came_behind_it_as_ever(desk: Desk, damage: str) -> None:
    desk.submit("a", "b")
    first, second = desk.reader.events(0, type="work.submitted")
    desk.sql(f"UPDATE event SET data = {damage} WHERE seq = {first.seq}")
    damaged, whole = desk.reader.events(0, type="work.submitted")
    assert (damaged.seq, damaged.subject, list(damaged.data)) == (first.seq, "a", ["unreadable"])
    assert "Restore the journal from a backup" in damaged.data["unreadable"]
    assert whole == second
