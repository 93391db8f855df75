"""Units as people write them: durations (`90s`), sizes (`64MiB`) and money (`2.50 USD`). Pure, both ways, and exact."""

import re
from decimal import Decimal
from typing import NewType

from darumad.names import NanoUsd, Seconds

Bytes = NewType("Bytes", int)
"""A size in bytes."""

_SECONDS = {"d": "86400", "h": "3600", "min": "60", "m": "60", "s": "1", "ms": "0.001", "us": "0.000001"}
_SIZES = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4,
          "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(d|h|min|ms|us|m|s)")
_DURATION = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?((?:[KMGT]i?)?)B")
_MONEY = re.compile(r"([0-9]+)(?:\.([0-9]+))? ?USD")
LONGEST = 10_000 * 86_400
"""Seconds of the longest duration there is."""
MOST_BYTES = 1 << 63
"""No file is as large, nor any disk's free room."""
_NANO = 1_000_000_000
MOST_NANO = 1 << 62
"""No amount is as large, in nano-dollars."""
TOO_FINE = "an amount of at most nine digits behind the point"
TOO_MUCH = f"an amount below {MOST_NANO // _NANO} US dollars"


def parse_duration(text: str) -> Seconds:
    """Seconds of a duration such as `250ms`, `90s`, `5m`, `1h30m`; `0` needs no unit.

    Raises:
        ValueError: it is none; says how one looks.
    """
    text = text.strip()
    if text == "0":
        return Seconds(0.0)
    if not _DURATION.fullmatch(text):
        raise ValueError("a duration with its unit, such as 250ms, 90s, 5m or 1h30m")
    seconds = sum(Decimal(number) * Decimal(_SECONDS[unit]) for number, unit in _PART.findall(text))
    if seconds > LONGEST:
        raise ValueError("a duration of 10000 days at most")
    return Seconds(float(seconds))


def parse_size(text: str) -> Bytes:
    """Bytes of a size such as `64MiB`, `1.5GB` or `512B`.

    Raises:
        ValueError: it is none, no whole number of bytes, or larger than any file may be; says how one looks.
    """
    match = _SIZE.fullmatch(text.strip())
    size = Decimal(match[1]) * _SIZES[match[2]] if match else Decimal("0.5")
    if size != size.to_integral_value():
        raise ValueError("a size with its unit, such as 512KiB or 64MiB")
    if size >= MOST_BYTES:
        raise ValueError("a size below 8388608TiB")
    return Bytes(int(size))


def parse_money(text: str) -> NanoUsd:
    """Nano-dollars of an amount such as `2.50 USD`, exactly.

    Raises:
        ValueError: it is none; says how one looks.
    """
    match = _MONEY.fullmatch(text.strip())
    if not match:
        raise ValueError("an amount with its currency, such as 2.50 USD")
    whole, behind = match[1].lstrip("0") or "0", match[2] or ""
    if len(behind) > len(str(_NANO)) - 1:
        raise ValueError(TOO_FINE)
    if len(whole) > len(str(MOST_NANO // _NANO)) or int(whole) >= MOST_NANO // _NANO:
        raise ValueError(TOO_MUCH)
    return NanoUsd(int(Decimal(f"{whole}.{behind}") * _NANO))


def show_duration(seconds: Seconds) -> str:
    """`seconds` in the largest unit that divides it: `5m`, `90s`, `0.1ms`."""
    exact = Decimal(str(seconds))
    for unit in ("d", "h", "m", "s"):
        count = exact / Decimal(_SECONDS[unit])
        if count >= 1 and count == count.to_integral_value():
            return f"{int(count)}{unit}"
    return f"{_plain(exact)}s" if exact >= 1 else f"{_plain(exact * 1000)}ms" if exact else "0"


def show_size(size: Bytes) -> str:
    """`size` in the largest binary unit that divides it."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}B"
    return f"{size}B"


def show_money(amount: NanoUsd) -> str:
    """`amount` in dollars, with cents and as many further digits as it has."""
    whole, rest = divmod(amount, _NANO)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')} USD"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
