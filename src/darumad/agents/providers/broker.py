"""The broker: every model call passes here, under its owner's name, its provider's limits and the one policy.

Two halves: `Standing` outlives the loop; clients, slots and open calls belong to one loop and are rebuilt with it.
An open call is an `asyncio.timeout` scope: a revoke expires it, which closes the socket at once.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from darumad.agents.providers.classify import AttemptFailed, Diagnosis, classify
from darumad.agents.providers.client import Client, build, load
from darumad.agents.providers.config import OFFLINE, ProviderConfig, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.offline import Offline
from darumad.agents.providers.policy import LONGEST_WAIT, Retries, Rng, Tried, pause
from darumad.agents.providers.prices import upper_bound
from darumad.agents.providers.slots import Slots
from darumad.agents.providers.standing import CircuitState, Standing, Target
from darumad.agents.providers.watch import Watch
from darumad.bus import Tally
from darumad.clock import Clock
from darumad.work.model import ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Complete, Ledger, Owner
from darumad.work.result import Usage

DURATION = "gen_ai_client_operation_duration_seconds"
FIRST_TOKEN = "llm_time_to_first_token_seconds"  # noqa: S105 - a metric, not a password
TOKENS = "gen_ai_client_token_usage"
BUCKETS: Mapping[str, Sequence[float]] = {
    DURATION: tuple(0.01 * 2**n for n in range(16)),
    FIRST_TOKEN: tuple(0.01 * 2**n for n in range(16)),
    TOKENS: tuple(float(4**n) for n in range(14)),
}
"""The distributions that the broker observes, for whoever makes the daemon's `Tally`."""

_UNSENT = frozenset({"connect", "local_saturation", "cancelled"})
"""It never reached the provider: it costs nothing and is no call."""
_NOT_BILLED = frozenset({
    "server_error", "overloaded", "rate_limited", "quota_exhausted", "auth", "model_not_found",
    "invalid_request", "request_too_large", "context_too_long",
})  # fmt: skip
"""Refused before the first token: free. What ended otherwise may have been billed and is booked at its estimate."""

_CANCELLED = Diagnosis("cancelled", "the call's owner was revoked")


