"""What a listener grants in a minute, and what a local model server does at once: refusals that are nobody's fault."""

from collections import deque
from dataclasses import dataclass, field

from darumad.sim.scenario import Quota

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Used:
    """One answer, at an instant in seconds."""

    at: float
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Account:
    """What was used of one listener's quota in the last minute."""

    quota: Quota
    used: deque[Used] = field(default_factory=deque)

    def left(self, now: float) -> Quota:
        """What is left at `now`; None where nothing is limited."""
        while self.used and self.used[0].at <= now - MINUTE:
            self.used.popleft()
        quota = self.quota
        return Quota(
            requests=None if quota.requests is None else quota.requests - len(self.used),
            input_tokens=_left(quota.input_tokens, sum(each.input_tokens for each in self.used)),
            output_tokens=_left(quota.output_tokens, sum(each.output_tokens for each in self.used)),
        )

    def grants(self, now: float, input_tokens: int) -> bool:
        """Whether one more request with so much input is within the quota."""
        left = self.left(now)
        return (
            (left.requests is None or left.requests >= 1)
            and (left.input_tokens is None or left.input_tokens >= input_tokens)
            and (left.output_tokens is None or left.output_tokens >= 1)
        )

    def resets_in(self, now: float) -> float:
        """Seconds until all of it is there again."""
        return max(0.0, self.used[-1].at + MINUTE - now) if self.used else 0.0

    def note(self, now: float, input_tokens: int, output_tokens: int) -> None:
        """An answer was given."""
        self.used.append(Used(now, input_tokens, output_tokens))


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else limit - used
