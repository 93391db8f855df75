from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.journal import APPLIED, Outcome, OverBudget, Rescue, Reserve, Settle
from darumad.journal.money import Books
from darumad.names import Fence, ItemId, NanoUsd
from darumad.work.budget import EVERYTHING, Budget, budgets_over, estimate_of, item_budget
from darumad.work.codec import usage_from_json
from darumad.work.item import Limits
from darumad.work.result import UNUSED, Usage
from darumad.work.states import WorkState
from tests.journal.desk import DO, Desk, Gate, move, new_item

DAY = "2026-11-21"
TODAY = Budget(EVERYTHING, DAY)


def limits_over(item: str, limited: Mapping[Budget, Limits]) -> dict[Budget, Limits]:
    """Every budget of a call for `item`, those in `limited` with a limit."""
    return {each: limited.get(each, Limits()) for each in budgets_over(item, "executor", "p", DAY)}


def reserve(
    id_: str,
    estimate: int | None = 10,
    *,
    item: str = "a",
    fence: int = 1,
    day_limit: int | None = None,
    tokens: int = 0,
    own_tokens: int | None = None,
    **own: int,
) -> Reserve:
    """A call that may cost `estimate` and use `tokens`; `own` are the item's limits."""
    limited = {
        TODAY: Limits(nano_usd=None if day_limit is None else NanoUsd(day_limit)),
        item_budget(item): Limits(tokens=own_tokens, **own),
    }
    return Reserve(
        id=id_, item=ItemId(item), fence=Fence(fence), agent="executor", provider="p", day=DAY,
        estimate=Usage(input_tokens=tokens, calls=1, nano_usd=estimate), limits=limits_over(item, limited),
    )  # fmt: skip


def settle(
    id_: str, nano_usd: int | None = 4, tokens: int = 0, *, under: Mapping[Budget, Limits] | None = None
) -> Settle:
    return Settle(id=id_, usage=Usage(input_tokens=tokens, calls=1, nano_usd=nano_usd), limits=under or {})


def test_reservations_of_one_batch_are_admitted_by_running_sum(desk: Desk) -> None:
    heard: list[Outcome] = []
    gate = Gate(desk)
    for n in range(20):
        desk.journal.post(reserve(f"r{n}", 10, item=f"i{n}", day_limit=100), heard.extend)
    gate.open()
    desk.close()
    assert [each.answer for each in heard[:10]] == [APPLIED] * 10
    assert all(isinstance(each.answer, OverBudget) and each.answer.waits for each in heard[10:])
    desk.open()
    assert desk.sql("SELECT reserved, spent FROM budget WHERE scope = 'all' AND period <> 'ever'") == [(0, 100)], (
        "settled at boot, at the estimate"
    )


def test_what_is_settled_makes_room_for_the_next(desk: Desk) -> None:
    assert desk.call(reserve("r1", 60, day_limit=100)) is APPLIED
    assert desk.call(reserve("r2", 60, day_limit=100)).waits
    desk.call(settle("r1", 30))
    assert desk.call(reserve("r3", 60, day_limit=100)) is APPLIED
    assert desk.reader.spent(DAY) == 30


def test_a_call_is_settled_once(desk: Desk) -> None:
    desk.call(reserve("r1"))
    heard: list[Outcome] = []
    gate = Gate(desk)
    for _ in range(3):
        desk.journal.post(settle("r1", 4), heard.extend)
    gate.open()
    desk.call(settle("r1", 4))
    assert [each.answer for each in heard] == [APPLIED] * 3
    assert desk.reader.spent(DAY) == 4


def test_a_reservation_with_a_known_id_is_the_same_reservation(desk: Desk) -> None:
    assert desk.call(reserve("r1", 60, day_limit=100)) is APPLIED
    assert desk.call(reserve("r1", 60, day_limit=100)) is APPLIED
    assert desk.sql("SELECT reserved FROM budget WHERE scope = 'all' AND period <> 'ever'") == [(60,)]


def test_a_reservation_and_its_settlement_may_share_a_batch(desk: Desk) -> None:
    gate = Gate(desk)
    desk.journal.post(reserve("r1"))
    desk.journal.post(settle("r1", 7))
    gate.open()
    desk.call(settle("none"))
    assert desk.sql("SELECT spent, reserved FROM budget WHERE scope = 'item:a'") == [(7, 0)]


def test_an_unknown_price_books_the_estimate(desk: Desk) -> None:
    desk.call(reserve("r1", 10))
    desk.call(settle("r1", None))
    assert desk.reader.spent(DAY) == 10
    assert desk.sql("SELECT nano_usd FROM reservation") == [(None,)]


