"""The one retry policy. Nothing else in Daruma tries a call again, and nothing else waits before it does.

Clients retry nothing, agents retry nothing: three layers that each try three times are a storm.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Protocol, TypeVar

import tenacity  # noqa: TID251 - the one door

from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.config import ProviderSpec
from darumad.clock import Clock
from darumad.plural import listed
from darumad.values import Value
from darumad.work import ENDS, KINDS, Course, Fallback, Retry
from darumad.work.model import ModelFailed
from darumad.work.result import Usage

T = TypeVar("T")

LONGEST_WAIT = 30.0
"""Seconds. Who asks for a longer wait is told no: the item is scheduled instead."""
BACKOFF_FIRST = 0.5
BACKOFF_CAP = 8.0
SPREAD = 0.1


class Rng(Protocol):
    """Where draws come from, 0.0 to 1.0; the daemon makes one `random.Random` for everything."""

    def random(self) -> float:
        """A draw."""
        ...


class Treatment(Value):
    """How often a kind is tried again, and whether at once or after backoff; `unheard`: only if no byte had come."""

    retries: int
    at_once: bool = False
    unheard: bool = False


NEVER = Treatment(0)
TREATMENTS: Mapping[Retry, Treatment] = {
    Retry.QUICK: Treatment(1, at_once=True),
    Retry.UNSENT: Treatment(1, at_once=True, unheard=True),
    Retry.IN_TIME: Treatment(1),
    Retry.ONCE: Treatment(1),
    Retry.BACKOFF: Treatment(2),
    Retry.AFTER_WAIT: Treatment(2),
}
"""What the column `retry` of `work.kinds` means here. What is not here is not the broker's to try again."""


def treatment_of(kind: str) -> Treatment:
    """How a kind of failure is treated."""
    return TREATMENTS.get(KINDS[kind].retry, NEVER)


UNSENT = Usage()
"""What is billed for a call that never left."""


@dataclass(slots=True)
class Tried:
    """What must be known of a call's last try beyond its error.

    `received` is whether any of the failed answer had come, `used` what was billed: None for what nobody knows.
    """

    attempts: int = 1
    received: bool = False
    used: Usage | None = UNSENT

    def begin(self) -> None:
        """Another try begins."""
        self.attempts += 1
        self.received, self.used = False, UNSENT


def falls_back(
    kind: str, retry_after: float | None, failed: ProviderSpec, following: ProviderSpec, left: float
) -> bool:
    """Whether the next provider of a chain is asked, `left` seconds before the deadline of the one that failed."""
    match KINDS[kind].fallback:
        case Fallback.YES:
            return True
        case Fallback.LONG_WAIT:
            return (retry_after or 0.0) > min(left, LONGEST_WAIT)
        case Fallback.BIGGER:
            return following.window > failed.window
        case Fallback.OPTIONAL:
            return failed.fallback_when_useless
        case Fallback.NO:
            return False


def told_as(asked: Sequence[tuple[str, ModelFailed]]) -> ModelFailed:
    """How a chain is told that gave no answer: by the failure that mends itself soonest, else by the last.

    An outage puts an item off. That who stands in has no money left, or no key, must not park it beyond the outage. All
    others are named, each with the kind of its failure.
    """
    *_, last = failures = [failed for _, failed in asked]
    mending = [each for each in reversed(failures) if ENDS[each.kind].course in _MENDED_BY_TIME]
    told = min(mending, key=lambda each: each.retry_after or 0.0, default=last)
    others = [f"{name} ({each.kind})" for name, each in asked if each is not told]
    if not others or last.kind == "cancelled":
        return last
    return ModelFailed(
        told.kind,
        f"{told.message}; nor was there an answer from {listed(others, _NAMED)}",
        retry_after=told.retry_after,
        circuit_open=told.circuit_open,
        target_answered=told.target_answered,
        budget=told.budget,
        needs=told.needs,
    )


_MENDED_BY_TIME = frozenset({Course.WAIT_OUT, Course.PROVIDER_DOWN})
_NAMED = 5
"""So many others of a chain are named."""


