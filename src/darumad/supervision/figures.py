"""What is a figure where a child or a supervisor is described: True is no 1, and nothing lasts for ever. Pure."""

from math import isfinite
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a number, and a finite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_integer_from(least: int, value: object) -> bool:
    """Whether `value` is an integer, and not below `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