NONSENSE = {
    "below nothing": Usage(input_tokens=-(10**9), output_tokens=-1, calls=1, nano_usd=NanoUsd(-(10**18))),
    "below nothing in its sum only": Usage(input_tokens=9, output_tokens=-8, calls=1, nano_usd=NanoUsd(1)),
    "no price below nothing": Usage(input_tokens=-9, calls=1, nano_usd=None),
    "more than is stored": Usage(input_tokens=2**62, output_tokens=2**62, calls=1, nano_usd=NanoUsd(2**72)),
    "more than anybody has": Usage(input_tokens=1, calls=1, nano_usd=NanoUsd(2**53 + 1)),
    "fewer calls than none": Usage(input_tokens=1, calls=-1, nano_usd=NanoUsd(1)),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_is_no_amount_is_booked_at_the_estimate_and_lowers_nothing(desk: Desk, nonsense: str) -> None:
    desk.call(reserve("r1", 10, tokens=7))
    assert desk.call(Settle(id="r1", usage=NONSENSE[nonsense])) is APPLIED
    booked = "SELECT DISTINCT spent, tokens, calls, reserved, reserved_tokens, reserved_calls FROM budget"
    assert desk.sql(booked) == [(10, 7, 1, 0, 0, 0)]


def test_an_items_own_limits_hold_over_all_its_calls(desk: Desk) -> None:
    assert desk.call(reserve("r1", 6, nano_usd=10)) is APPLIED
    assert desk.call(reserve("r2", 6, nano_usd=10)).waits
    assert desk.call(reserve("r3", 6, item="other", nano_usd=10)) is APPLIED
    desk.call(settle("r1", 6, tokens=100))
    assert not desk.call(reserve("r4", 6, nano_usd=10)).waits, "what is settled does not come back"
    assert desk.call(reserve("r5", 0, calls=1)).limits == Limits(calls=1)
    assert desk.call(reserve("r6", 0, tokens=1, own_tokens=100)).limits == Limits(tokens=100)
    assert desk.call(reserve("r7", 0, tokens=1, own_tokens=101)) is APPLIED


def test_of_a_budget_it_is_told_once_that_it_is_nearly_spent_and_once_that_it_is_exhausted(desk: Desk) -> None:
    def told() -> list[tuple[Any, ...]]:
        about = ("unit", "spent", "limit")
        found = [each for each in desk.reader.events(0) if each.type.startswith("budget.")]
        return [(each.type, each.subject, *(each.data[name] for name in about)) for each in found]

    for name, cost in (("r1", 79), ("r2", 1), ("r3", 5)):
        assert desk.call(reserve(name, cost, day_limit=100)) is APPLIED
        desk.call(settle(name, cost, under=reserve(name, day_limit=100).limits))
    assert told() == [("budget.threshold", "all", "nano_usd", 80, 100)]
    for name in ("r4", "r5"):
        assert not desk.call(reserve(name, 16, day_limit=100)).waits
    assert told()[1:] == [("budget.exhausted", "all", "nano_usd", 85, 100)]


def test_a_call_that_a_limit_of_nothing_let_through_is_settled_whatever_it_used(desk: Desk) -> None:
    free = reserve("r1", 0, tokens=0, own_tokens=0)
    assert desk.call(free) is APPLIED
    assert desk.call(settle("r1", 0, tokens=7, under=free.limits)) is APPLIED
    assert desk.sql("SELECT tokens, reserved_calls FROM budget WHERE scope = 'item:a'") == [(7, 0)]


def test_what_a_call_read_and_what_it_wrote_are_booked_together(desk: Desk) -> None:
    desk.call(reserve("r1", 10, tokens=100))
    desk.call(
        Settle(id="r1", usage=Usage(input_tokens=5, output_tokens=3, cached_tokens=2, calls=1, nano_usd=NanoUsd(4)))
    )
    assert desk.sql("SELECT DISTINCT spent, tokens, calls, reserved_tokens FROM budget") == [(4, 8, 1, 0)]


def test_what_a_crash_left_open_is_booked_at_its_estimate(desk: Desk) -> None:
    desk.call(reserve("r1", 10))
    desk.call(reserve("r2", 20))
    desk.die()
    desk.open()
    assert desk.reader.spent(DAY) == 30
    desk.call(settle("r1", 1))
    assert desk.reader.spent(DAY) == 30, "settled once, late or not"


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(0, 200))
def test_no_order_of_reservations_books_more_than_the_limit(estimates: list[int], limit: int) -> None:
    books = Books({})
    asked = [reserve(f"r{n}", each, day_limit=limit) for n, each in enumerate(estimates)]
    admitted = [each for each in asked if books.reserve(estimate_of(each.estimate), each.limits) is None]
    booked = sum(each.estimate.nano_usd or 0 for each in admitted)
    assert booked <= limit
    (reserved,) = [row[5] for row in books.rows() if row[:2] == TODAY] or [0]
    assert reserved == booked


