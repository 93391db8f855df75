"""The error budget: how many errors a child may make before it is restarted, and who says what an error is. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from darumad.supervision.errors import FatalError
from darumad.supervision.figures import is_integer_from, is_number

Verdict = Literal["count", "ignore", "crash"]
Judge = Callable[[BaseException], object]
"""What kind of error this is; anything but a `Verdict` means crash."""


def default_judge(error: BaseException) -> Verdict:
    """A broken invariant, no memory, and what is no `Exception` crash; all else counts."""
    fatal = isinstance(error, AssertionError | MemoryError | FatalError) or not isinstance(error, Exception)
    return "crash" if fatal else "count"


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """The `limit`-th counted error within `within` seconds restarts the child."""

    limit: int = 5
    within: float = 60.0
    judge: Judge = default_judge

    def __post_init__(self) -> None:
        if not is_integer_from(1, self.limit):
            raise ValueError(f"limit: an integer from 1, not {self.limit!r}")
        if not (is_number(self.within) and self.within > 0):
            raise ValueError(f"within: seconds above 0, not {self.within!r}")

    def verdict(self, error: BaseException) -> Verdict:
        """What the judge says of `error`; a judge that fails or answers nonsense says crash."""
        try:
            said = self.judge(error)
        except BaseException:  # noqa: BLE001 - a broken judge must not save a broken child
            return "crash"
        if said == "count":
            return "count"
        return "ignore" if said == "ignore" else "crash"

    def is_spent_by(self, errors: int) -> bool:
        """Whether so many counted errors in the window are all that it allows."""
        return errors >= self.limit


class ErrorWindow:
    """The counted errors of one life. Half-open, and no success empties it: a child failing half the time must trip."""

    __slots__ = ("_budget", "_errors")

    def __init__(self, budget: ErrorBudget) -> None:
        self._budget = budget
        self._errors: list[float] = []  # no deque: that is ten times the size, and most windows stay empty

    def add(self, now: float) -> int:
        """Count an error at `now`; how many are in the window then."""
        self._errors.append(now)
        return self.count(now)

    def count(self, now: float) -> int:
        """How many errors are in the window at `now`."""
        errors = self._errors
        while errors and now - errors[0] >= self._budget.within:
            del errors[0]
        return len(errors)
