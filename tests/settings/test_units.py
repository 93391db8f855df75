"""Durations, sizes and money: what people write is what is meant, exactly, and nothing else is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darumad.names import NanoUsd, Seconds
from darumad.settings.units import (
    Bytes,
    parse_duration,
    parse_money,
    parse_size,
    show_duration,
    show_money,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("5min", 300), ("1h30m", 5400), ("1h 30m", 5400), ("250ms", 0.25), ("0.1ms", 0.0001),
     ("2d", 172800), ("50us", 0.00005), ("0", 0), (" 7s ", 7), ("1.5h", 5400)],
)  # fmt: skip
def test_a_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "5 minutes", "-5s", "s", "1e3s", "5m5", "\u0661s", "5 m m", "infs"])
def test_a_duration_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration with its unit"):
        parse_duration(text)


def test_a_duration_of_no_use_is_refused() -> None:
    assert parse_duration("10000d") == 864_000_000
    with pytest.raises(ValueError, match="at most"):
        parse_duration("9" * 5000 + "s")


@pytest.mark.parametrize(
    ("text", "size"), [("1MiB", 1 << 20), ("1.5GB", 1_500_000_000), ("512B", 512), ("64 KiB", 65536), ("0.5KiB", 512)]
)
def test_a_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["64", "64M", "64mib", "-1B", "0.3B", ""])
def test_a_size_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size with its unit"):
        parse_size(text)


@pytest.mark.parametrize("text", ["8388608TiB", "9223372036854775808B", "9" * 5_000 + "B"])
def test_a_size_that_nothing_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size below 8388608TiB"):
        parse_size(text)
    assert parse_size("9223372036854775807B") == 2**63 - 1


@pytest.mark.parametrize(
    ("text", "amount"), [("5 USD", 5_000_000_000), ("2.50 USD", 2_500_000_000), ("0.000000001USD", 1)]
)
def test_money_is_exact(text: str, amount: int) -> None:
    assert parse_money(text) == amount


@pytest.mark.parametrize("text", ["5", "$5", "5 EUR", "-1 USD", "5 usd"])
def test_money_in_another_currency_or_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an amount with its currency"):
        parse_money(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.0000000001 USD", "at most nine digits"),
        ("4611686018 USD", "an amount below 4611686018"),
        (f"{'9' * 30} USD", "an amount below 4611686018"),
        (f"{'9' * 9_999} USD", "an amount below 4611686018"),
    ],
)
def test_money_beyond_what_is_kept_is_refused_with_the_bound(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_money(text)
    assert parse_money("0004611686017.999999999 USD") == 4_611_686_017_999_999_999


@pytest.mark.parametrize("unfit", ["EUR", ".5.5 USD", ".0000000001 USD"])
def test_an_amount_of_a_million_zeros_is_refused_as_fast_as_any(unfit: str) -> None:
    with pytest.raises(ValueError, match="an amount"):
        parse_money("0" * (1 << 20) + unfit)


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_shown_is_read_back_as_the_same(number: int) -> None:
    assert parse_duration(show_duration(Seconds(number / 10_000))) == pytest.approx(number / 10_000, rel=1e-12)
    assert parse_size(show_size(Bytes(number))) == number
    assert parse_money(show_money(NanoUsd(number))) == number