OWNERS_END = {
    "cancelled": lambda desk, held: desk.cancel("a"),
    "rescued": lambda desk, held: desk.call(Rescue(live=frozenset())),
    "dead": lambda desk, held: desk.kill(held),
    "tried again": lambda desk, held: (
        desk.call(move(held, WorkState.READY, ends_attempt=True, outcome="tool_error")),
        desk.claim_one(DO),
    ),
    "succeeded": lambda desk, held: desk.succeed(held),
    "claimed by another": lambda desk, held: (desk.call(Rescue(live=frozenset())), desk.claim_one(DO)),
    "parked": lambda desk, held: desk.call(move(held, WorkState.PARKED, reason="question", fence_up=True)),
}


@pytest.mark.parametrize("end", OWNERS_END)
def test_what_a_call_used_is_booked_once_and_on_its_attempt_whatever_became_of_its_owner(desk: Desk, end: str) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    held = desk.claim_one(DO)
    desk.call(reserve("r", 10))
    OWNERS_END[end](desk, held)
    for _ in range(2):
        assert desk.call(settle("r", 4, tokens=7)) is APPLIED
    booked = desk.sql("SELECT spent, tokens, calls, reserved FROM budget WHERE scope IN ('item:a', 'all')")
    assert set(booked) == {(4, 7, 1, 0)}
    assert used_by_attempts(desk) == [USED, *([UNUSED] if end == "tried again" else [])]


USED = Usage(input_tokens=7, calls=1, nano_usd=NanoUsd(4))


def used_by_attempts(desk: Desk, item: str = "a") -> list[Usage]:
    return [usage_from_json(each["usage"]) for each in desk.reader.attempts(ItemId(item))]


def test_the_calls_of_one_batch_are_each_on_the_attempt_that_made_them(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)), new_item("b", stages=(DO,)))
    fences = [held.record.fence for held in desk.claim(DO, count=2)]
    desk.call(reserve("r1", item="a"))
    desk.call(reserve("r2", item="b", fence=fences[1]))
    desk.call(Rescue(live=frozenset()))
    held = next(each for each in desk.claim(DO, count=2) if each.record.item.id == "a")
    desk.call(reserve("r3", fence=held.record.fence))
    desk.call(move(held, WorkState.READY, ends_attempt=True, outcome="tool_error"))
    desk.call(reserve("r4", fence=desk.claim_one(DO).record.fence))
    gate = Gate(desk)
    spent = {"r1": (1, 10), "r2": (2, 20), "r3": (3, 30), "r4": (4, 40)}
    for each, (nano_usd, tokens) in spent.items():
        desk.journal.post(settle(each, nano_usd, tokens))
    gate.open()
    desk.call(settle("none"))
    assert used_by_attempts(desk) == [
        Usage(input_tokens=40, calls=2, nano_usd=NanoUsd(4)), Usage(input_tokens=40, calls=1, nano_usd=NanoUsd(4)),
    ]  # fmt: skip
    assert used_by_attempts(desk, "b") == [Usage(input_tokens=20, calls=1, nano_usd=NanoUsd(2))]


def test_an_attempt_of_which_one_call_has_no_price_has_none(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    desk.claim_one(DO)
    for each, price in (("r1", 4), ("r2", None), ("r3", 4)):
        desk.call(reserve(each))
        desk.call(settle(each, price, tokens=7))
    assert used_by_attempts(desk) == [Usage(input_tokens=21, calls=3, nano_usd=None)], "an unknown price is never 0"


def test_what_was_never_sent_is_no_call_of_its_attempt(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    desk.claim_one(DO)
    desk.call(reserve("r1"))
    desk.call(Settle(id="r1", usage=UNUSED))
    assert used_by_attempts(desk) == [UNUSED]


@pytest.mark.parametrize("price", [10, None], ids=["priced", "of no known price"])
def test_what_a_crash_left_open_is_on_its_attempt_at_its_estimate(desk: Desk, price: int | None) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    desk.claim_one(DO)
    desk.call(reserve("r1", price, tokens=7))
    desk.call(reserve("r2", price, tokens=7))
    desk.die()
    desk.open()
    twice = None if price is None else NanoUsd(2 * price)
    assert used_by_attempts(desk) == [Usage(input_tokens=14, calls=2, nano_usd=twice)]


def test_what_cannot_have_been_used_is_on_its_attempt_at_its_estimate(desk: Desk) -> None:
    desk.submit(new_item("a", stages=(DO,)))
    desk.claim_one(DO)
    desk.call(reserve("r1", 10, tokens=7))
    desk.call(Settle(id="r1", usage=Usage(input_tokens=1, cached_tokens=-(10**9), calls=1)))
    assert used_by_attempts(desk) == [Usage(input_tokens=7, calls=1, nano_usd=NanoUsd(10))]
