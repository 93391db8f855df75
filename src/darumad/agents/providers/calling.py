"""One logical call on one target: its waits, its tries, its money. What comes of it is a value, never an exception.

Inside out: `_send` is one attempt on the wire, `_paid` reserves and settles it, `_refuse_if_too_long` spares one that
cannot fit, `_admitted` tells the circuit of it, `_attempt` waits for its turn, `_tried` tries again as the policy says,
and `ask` bounds it all.
"""

import asyncio
from dataclasses import dataclass, field
from math import inf
from typing import Generic, Protocol

from darumad.agents.providers.breaker import End, end_of
from darumad.agents.providers.classify import AttemptFailed, Diagnosis, classify, headers_of
from darumad.agents.providers.client import Client
from darumad.agents.providers.config import ProviderSpec
from darumad.agents.providers.counted import credible
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.evidence import Target
from darumad.agents.providers.granted import granted_by
from darumad.agents.providers.half import LoopHalf
from darumad.agents.providers.limiter import Amounts, Booking
from darumad.agents.providers.policy import LONGEST_WAIT, SPREAD, UNSENT, Retries, Rng, Tried, pause
from darumad.agents.providers.standing import Standing
from darumad.agents.providers.wanted import R, Wanted, used_of
from darumad.agents.providers.watch import AttemptWatch
from darumad.bus import Tally
from darumad.clock import Clock
from darumad.names import CallId
from darumad.values import changed
from darumad.work.ports import Ledger, Owner
from darumad.work.result import Usage

FIRST_TOKEN = "llm_time_to_first_token_seconds"  # noqa: S105 - a metric, not a password

_NEVER_SENT = frozenset({"connect", "local_saturation", "cancelled"})
"""It never reached the provider: it costs nothing and is no call."""
_NOT_BILLED = frozenset({
    "server_error", "overloaded", "rate_limited", "quota_exhausted", "auth", "model_not_found",
    "invalid_request", "request_too_large", "context_too_long",
})  # fmt: skip
"""Refused before the first token: free. What ended otherwise may have been billed and is booked at its estimate."""

NEAR = 0.8
"""The share of a window from which on a guess at a prompt's tokens is not good enough."""

_CANCELLED = Diagnosis("cancelled", "the call's owner was revoked")


@dataclass(slots=True, kw_only=True)
class Call(Generic[R]):
    """One logical call on its way to one target. `scope` bounds it once it is `begun`; a revoke expires it early.

    `id` is what its tries share, here and at those that are asked in this target's place.
    `deadline` and `sent_at`, when the first attempt went out, are monotonic seconds; `factor` is the target's tokens
    for each that is guessed.
    """

    id: CallId
    owner: Owner
    agent: str
    target: Target
    spec: ProviderSpec
    wanted: Wanted[R]
    scope: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    deadline: float = inf
    factor: float = 1.0
    estimate: Usage = field(init=False)
    needs: Amounts = field(init=False)
    sent_at: float = inf

    def __post_init__(self) -> None:
        self.estimate = self.wanted.estimate(self.spec)
        self.needs = self.wanted.needs(self.factor)

    def begin(self, now: float) -> None:
        """From `now` on, monotonic seconds, its provider's limit on all of it runs. One that was aborted stays so."""
        total = self.spec.timeouts.total
        self.deadline = now + total
        if self.scope.when() is None:
            self.scope.reschedule(asyncio.get_running_loop().time() + total)


class Keys(Protocol):
    """The providers' keys as they are now."""

    def get(self, provider: str, /) -> Credential | None:
        """The key of `provider`, if it has one."""