class Retries:
    """Tries an attempt again as the table says, within `left()` seconds and while it is `allowed()`.

    It has `wait` wait so many seconds after a failure of this kind.
    """

    def __init__(
        self,
        rng: Rng,
        *,
        wait: Callable[[float, str], Awaitable[None]],
        left: Callable[[], float],
        allowed: Callable[[], bool],
    ) -> None:
        self._rng = rng
        self._pause = wait
        self._left = left
        self._allowed = allowed
        self._kind = ""

    async def after(self, failed: AttemptFailed, tried: Tried, attempt: Callable[[], Awaitable[T]]) -> T:
        """The value of a call whose first try `failed`, from whichever further try gave one; each is told in `tried`.

        Raises:
            AttemptFailed: the last try's.
        """
        first = [failed]

        async def again() -> T:
            if first:
                raise first.pop()
            tried.begin()
            return await attempt()

        retrying = tenacity.AsyncRetrying(
            retry=lambda state: self._again(state, tried),
            wait=self._wait,
            stop=lambda state: state.upcoming_sleep >= self._left(),
            sleep=lambda seconds: self._pause(seconds, self._kind),
            reraise=True,
        )
        return await retrying(again)

    def _again(self, state: tenacity.RetryCallState, tried: Tried) -> bool:
        error = _error_of(state)
        if error is None:
            return False
        self._kind = error.diagnosis.kind
        treatment = treatment_of(error.diagnosis.kind)
        if tried.attempts > treatment.retries or (treatment.unheard and tried.received):
            return False
        return (error.diagnosis.retry_after or 0.0) <= LONGEST_WAIT and self._allowed()

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next try: what the server asked for and up to a tenth more, else full jitter."""
        error = _error_of(state)
        asked = error.diagnosis.retry_after if error else None
        if asked is not None:
            return asked * (1 + SPREAD * self._rng.random())
        if error is not None and treatment_of(error.diagnosis.kind).at_once:
            return 0.0
        return self._rng.random() * min(BACKOFF_FIRST * 2.0 ** (state.attempt_number - 1), BACKOFF_CAP)


def _error_of(state: tenacity.RetryCallState) -> AttemptFailed | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, AttemptFailed) else None


async def pause(clock: Clock, seconds: float) -> None:
    """Wait on the clock; a cancel ends it at once."""
    if seconds <= 0:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    timer = clock.call_at(clock.monotonic() + seconds, lambda: _ring(loop, over))
    try:
        await over.wait()
    finally:
        timer.cancel()


def _ring(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(over.set)


SHARE = 0.2
ALWAYS = 10
PERIOD = 60.0


class _Counted:
    """How many there were of something, by the second, so that what is long past can be forgotten."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()
        self.count = 0

    def add(self, second: int) -> None:
        """One more; `second` never goes back."""
        before = self._seconds.pop()[1] if self._seconds and self._seconds[-1][0] == second else 0
        self._seconds.append((second, before + 1))
        self.count += 1

    def forget(self, before: float) -> None:
        """Count those no longer that were earlier."""
        while self._seconds and self._seconds[0][0] < before:
            self.count -= self._seconds.popleft()[1]


class RetryBudget:
    """A provider's retries: within any minute at most a fifth of its calls, and always 10. Its holder guards it.

    Times are monotonic seconds. A call counts from the beginning of its second and a retry from the end of it, so the
    minute that is looked at has no call too many and no retry too few.
    """

    def __init__(self) -> None:
        self._calls, self._retries = _Counted(), _Counted()

    def called(self, now: float) -> None:
        """A first try is made at `now`."""
        self._forget(now)
        self._calls.add(floor(now))

    def take(self, now: float) -> bool:
        """Whether one more retry may be made; it is counted if so."""
        self._forget(now)
        if self._retries.count + 1 > max(ALWAYS, SHARE * self._calls.count):
            return False
        self._retries.add(ceil(now))
        return True

    def _forget(self, now: float) -> None:
        self._calls.forget(now - PERIOD)
        self._retries.forget(now - PERIOD)
