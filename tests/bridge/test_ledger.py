"""The ledger over a real journal: who waits for room, who is refused, and what they are told."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from darumad.bridge.ledger import JournalLedger
from darumad.errors import Broken
from darumad.journal.commits import Commits, Post
from darumad.journal.requests import Demand, Outcome, Request, Reserve, Settle
from darumad.names import ItemId, NanoUsd
from darumad.work.allowance import Allowance, Caps
from darumad.work.item import Limits
from darumad.work.kinds import KINDS
from darumad.work.model import ModelFailed
from darumad.work.ports import Owner
from darumad.work.result import Usage
from tests.journal.desk import Desk
from tests.kit import FakeClock

OWNER = Owner(ItemId("a"), 1)
CENT = 10_000_000
IDS = itertools.count(1)
CALL = Usage(input_tokens=60, output_tokens=40, calls=1, nano_usd=NanoUsd(6 * CENT))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path / "state", FakeClock(1_795_000_000.0)).open()
    yield opened
    opened.close()


def ledger(desk: Desk, patience: float = 60.0, post: Post | None = None, **allowed: object) -> JournalLedger:
    """One that allows ten cents a day, unless it says otherwise."""
    caps = {"all": Caps(daily=Limits(nano_usd=NanoUsd(10 * CENT)))}
    return JournalLedger(
        Commits(post or desk.journal.post, asyncio.get_running_loop()),
        desk.clock,
        new_id=lambda: f"r{next(IDS)}",
        allowance=Allowance(**{"caps": caps, **allowed}),
        patience=patience,
    )


async def reserve(books: JournalLedger, usage: Usage = CALL, agent: str = "executor") -> str:
    return await books.reserve(OWNER, agent=agent, provider="far", model="m", estimate=usage)


async def test_a_call_waits_for_the_room_that_another_has_reserved(desk: Desk) -> None:
    books = ledger(desk)
    first = await reserve(books)
    second = asyncio.ensure_future(reserve(books))
    third = asyncio.ensure_future(reserve(books))
    await asyncio.sleep(0)
    books.settle(first, Usage(calls=1, nano_usd=NanoUsd(CENT)))
    async with asyncio.timeout(20):
        await asyncio.wait({second, third}, return_when=asyncio.FIRST_COMPLETED)
    done, waiting = sorted((second, third), key=lambda each: not each.done())
    assert not waiting.done()
    books.settle(done.result(), Usage(calls=1, nano_usd=NanoUsd(CENT)))
    async with asyncio.timeout(20):
        assert (await waiting).startswith("r")


async def test_who_waits_for_room_asks_again_once_for_each_settlement(desk: Desk) -> None:
    asked: asyncio.Queue[Request] = asyncio.Queue()
    left = itertools.repeat(None, 6)

    def post(request: Request, heard: Callable[[Sequence[Outcome]], None]) -> None:
        if isinstance(request, Reserve):
            asked.put_nowait(request)
            if next(left, 0) is not None:
                return heard([Outcome(request, Broken("it asks without end"))])
        return desk.journal.post(request, heard)

    books, cent = ledger(desk, post=post), Usage(calls=1, nano_usd=NanoUsd(CENT))
    large, small = await reserve(books), await reserve(books, cent)
    waiting = asyncio.ensure_future(reserve(books))
    async with asyncio.timeout(20):
        for _ in range(3):
            await asked.get()
        books.settle(small, cent)
        await asked.get()
        await reserve(books, cent)  # by the time of its answer, whoever asks without end has asked anew
        assert (await asked.get()).estimate == cent
        books.settle(large, cent)
        assert await waiting


async def test_who_is_cancelled_while_it_reserves_has_reserved_nothing(desk: Desk) -> None:
    books = ledger(desk)
    for _ in range(3):  # were one of them kept, there would be no room for the next
        cancelled = asyncio.ensure_future(reserve(books))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    async with asyncio.timeout(20):
        assert await reserve(books)


async def test_a_settlement_that_cannot_be_booked_is_booked_at_its_estimate_and_holds_no_room(desk: Desk) -> None:
    refused: list[Request] = []

    def post(request: Request, heard: Callable[[Sequence[Outcome]], None]) -> None:
        if isinstance(request, Settle) and not refused:
            refused.append(request)
            heard([Outcome(request, Broken("it cannot be written"))])
        else:
            desk.journal.post(request, heard)

    books = ledger(desk, post=post)
    books.settle(await reserve(books), Usage(calls=1, nano_usd=NanoUsd(CENT)))
    async with asyncio.timeout(20):
        with pytest.raises(ModelFailed) as failed:
            await reserve(books)
    assert refused
    assert "0.06 USD of 0.10 USD are spent" in failed.value.message


async def test_a_settlement_tells_that_a_budget_is_nearly_spent(desk: Desk) -> None:
    books = ledger(desk)
    books.settle(await reserve(books), Usage(calls=1, nano_usd=NanoUsd(8 * CENT)))
    desk.call(Demand())  # it comes behind what was posted
    assert desk.sql("SELECT spent FROM budget WHERE scope = 'all' AND period <> 'ever'") == [(8 * CENT,)]
    assert [each.data["spent"] for each in desk.reader.events(0) if each.type == "budget.threshold"] == [8 * CENT]


async def test_what_the_journal_cannot_take_fails_the_call_and_reserves_nothing(desk: Desk) -> None:
    broken = [Broken("it cannot be written")]

    def post(request: Request, heard: Callable[[Sequence[Outcome]], None]) -> None:
        if isinstance(request, Reserve) and broken:
            heard([Outcome(request, broken.pop())])
        else:
            desk.journal.post(request, heard)

    books = ledger(desk, post=post)
    with pytest.raises(Broken):
        await reserve(books)
    assert desk.sql("SELECT count(*) FROM reservation") == [(0,)]
    assert await reserve(books)


async def test_a_call_does_not_wait_for_ever(desk: Desk) -> None:
    books = ledger(desk, patience=0.01)
    await reserve(books)
    with pytest.raises(ModelFailed) as failed:
        await reserve(books)
    assert failed.value.kind == "local_saturation"
    assert "still open" in failed.value.message


async def test_what_is_spent_does_not_come_back_and_says_how_to_go_on(desk: Desk) -> None:
    books = ledger(desk)
    books.settle(await reserve(books), CALL)
    with pytest.raises(ModelFailed) as failed:
        await reserve(books)
    assert (failed.value.kind, failed.value.budget) == ("budget_exhausted", "all")
    assert failed.value.needs == {"nano_usd": CALL.nano_usd, "tokens": 100, "calls": 1}
    assert failed.value.message == (
        "the daily budget has no room: 0.06 USD of 0.10 USD are spent, and this call may use 0.06 USD. "
        "`daruma budgets set all --daily AMOUNT` raises it, and the item goes on by itself"
    )
    told = " ".join(KINDS["budget_exhausted"].recovery)
    assert ("goes on by itself" in told, "work retry" in told) == (True, False), "the same in the item's error"


@pytest.mark.parametrize(
    ("caps", "own", "words"),
    [
        ({"agent:executor": Caps(daily=Limits(tokens=99))}, Limits(), "set agent:executor --daily-tokens N"),
        ({"agent:executor": Caps(total=Limits(calls=0))}, Limits(), "set agent:executor --total-calls N"),
        ({"provider:far": Caps(total=Limits(nano_usd=NanoUsd(0)))}, Limits(), "set provider:far --total AMOUNT"),
        (
            {"agent:executor": Caps(daily=Limits(calls=0))},
            Limits(),
            "the daily budget of the agent executor has no room",
        ),
        ({}, Limits(calls=0), "the item's own budget has no room"),
        ({"all": Caps(total=Limits(tokens=1))}, Limits(), "the total budget has no room: 0 tokens of 1 tokens"),
        ({}, Limits(calls=0), "set item:a --total-calls N"),
    ],
)
async def test_each_budget_is_named_with_the_option_that_raises_it(
    desk: Desk, caps: dict[str, Caps], own: Limits, words: str
) -> None:
    books = ledger(desk, caps=caps)
    books.know(OWNER, own)
    with pytest.raises(ModelFailed) as failed:
        await reserve(books)
    assert words in failed.value.message


async def test_a_limit_that_is_raised_holds_for_the_next_call(desk: Desk) -> None:
    books = ledger(desk, caps={"all": Caps(total=Limits(calls=0))})
    with pytest.raises(ModelFailed):
        await reserve(books)
    books.allow(Allowance())
    assert await reserve(books)


async def test_a_call_that_waits_for_room_goes_on_as_soon_as_a_limit_is_raised(desk: Desk) -> None:
    books = ledger(desk)
    await reserve(books)
    asked = asyncio.ensure_future(reserve(books))
    await asyncio.sleep(0)  # it is asked for under the old limit
    await asyncio.to_thread(books.allow, Allowance())
    async with asyncio.timeout(20):
        assert await asked


async def test_a_call_of_unknown_price_is_made_unless_the_settings_refuse_it(desk: Desk) -> None:
    unpriced = Usage(input_tokens=1, output_tokens=1, calls=1, nano_usd=None)
    assert await reserve(ledger(desk), unpriced)
    with pytest.raises(ModelFailed) as failed:
        await reserve(ledger(desk, priced_only=True), unpriced)
    assert failed.value.kind == "price_unknown"
    assert failed.value.message == (
        "the price of far:m is not known, and `budget.unknown_price: refuse` lets no such call out: "
        "set `prices.m` in the settings, or let them out"
    )


async def test_a_call_is_booked_on_the_day_of_the_operators_zone(desk: Desk) -> None:
    await reserve(ledger(desk))
    await reserve(ledger(desk, zone=timezone(timedelta(hours=14))), agent="other")
    days = "SELECT agent, day FROM reservation ORDER BY agent DESC"
    assert desk.sql(days) == [("other", "2026-11-19"), ("executor", "2026-11-18")]
