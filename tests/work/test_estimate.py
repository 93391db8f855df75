"""What an item may cost: the spread of what others did, and the tightest of its limits."""

from darumad.names import NanoUsd
from darumad.work import Limits
from darumad.work.estimate import CameTo, spread_of, tightest


def amounts(*usd: int) -> list[CameTo]:
    return [CameTo(nano_usd=NanoUsd(each), tokens=10 * each, calls=1) for each in usd]


def test_without_earlier_items_there_is_no_spread() -> None:
    assert spread_of([]) is None


def test_half_and_nine_of_ten_of_the_items_used_at_most_so_much() -> None:
    spread = spread_of(amounts(9, 1, 8, 2, 7, 3, 6, 4, 5, 1_000))
    assert spread
    assert (spread.items, spread.median.nano_usd, spread.most_of_them.nano_usd) == (10, 5, 9)
    assert (spread.median.tokens, spread.most_of_them.tokens) == (50, 90)


def test_one_item_is_its_own_spread() -> None:
    spread = spread_of(amounts(7))
    assert spread
    assert spread.median == spread.most_of_them == amounts(7)[0]


def test_a_price_that_is_not_known_of_one_is_known_of_none_and_the_rest_is() -> None:
    spread = spread_of([*amounts(9, 1), CameTo(nano_usd=None, tokens=5, calls=2)])
    assert spread
    assert spread.median == CameTo(nano_usd=None, tokens=10, calls=1)
    assert spread.most_of_them == CameTo(nano_usd=None, tokens=90, calls=2)


def test_the_tightest_limit_holds_in_each_unit() -> None:
    limits = [Limits(nano_usd=NanoUsd(5)), Limits(nano_usd=NanoUsd(3), calls=9), Limits()]
    assert tightest(limits) == Limits(nano_usd=NanoUsd(3), calls=9)
    assert tightest([]) == Limits()
