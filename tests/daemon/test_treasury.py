"""Room comes back with a new day and with a raised limit, and what waited for it is ready again."""

from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from darumad.daemon.treasury import LONGEST_NAP, Treasury
from darumad.journal import Moved, Reserve, Setting, Settle
from darumad.names import Fence, ItemId, Stage
from darumad.work import Allowance, Caps, Limits, Override, Usage, WorkState
from tests.journal.desk import AUDIT, Desk, move
from tests.kit import FakeClock, eventually

NOON = 1_795_003_200.0 - 1_795_003_200.0 % 86_400 + 43_200
TOMORROW = "2026-11-19T00:00:00+01:00"
CALL = Usage(calls=1)


class Books:
    """Who would keep to the allowance."""

    allowed: Allowance | None = None

    def allow(self, allowance: Allowance) -> None:
        self.allowed = allowance


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path / "state", FakeClock(NOON)).open()
    yield opened
    opened.close()


def treasury(desk: Desk, books: Books, hinted: list[int], zone: tzinfo = UTC, **caps: Caps) -> Treasury:
    def now(work: Callable[[], object]) -> None:
        work()

    return Treasury(
        Allowance(caps={name.replace("_", ":"): each for name, each in caps.items()}, zone=zone),
        desk.journal,
        desk.clock,
        books,
        provider_of=lambda _: "far",
        hint=lambda: hinted.append(1),
        aside=now,
    )


def park(desk: Desk, name: str, **error: object) -> None:
    """The item runs and is refused a call."""
    desk.submit(name)
    held = desk.claim_one(Stage.OPTIMIZING)
    said = {"kind": "budget_exhausted", **error}
    moved = desk.call(move(held, WorkState.PARKED, reason="budget", parks=1, fence_up=True, error=said))
    assert isinstance(moved, Moved)


def spend(desk: Desk, purse: Treasury, name: str, number: str = "r1") -> None:
    over = purse.allowance.limits_over(name, Limits(), "executor", "far", purse.today)
    desk.call(Reserve(id=number, item=ItemId(name), fence=Fence(1), agent="executor", provider="far", day=purse.today,
                      estimate=CALL, limits=over))  # fmt: skip
    desk.call(Settle(id=number, usage=CALL, limits=over))


def state(desk: Desk, name: str) -> str:
    record = desk.reader.record(ItemId(name))
    assert record
    return record.state.value


def test_a_new_day_releases_what_its_limit_held_and_a_total_does_not(desk: Desk) -> None:
    hinted: list[int] = []
    purse = treasury(desk, Books(), hinted, all=Caps(daily=Limits(calls=1)), agent_other=Caps(total=Limits(calls=0)))
    spend(desk, purse, "a")
    park(desk, "a")
    purse.open()
    assert state(desk, "a") == "parked"
    desk.clock.advance(43_199)
    assert state(desk, "a") == "parked"
    desk.clock.advance(1 + LONGEST_NAP)
    eventually(lambda: state(desk, "a") == "ready" and hinted)
    purse.close()
    armed = desk.clock.armed
    desk.clock.advance(90_000)
    assert desk.clock.armed <= armed


@pytest.mark.parametrize(
    ("caps", "needs", "helps"),
    [
        ({"all": Caps(daily=Limits(calls=1))}, None, True),
        ({"all": Caps(daily=Limits(tokens=100, calls=1))}, {"tokens": 100, "calls": 1}, True),
        ({"all": Caps(daily=Limits(tokens=100, calls=1))}, {"tokens": 101, "calls": 1}, False),
        ({"all": Caps(daily=Limits(calls=1)), "agent_executor": Caps(total=Limits(calls=1))}, None, False),
        ({"agent_executor": Caps(total=Limits(calls=1))}, None, False),
        ({"all": Caps(daily=Limits(calls=2))}, None, False),
    ],
    ids=["a day's", "a day's, for so much", "more than a day's", "a day's and a total", "a total", "there is room"],
)
def test_a_new_day_is_named_where_it_has_room_by_itself(
    desk: Desk, caps: dict[str, Caps], needs: dict[str, int] | None, helps: bool
) -> None:
    purse = treasury(desk, Books(), [], zone=ZoneInfo("Europe/Berlin"), **caps)
    park(desk, "a", **({"needs": needs} if needs else {}))
    spend(desk, purse, "other")
    record = desk.reader.record(ItemId("a"))
    assert record
    day = purse.day_with_room(record)
    assert (day is not None) is helps
    assert day is None or (day.isoformat(), str(day.tzinfo)) == (TOMORROW, "Europe/Berlin")


