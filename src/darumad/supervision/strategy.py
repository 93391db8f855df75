"""Who is restarted after an exit, who goes with it, and when the supervisor leaves too. Pure tables."""

from collections.abc import Iterable
from itertools import dropwhile
from typing import TypeVar

from darumad.supervision.reasons import ExitReason
from darumad.supervision.spec import AutoShutdown, Restart, Strategy

T = TypeVar("T")


def comes_back(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child of this restart type is restarted after this exit."""
    if restart == "transient":
        return reason.abnormal
    return restart == "permanent"


def group(strategy: Strategy, children: Iterable[T], child: T) -> list[T]:
    """The children that go down and up together with `child`, in start order."""
    if strategy == "one_for_all":
        return list(children)
    if strategy == "rest_for_one":
        return list(dropwhile(lambda each: each != child, children))
    return [child]


def leaves_with(auto_shutdown: AutoShutdown, *, significant: bool, others_active: Iterable[bool]) -> bool:
    """Whether the supervisor exits after a child ended for good; `others_active` tells of the significant others."""
    if not significant or auto_shutdown == "never":
        return False
    return auto_shutdown == "any_significant" or not any(others_active)
