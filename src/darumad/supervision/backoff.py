"""How long a child that keeps failing waits for its next start, and when it is benched. Pure."""

from dataclasses import dataclass
from typing import Protocol

from darumad.supervision.figures import is_integer_from, is_number


class Rng(Protocol):
    """A source of jitter, such as `random.Random`."""

    def random(self) -> float:
        """The next number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays of `min * factor**n` seconds, each up to `jitter` longer, none above `max`.

    `reset_after` seconds of health start the row anew. With `give_up_after` the child pays for its restarts itself:
    after that many in a row it is benched, and started once each `retry_benched` seconds.
    Source: Pekko `RetrySupport.scala`; here the cap comes after the jitter.
    """

    min: float
    max: float
    factor: float = 2.0
    jitter: float = 0.2
    reset_after: float = 300.0
    give_up_after: int | None = None
    retry_benched: float = 900.0

    def __post_init__(self) -> None:
        for name, good in (
            ("min", is_number(self.min) and self.min >= 0),
            ("max", is_number(self.max) and self.max >= self.min),
            ("factor", is_number(self.factor) and self.factor >= 1),
            ("jitter", is_number(self.jitter) and self.jitter >= 0),
            ("reset_after", is_number(self.reset_after) and self.reset_after > 0),
            ("give_up_after", self.give_up_after is None or is_integer_from(0, self.give_up_after)),
            ("retry_benched", is_number(self.retry_benched) and self.retry_benched > 0),
        ):
            if not good:
                raise ValueError(f"{name}: out of range: {getattr(self, name)!r}")

    def base_delay(self, nth: int) -> float:
        """Seconds before the `nth` start in a row (the first is 1), without jitter."""
        try:
            return min(self.max, self.min * self.factor ** (nth - 1))
        except OverflowError:
            return self.max

    def delay(self, nth: int, rng: Rng) -> float:
        """Seconds before the `nth` start in a row, with jitter."""
        return min(self.max, self.base_delay(nth) * (1 + self.jitter * rng.random()))

    @property
    def own_account(self) -> bool:
        """Whether the child's restarts are its own and not its supervisor's."""
        return self.give_up_after is not None


class Failures:
    """How often in a row a child has failed: restarts without `reset_after` of health between them."""

    __slots__ = ("in_a_row",)

    def __init__(self) -> None:
        self.in_a_row = 0

    def add(self, backoff: Backoff, healthy_for: float) -> int:
        """Count a failure after `healthy_for` seconds of being up; how many in a row that makes."""
        if healthy_for >= backoff.reset_after:
            self.in_a_row = 0
        self.in_a_row += 1
        return self.in_a_row

    def exhausted(self, backoff: Backoff) -> bool:
        """Whether the child is to be benched now."""
        return backoff.give_up_after is not None and self.in_a_row > backoff.give_up_after

    def forget(self) -> None:
        """Start the row anew: somebody restarted the child by hand."""
        self.in_a_row = 0