@dataclass(slots=True, kw_only=True)
class _Call:
    """One logical call on its way. `scope` bounds it; a revoke expires it early.

    `deadline` and `sent_at`, when the first attempt went out, are monotonic seconds.
    """

    owner: Owner
    agent: str
    target: Target
    spec: ProviderSpec
    request: ModelRequest
    scope: asyncio.Timeout
    deadline: float
    estimate: Usage
    sent_at: float = inf


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open call: whose it is, the task it runs in, and how often that task had been cancelled when it began."""

    owner: Owner
    task: asyncio.Task[Any]
    cancelled: int

    @classmethod
    def here(cls, owner: Owner) -> "_Opened":
        """A call that the running task makes for `owner`."""
        task = asyncio.current_task()
        assert task is not None
        return cls(owner, task, task.cancelling())

    @property
    def ending(self) -> bool:
        """Whether a cancel has reached it: a second one would break off the first in the middle of closing a socket."""
        return self.task.cancelling() > self.cancelled


@dataclass(slots=True)
class _LoopHalf:
    """What dies with its loop."""

    loop: asyncio.AbstractEventLoop
    everybody: Slots
    slots: dict[str, Slots] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    open: dict[asyncio.Timeout, _Opened] = field(default_factory=dict)

    @contextmanager
    def opened(self, owner: Owner, scope: asyncio.Timeout) -> Iterator[None]:
        """A call of `owner` is open for as long as the block runs; expiring its scope ends it."""
        self.open[scope] = _Opened.here(owner)
        try:
            yield
        finally:
            del self.open[scope]

    def abort(self, owner: Owner | None = None) -> None:
        """Expire the open calls of `owner` and of earlier holders of its item; without one, all of them."""
        for scope, each in self.open.items():
            theirs = owner is None or (each.owner.item == owner.item and each.owner.fence <= owner.fence)
            if theirs and not scope.expired() and not each.ending:
                scope.reschedule(self.loop.time())


class _Brokered:
    """A `Complete` bound to its owner, its agent and its target."""

    def __init__(self, broker: "Broker", owner: Owner, agent: str, target: Target, spec: ProviderSpec) -> None:
        self._broker = broker
        self._owner = owner
        self._agent = agent
        self._target = target
        self._spec = spec

    @property
    def model(self) -> str:
        """`provider:model`."""
        return ":".join(self._target)

    async def __call__(self, request: ModelRequest) -> ModelReply:
        """See `work.ports.Complete`."""
        return await self._broker.call(self._owner, self._agent, self._target, self._spec, request)


class Broker:
    """Joins agents to providers. One for the daemon's life; calls run on whichever loop they are made on.

    `config.use` must have been chosen (see `choose`): `auto` counts as offline here.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the composition root names each of them
        self,
        config: ProviderConfig,
        ledger: Ledger,
        clock: Clock,
        rng: Rng,
        tally: Tally,
        credentials: Mapping[str, Credential] | None = None,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._tally = tally
        self._credentials = credentials or {}
        self._standing = Standing(clock, rng)
        self._half: _LoopHalf | None = None

    # --- for the bridge ---------------------------------------------------------------------------------------------

    def complete_for(self, owner: Owner, agent: str) -> Complete:
        """The model as `agent` may call it for `owner`. Never fails: what is not configured says so when called."""
        name = self._config.provider_of(agent)
        spec = self._config.spec(name)
        if name in {OFFLINE, "auto"}:
            return Offline()
        if spec is None:
            return Offline(f"The agent {agent} uses the provider {name}, which is not there: add `providers.{name}`.")
        if not spec.model:
            return Offline(f"The provider {name} has no model: set `providers.{name}.model`.")
        return _Brokered(self, owner, agent, (name, spec.model), spec)

    def revoke(self, owner: Owner) -> None:
        """Refuse every further call of `owner` and abort its open ones: their sockets close, they end as `cancelled`.

        From any thread. It holds for the fence and all before it, for good: a stage that failed while its item
        goes on under the same fence is cancelled, not revoked.
        """
        self._standing.revoke(owner)
        half = self._half
        if half is not None and not half.loop.is_closed():
            half.loop.call_soon_threadsafe(half.abort, owner)

    async def close(self) -> None:
        """Abort what is open on this loop and close every client of it."""
        half, self._half = self._half, None
        if half is None or half.loop is not asyncio.get_running_loop():
            return
        half.abort()
        for client in half.clients.values():
            await client.close()

    # --- for whoever looks on; from any thread ----------------------------------------------------------------------

    def circuits(self) -> Mapping[Target, CircuitState]:
        """How every target stands that was ever tried, by (provider, model)."""
        return self._standing.circuits()

    def open_until(self, provider: str) -> float | None:
        """When to call `provider` again: monotonic seconds, `inf` for after a change of settings; None for now."""
        return self._standing.open_until(provider)

    def provider_of(self, agent: str) -> str:
        """The name of the provider that `agent` uses; `offline` for none."""
        name = self._config.provider_of(agent)
        return OFFLINE if name == "auto" else name

    def reset(self, provider: str) -> None:
        """Close the circuits of `provider`: its settings or its key changed."""
        self._standing.reset(provider)

    # --- one call ---------------------------------------------------------------------------------------------------

    async def call(
        self, owner: Owner, agent: str, target: Target, spec: ProviderSpec, request: ModelRequest
    ) -> ModelReply:
        """One logical call: waits, tries, tries again as the policy says; at most `limits.total` seconds in all.

        Raises:
            ModelFailed: no answer came; nothing upstream wrote is in it, nor hangs on it.
        """
        scope = asyncio.timeout(spec.limits.total)
        call = _Call(
            owner=owner, agent=agent, target=target, spec=spec, request=request, scope=scope,
            deadline=self._clock.monotonic() + spec.limits.total,
            estimate=upper_bound(spec.price_of(target[1]), request),
        )  # fmt: skip
        begun = self._clock.monotonic()
        answer = await self._bounded(call)
        self._count(target, answer, self._clock.monotonic() - begun)
        if isinstance(answer, ModelReply):
            return answer
        raise ModelFailed(
            answer.kind,
            f"{':'.join(target)}: {answer.message}",
            retry_after=answer.retry_after,
            circuit_open=self._standing.is_open(target),
            target_answered=self._standing.answered_since(target, call.sent_at),
        )

    async def _bounded(self, call: _Call) -> ModelReply | Diagnosis:
        """The answer, or what came of the call; a value, so that no client's exception hangs on what is raised."""
        half = self._half_here()
        try:
            async with call.scope:
                with half.opened(call.owner, call.scope):
                    return await self._tried(half, call)
        except AttemptFailed as failed:
            return failed.diagnosis
        except TimeoutError:
            if not call.scope.expired():
                raise
            if self._standing.is_revoked(call.owner) or self._half is not half:
                return _CANCELLED
            return Diagnosis("timeout", f"no answer within {call.spec.limits.total:g} s in all")

    async def _tried(self, half: _LoopHalf, call: _Call) -> ModelReply:
        self._refuse_revoked(call)
        self._standing.called(call.target[0])
        retries = Retries(
            self._clock,
            self._rng,
            left=lambda: call.deadline - self._clock.monotonic(),
            allowed=lambda: self._standing.may_retry(call.target),
        )
        return await retries.run(lambda tried: self._attempt(half, call, tried))

    async def _attempt(self, half: _LoopHalf, call: _Call, tried: Tried) -> ModelReply:
        self._standing.refuse_if_open(call.target)
        await self._wait_until_wanted(call)
        client = await self._client(half, call)
        provider, within = call.target[0], call.spec.limits.queue
        slots = half.slots.setdefault(provider, Slots(call.spec.concurrency))
        async with slots.hold(call.agent, within=within), half.everybody.hold(call.agent, within=within):
            return await self._admitted(client, call, tried)

    async def _wait_until_wanted(self, call: _Call) -> None:
        wait = self._standing.held_back(call.target[0])
        if wait > min(LONGEST_WAIT, call.deadline - self._clock.monotonic()):
            raise AttemptFailed("rate_limited", f"no call is wanted for {wait:.0f} s", retry_after=wait)
        await pause(self._clock, wait)

    async def _client(self, half: _LoopHalf, call: _Call) -> Client:
        name, spec = call.target[0], call.spec
        if name not in half.clients:
            await asyncio.to_thread(load, spec.kind)
        if name not in half.clients:
            half.clients[name] = build(name, spec, self._credentials.get(name), self._config.max_in_flight)
        return half.clients[name]

    async def _admitted(self, client: Client, call: _Call, tried: Tried) -> ModelReply:
        """One attempt with leave of its circuit; however it ends, the circuit hears of it."""
        admission = self._standing.admit(call.target)
        kind: str | None = "cancelled"
        try:
            reply = await self._paid(client, call, tried)
            kind = None
        except AttemptFailed as failed:
            kind = failed.diagnosis.kind
            if kind == "rate_limited" and failed.diagnosis.retry_after:
                self._standing.hold_back(call.target[0], failed.diagnosis.retry_after)
            raise
        except asyncio.CancelledError:
            if call.scope.expired() and not self._standing.is_revoked(call.owner):
                kind = "timeout"
            raise
        finally:
            self._standing.ended(call.target, admission, kind)
        return reply

    async def _paid(self, client: Client, call: _Call, tried: Tried) -> ModelReply:
        """One attempt under a reservation of its own, settled once: at what it used, or at the estimate."""
        reservation = await self._reserve(call)
        used = Usage()
        try:
            self._refuse_revoked(call)
            used = call.estimate
            reply = await self._send(client, call, tried)
            used = reply.usage
        except AttemptFailed as failed:
            used = _billed(failed, call, tried)
            raise
        finally:
            self._ledger.settle(reservation, used)
        return reply

    async def _reserve(self, call: _Call) -> str:
        """A reservation. When the call is cancelled while it is being made, it is given back as soon as it stands."""
        reserving = asyncio.ensure_future(
            self._ledger.reserve(
                call.owner,
                agent=call.agent,
                provider=call.target[0],
                estimate=call.estimate,
            )
        )
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            reserving.add_done_callback(self._give_back)
            raise

    def _give_back(self, reserving: "asyncio.Future[str]") -> None:
        if not reserving.cancelled() and reserving.exception() is None:
            self._ledger.settle(reserving.result(), Usage())

    async def _send(self, client: Client, call: _Call, tried: Tried) -> ModelReply:
        watch = Watch(call.spec.limits, streamed=call.spec.stream)
        call.sent_at = min(call.sent_at, self._clock.monotonic())
        try:
            async with watch:
                reply = await client.complete(call.request, watch)
        except Exception as error:
            diagnosis = classify(error, self._clock.wall())
            if diagnosis is None:
                raise
            used = error.usage if isinstance(error, AttemptFailed) else None
            raise AttemptFailed(
                diagnosis.kind, diagnosis.message, retry_after=diagnosis.retry_after, usage=used
            ) from None
        finally:
            tried.received = watch.received
            if watch.first_after is not None:
                self._tally.observe(FIRST_TOKEN, watch.first_after, call.target)
        return replace(reply, model=f"{call.target[0]}:{reply.model}")

    # --- small things -----------------------------------------------------------------------------------------------

    def _half_here(self) -> _LoopHalf:
        """The half of the running loop; another loop's is let go, its probes are forgotten."""
        loop = asyncio.get_running_loop()
        if self._half is None or self._half.loop is not loop:
            self._standing.forget_probes()
            self._half = _LoopHalf(loop, Slots(self._config.max_in_flight))
        return self._half

    def _refuse_revoked(self, call: _Call) -> None:
        if self._standing.is_revoked(call.owner):
            raise AttemptFailed(_CANCELLED.kind, _CANCELLED.message)

    def _count(self, target: Target, answer: ModelReply | Diagnosis, seconds: float) -> None:
        outcome = "ok" if isinstance(answer, ModelReply) else answer.kind
        self._tally.add("llm_calls_total", (*target, outcome))
        self._tally.observe(DURATION, seconds, target)
        if not isinstance(answer, ModelReply):
            return
        self._tally.observe(TOKENS, answer.usage.input_tokens, (*target, "input"))
        self._tally.observe(TOKENS, answer.usage.output_tokens, (*target, "output"))
        if answer.usage.nano_usd is None:
            self._tally.add("llm_calls_without_price_total", target)
        else:
            self._tally.add("llm_cost_usd_total", target, answer.usage.nano_usd / 1e9)


def _billed(failed: AttemptFailed, call: _Call, tried: Tried) -> Usage:
    if failed.usage is not None:
        return failed.usage
    if failed.diagnosis.kind in _UNSENT:
        return Usage()
    refused = failed.diagnosis.kind in _NOT_BILLED and not tried.received
    return Usage(calls=1) if refused else call.estimate