def test_a_clock_that_was_set_to_another_day_need_not_be_waited_for(desk: Desk) -> None:
    purse = treasury(desk, Books(), [], all=Caps(daily=Limits(calls=1)))
    spend(desk, purse, "a")
    park(desk, "a")
    purse.open()
    desk.clock.jump(86_400)
    purse.look_at_the_date()
    eventually(lambda: state(desk, "a") == "ready")
    purse.close()


def test_what_was_said_in_an_earlier_life_holds_and_releases_at_the_start(desk: Desk) -> None:
    books = Books()
    purse = treasury(desk, books, [], all=Caps(total=Limits(calls=1)))
    spend(desk, purse, "a")
    park(desk, "a")
    desk.call(Setting(values={Override("all", "total", "calls").key: "2"}, audits=(AUDIT,)))
    purse.open()
    eventually(lambda: state(desk, "a") == "ready")
    assert books.allowed
    assert books.allowed.caps["all"].total == Limits(calls=2)


def test_a_start_releases_only_what_the_refused_call_has_room_for(desk: Desk) -> None:
    purse = treasury(desk, Books(), [], all=Caps(total=Limits(calls=1, tokens=20)))
    for name, tokens in ("large", 21), ("small", 20):
        park(desk, name, needs={"nano_usd": 5, "tokens": tokens, "calls": 1})
    purse.open()
    eventually(lambda: state(desk, "small") == "ready")
    assert state(desk, "large") == "parked"
    purse.close()
    assert purse.review() == [], "some room is left, and it is less than the call needs"
    desk.call(Setting(values={Override("all", "total", "tokens").key: "21"}, audits=(AUDIT,)))
    assert purse.review("all") == ["large"]


def test_an_item_that_has_used_up_its_own_budget_stays_where_it_is(desk: Desk) -> None:
    purse = treasury(desk, Books(), [], item_a=Caps(total=Limits(calls=1)))
    for name in ("a", "b"):
        spend(desk, purse, name, f"r-{name}")
        park(desk, name)
    assert purse.review() == ["b"]
    eventually(lambda: state(desk, "b") == "ready")
    assert state(desk, "a") == "parked"


def test_a_limit_that_is_set_releases_what_it_held_up_and_nobody_else(desk: Desk) -> None:
    """Each has room for something, though not for what it wanted: it would only be refused once more."""
    park(desk, "its-own", budget="item:its-own")
    park(desk, "everybody's", budget="all")
    park(desk, "its-agent's", budget="agent:executor")
    park(desk, "who-knows")
    park(desk, "unpriced", kind="price_unknown")
    purse = treasury(desk, Books(), [])
    assert purse.review("item:its-own") == ["its-own", "who-knows"]
    eventually(lambda: state(desk, "who-knows") == "ready")
    assert purse.review("all") == ["everybody's"]
    eventually(lambda: state(desk, "everybody's") == "ready")
    assert purse.review() == ["its-agent's", "unpriced"], "a start and a new day look at all"


@pytest.mark.parametrize("word", ["0", "1"])
def test_a_limit_that_is_lowered_to_what_is_spent_or_to_nothing_releases_nobody(desk: Desk, word: str) -> None:
    purse = treasury(desk, Books(), [], all=Caps(daily=Limits(calls=2)))
    for number in ("r1", "r2"):
        spend(desk, purse, "a", number)
    park(desk, "b", budget="all")
    desk.call(Setting(values={Override("all", "daily", "calls").key: word}, audits=(AUDIT,)))
    assert purse.review("all") == []


@pytest.mark.parametrize("scopes", [("item:a", "all"), ("all", "item:a")], ids=" then ".join)
def test_an_item_that_two_limits_held_up_goes_on_when_both_are_raised(desk: Desk, scopes: tuple[str, str]) -> None:
    purse = treasury(desk, Books(), [], all=Caps(total=Limits(calls=1)), item_a=Caps(total=Limits(calls=1)))
    spend(desk, purse, "a")
    park(desk, "a", budget="item:a")
    raised = []
    for scope in scopes:
        desk.call(Setting(values={Override(scope, "total", "calls").key: "9"}, audits=(AUDIT,)))
        raised.append(purse.review(scope))
    assert raised == [[], ["a"]]
    eventually(lambda: state(desk, "a") == "ready")


def test_what_is_parked_for_another_reason_is_not_touched(desk: Desk) -> None:
    desk.submit("a")
    held = desk.claim_one(Stage.OPTIMIZING)
    desk.call(move(held, WorkState.PARKED, reason="provider", parks=1, fence_up=True))
    assert treasury(desk, Books(), []).review() == []