class Caller:
    """Makes calls on whichever loop half it is handed; all that it knows outlives the loop."""

    def __init__(  # noqa: PLR0913, PLR0917 - the broker hands on what it was made of
        self,
        standing: Standing,
        ledger: Ledger,
        clock: Clock,
        rng: Rng,
        tally: Tally,
        keys: Keys,
    ) -> None:
        self._standing = standing
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._tally = tally
        self._keys = keys

    async def ask(self, half: LoopHalf, call: Call[R]) -> R | Diagnosis:
        """The answer, or what came of the call; a value, so that no client's exception hangs on what is raised."""
        try:
            async with call.scope:
                with half.opened(call.owner, call.scope):
                    if call.spec.kind not in half.loaded:
                        await half.load(call.spec.kind)
                    call.begin(self._clock.monotonic())
                    return await self._tried(half, call)
        except AttemptFailed as failed:
            return failed.diagnosis
        except TimeoutError:
            if not call.scope.expired():
                raise
            if self._standing.is_revoked(call.owner) or half.closing:
                return _CANCELLED
            return Diagnosis("timeout", f"no answer within {call.spec.timeouts.total:g} s in all")

    async def _tried(self, half: LoopHalf, call: Call[R]) -> R:
        self._refuse_revoked(call)
        tried = Tried()
        try:
            return await self._attempt(half, call, tried)
        except AttemptFailed as failed:
            return await self._retries(call).after(failed, tried, lambda: self._attempt(half, call, tried))

    def _retries(self, call: Call[R]) -> Retries:
        return Retries(
            self._rng,
            wait=lambda seconds, kind: self._wait(call.target[0], seconds, kind),
            left=lambda: self._left(call),
            allowed=lambda: self._standing.may_retry(call.target),
        )

    async def _attempt(self, half: LoopHalf, call: Call[R], tried: Tried) -> R:
        """One attempt when its turn has come. Who waits for its provider's leave holds none of everybody's places."""
        self._standing.refuse_if_open(call.target)
        self._refuse_if_unwanted(call)
        name, within = call.target[0], call.spec.timeouts.queue
        async with half.slots_of(name, call.spec).hold(call.agent, within=within):
            booking = await self._booked(call)
            try:
                if self._refuse_if_unwanted(call) > 0:
                    await self._wait_until_wanted(call)
                async with half.everybody.hold(call.agent, within=within):
                    return await self._admitted(half, call, tried)
            finally:
                self._standing.settle(name, booking, call.needs if tried.used is None else used_of(tried.used))

    async def _booked(self, call: Call[R]) -> Booking:
        """A place within the limits of the provider's minute.

        Raises:
            AttemptFailed: `local_saturation`, when it would come later than anybody waits.
        """
        name = call.target[0]
        while not isinstance(booked := self._standing.book(name, call.spec.per_minute, call.needs), Booking):
            if booked > min(LONGEST_WAIT, self._left(call)):
                raise AttemptFailed("local_saturation", f"{name} may be called in {booked:.0f} s", retry_after=booked)
            await self._wait(name, booked)
        return booked

    def _left(self, call: Call[R]) -> float:
        return call.deadline - self._clock.monotonic()

    def _refuse_if_unwanted(self, call: Call[R]) -> float:
        """Seconds until the provider wants to be called again.

        Raises:
            AttemptFailed: `rate_limited`, when that is longer than anybody waits.
        """
        wait = self._standing.held_back(call.target[0])
        if wait > 0 and wait > min(LONGEST_WAIT, self._left(call)):
            raise AttemptFailed("rate_limited", f"no call is wanted for {wait:.0f} s", retry_after=wait)
        return wait

    async def _wait_until_wanted(self, call: Call[R]) -> None:
        while (wait := self._refuse_if_unwanted(call)) > 0:
            await self._wait(call.target[0], wait * (1 + SPREAD * self._rng.random()))

    async def _wait(self, provider: str, seconds: float, kind: str = "rate_limited") -> None:
        began = self._clock.monotonic()
        try:
            await pause(self._clock, seconds)
        finally:
            if kind == "rate_limited":
                waited = self._clock.monotonic() - began
                self._tally.add("rate_limit_wait_seconds_total", (provider,), waited)

    async def _admitted(self, half: LoopHalf, call: Call[R], tried: Tried) -> R:
        """One attempt with leave of its circuit and the key as it is now; however it ends, the circuit hears of it."""
        key = self._keys.get(call.target[0])
        client = half.client(call.target[0], call.spec, key)
        permit = self._standing.admit(call.target)
        kind: str | None = "cancelled"
        try:
            if call.wanted.likely() * call.factor > NEAR * call.spec.window:
                await self._refuse_if_too_long(client, call)
            reply = await self._paid(client, call, tried)
            kind = None
        except AttemptFailed as failed:
            kind = failed.diagnosis.kind
            if kind == "rate_limited":
                self._standing.rate_limited(call.target[0], failed.diagnosis.retry_after)
            if kind == "overloaded":
                self._standing.overloaded(call.target[0], failed.diagnosis.retry_after or 0.0)
            if end_of(kind) is End.HOPELESS and self._keys.get(call.target[0]) != key:
                kind = "local_saturation"  # what the old key is refused says nothing of the new one
                raise AttemptFailed(kind, "the key was replaced while the call was on its way") from None
            raise
        except asyncio.CancelledError:
            if call.scope.expired() and not self._standing.is_revoked(call.owner):
                kind = "timeout"
            raise
        finally:
            self._standing.ended(call.target, permit, kind)
        return reply

    async def _refuse_if_too_long(self, client: Client, call: Call[R]) -> None:
        """Have the server count a prompt that is near its window by a guess: the guess itself refuses nobody.

        Raises:
            AttemptFailed: `context_too_long`, as the server would say once it has been sent all of it.
        """
        self._refuse_revoked(call)
        read, window = await self._counted(client, call), call.spec.window
        if read is not None and read > window:
            raise AttemptFailed("context_too_long", f"the prompt has {read} tokens, the window {window:.0f}")

    async def _counted(self, client: Client, call: Call[R]) -> int | None:
        try:
            return await call.wanted.counted(client, call.id)
        except Exception as error:
            if classify(error, self._clock.wall()) is None:
                raise
            return None  # who cannot count now is asked all the same: what is wrong, the call itself will say

    async def _paid(self, client: Client, call: Call[R], tried: Tried) -> R:
        """One attempt under a reservation of its own, settled once: at what it used, or at the estimate."""
        provider, model = call.target
        reservation = await self._ledger.reserve(
            call.owner, agent=call.agent, provider=provider, model=model, estimate=call.estimate
        )
        try:
            self._refuse_revoked(call)
            tried.used = None
            reply = await self._send(client, call, tried)
            tried.used = self._believed(call, reply.usage)
            if tried.used is None:
                return changed(reply, usage=call.estimate)
            if call.spec.kind != "ollama":  # what Ollama still has of a prompt it does not count
                self._standing.learn(call.target, call.wanted.likely(), reply.usage.input_tokens)
        except AttemptFailed as failed:
            tried.used = _billed(failed, tried) if failed.usage is None else self._believed(call, failed.usage)
            raise
        finally:
            self._ledger.settle(reservation, call.estimate if tried.used is None else tried.used)
        return reply

    def _believed(self, call: Call[R], used: Usage) -> Usage | None:
        """What a call used as its server says; None, and told, when that cannot be. What is too much is told, too."""
        if credible(used, call.estimate):
            if used.output_tokens > call.estimate.output_tokens:
                self._tally.add("llm_calls_over_max_tokens_total", call.target)
                self._standing.overcounted(call.target, used.output_tokens, call.estimate.output_tokens)
            return used
        self._tally.add("llm_calls_without_usage_total", call.target)
        self._standing.uncounted(call.target)
        return None

    async def _send(self, client: Client, call: Call[R], tried: Tried) -> R:
        watch = AttemptWatch(call.spec.timeouts, streamed=call.spec.stream)
        self._sent(call)
        try:
            async with watch:
                return await call.wanted.ask(client, call.id, watch, call.target[0])
        except Exception as error:
            diagnosis = classify(error, self._clock.wall())
            if diagnosis is None:
                raise
            watch.heard(watch.headers or headers_of(error))
            used = error.usage if isinstance(error, AttemptFailed) else None
            raise AttemptFailed(
                diagnosis.kind, diagnosis.message, retry_after=diagnosis.retry_after, usage=used
            ) from None
        finally:
            tried.received = watch.received
            self._hear(call.target, watch)

    def _sent(self, call: Call[R]) -> None:
        """Only what is sent allows for retries: what is refused here, as while a circuit is open, brings none about."""
        if call.sent_at == inf:
            call.sent_at = self._clock.monotonic()
            self._standing.called(call.target[0])

    def _hear(self, target: Target, watch: AttemptWatch) -> None:
        """What the attempt told of its provider, however it ended."""
        if watch.first_after is not None:
            self._tally.observe(FIRST_TOKEN, watch.first_after, target)
        if watch.headers:
            self._standing.heed(target[0], granted_by(watch.headers, self._clock.wall()))

    def _refuse_revoked(self, call: Call[R]) -> None:
        if self._standing.is_revoked(call.owner):
            raise AttemptFailed(_CANCELLED.kind, _CANCELLED.message)


def _billed(failed: AttemptFailed, tried: Tried) -> Usage | None:
    """What a failed attempt was billed that was not told; None when nobody knows."""
    if failed.diagnosis.kind in _NEVER_SENT:
        return UNSENT
    return Usage(calls=1) if failed.diagnosis.kind in _NOT_BILLED and not tried.received else None
