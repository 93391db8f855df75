"""The broker: every model call passes here, under its owner's name, its provider's limits and the one policy.

Two halves: `Standing` outlives the loop; clients, slots and open calls belong to one loop and are rebuilt with it.
An open call is an `asyncio.timeout` scope: a revoke expires it, which closes the socket at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import zip_longest
from math import inf
from operator import itemgetter

from darumad.agents.providers.breaker import Lets
from darumad.agents.providers.calling import FIRST_TOKEN, Call, Caller, Keys
from darumad.agents.providers.classify import Diagnosis
from darumad.agents.providers.config import OFFLINE, ProviderConfig, ProviderSpec
from darumad.agents.providers.evidence import Target
from darumad.agents.providers.half import LoopHalf
from darumad.agents.providers.offline import Offline
from darumad.agents.providers.policy import Rng, falls_back, told_as
from darumad.agents.providers.standing import CircuitState, Standing
from darumad.agents.providers.wanted import Answer, R, Vectors, Wanted
from darumad.bus import Tally
from darumad.clock import Clock
from darumad.events import Fact
from darumad.names import CallId
from darumad.work.model import Embeddings, ModelFailed, ModelReply, ModelRequest
from darumad.work.ports import Complete, Embed, Ledger, Owner

DURATION = "gen_ai_client_operation_duration_seconds"
TOKENS = "gen_ai_client_token_usage"
BUCKETS: Mapping[str, Sequence[float]] = {
    DURATION: tuple(0.01 * 2**n for n in range(16)),
    FIRST_TOKEN: tuple(0.01 * 2**n for n in range(16)),
    TOKENS: tuple(float(4**n) for n in range(14)),
}
"""The distributions that the broker observes, for whoever makes the daemon's `Tally`."""

Chain = Sequence[tuple[str, ProviderSpec]]
"""A provider, and those that are asked when it cannot answer."""


class _Brokered:
    """A `Complete` bound to its owner, its agent and its chain of providers."""

    def __init__(
        self,
        ask: Callable[[ModelRequest], Awaitable[ModelReply]],
        model: str,
        elsewhere: Callable[[str], Complete | None],
    ) -> None:
        self._ask = ask
        self.model: str = model
        """`provider:model` of the first that is asked."""
        self.elsewhere = elsewhere
        """See `work.ports.Complete`."""

    async def __call__(self, request: ModelRequest) -> ModelReply:
        """See `work.ports.Complete`."""
        return await self._ask(request)


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
        note: Callable[[Fact], None],
        new_id: Callable[[], str],
        keys: Keys | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._new_id = new_id
        self._tally = tally
        self._standing = Standing(clock, rng, note)
        self._caller = Caller(self._standing, ledger, clock, rng, tally, keys or {})
        self._half: LoopHalf | None = None
        self._offline = Offline()
        self._halves: dict[asyncio.AbstractEventLoop, LoopHalf] = {}
        self._callers: set[str] = set()

    # --- for the bridge ---------------------------------------------------------------------------------------------

    def complete_for(self, owner: Owner, agent: str) -> Complete:
        """The model as `agent` may call it for `owner`. Never fails: what is not configured says so when called."""
        name = self.provider_of(agent)
        if name == OFFLINE:
            return self._offline
        spec, chain = self._config.spec(name), self._config.chain(name)
        if spec is None:
            return Offline(f"The agent {agent} uses the provider {name}, which is not there: add `providers.{name}`.")
        if not spec.model:
            return Offline(f"The provider {name} has no model: set `providers.{name}.model`.")
        return self._brokered(owner, agent, chain)

    def embed_for(self, owner: Owner, provider: str) -> Embed:
        """The vectors of texts as `owner` may have them made by `provider`, or by who is asked in its place."""
        return lambda texts: self.call(owner, f"embed:{provider}", self._config.chain(provider), Vectors(tuple(texts)))

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
        """Abort what is open on the running loop and close every client of it."""
        half = self._halves.pop(asyncio.get_running_loop(), None)
        if half is None:
            return
        if half is self._half:
            self._half = None
        await half.close()

    # --- for whoever looks on; from any thread ----------------------------------------------------------------------

    def circuits(self) -> Mapping[Target, CircuitState]:
        """How every target stands that was ever tried, by (provider, model)."""
        return self._standing.circuits()

    def held_back(self, provider: str) -> float:
        """Seconds until `provider` wants to be called again; 0.0 for now."""
        return self._standing.held_back(provider)

    def open_until(self, provider: str) -> float | None:
        """When to call `provider` again: monotonic seconds, `inf` for once it is mended; None for now."""
        return self._standing.open_until(provider)

    def provider_of(self, agent: str) -> str:
        """The name of the provider that `agent` uses; `offline` for none."""
        name = self._config.provider_of(agent)
        return OFFLINE if name == "auto" else name

    def renew(self, provider: str) -> None:
        """The key of `provider` changed: close its circuits. Every call that begins now has it. From any thread."""
        self._standing.reset(provider)

    def mended(self, provider: str) -> bool:
        """Somebody says so: what only that could open lets one call through, to see. Whether there was any such."""
        return self._standing.mended(provider)

    def vouch_for(self, provider: str) -> None:
        """Its operator says that it is well: the next call is made, whatever it failed, and whatever wait it wanted."""
        self._standing.vouch_for(provider)

    def lets(self, agent: str) -> tuple[Lets, str]:
        """How many calls for `agent` would be let through now, and by which circuit: the most willing of its chain.

        All of those of an agent that has made none in this life of the daemon: whoever computes without a model is
        held up by no outage.
        """
        if agent not in self._callers:
            return Lets.ALL, ""
        targets = [(name, spec.model or "") for name, spec in self._config.chain(self.provider_of(agent))]
        found = ((self._standing.lets(target), ":".join(target)) for target in targets)
        return max(found, key=itemgetter(0), default=(Lets.ALL, ""))

    def shut(self, agent: str) -> bool:
        """Whether nobody who could answer `agent` may be called now: every circuit of its chain is open."""
        return self.lets(agent)[0] is Lets.NONE

    # --- one call ---------------------------------------------------------------------------------------------------

    async def call(self, owner: Owner, agent: str, chain: Chain, wanted: Wanted[R]) -> R:
        """One logical call: asks the first of `chain`, and the next where that cannot answer and the table says so.

        It waits and tries again as the policy says; of each at most its own `timeouts.total` seconds, for one that
        hangs must not keep the next from being asked. Who bounds the whole chain is the item's own limit.

        Raises:
            ModelFailed: no answer came; of all that were asked it is told as `told_as` says. Nothing upstream wrote is
                in it, nor hangs on it.
        """
        call_id = CallId(self._new_id())
        self._callers.add(agent)
        failures: list[tuple[str, ModelFailed]] = []
        for (name, spec), following in zip_longest(chain, chain[1:]):
            begun = self._clock.monotonic()
            answer = await self._asked(call_id, owner, agent, name, spec, wanted)
            if isinstance(answer, ModelFailed):
                failures.append((name, answer))
            wrong = _wrong_with(answer)
            left = begun + spec.timeouts.total - self._clock.monotonic()
            if wrong is not None and following is not None and falls_back(*wrong, spec, following[1], left):
                self._fell_back(name, following[0], wrong[0])
            elif isinstance(answer, ModelFailed):
                break
            else:
                return answer
        raise told_as(failures) if failures else ModelFailed("model_not_found", "there is no such provider")

    def _brokered(self, owner: Owner, agent: str, chain: Chain) -> _Brokered:
        """The model as the first of `chain` is asked, and who stands in for it."""
        (name, spec), *rest = chain

        def elsewhere(kind: str) -> Complete | None:
            if not rest or not falls_back(kind, None, spec, rest[0][1], spec.timeouts.total):
                return None
            self._fell_back(name, rest[0][0], kind)
            return self._brokered(owner, agent, rest)

        return _Brokered(
            lambda request: self.call(owner, agent, chain, Answer(request)), f"{name}:{spec.model}", elsewhere
        )

    async def _asked(  # noqa: PLR0913, PLR0917 - of what a `Call` is made
        self, call_id: CallId, owner: Owner, agent: str, name: str, spec: ProviderSpec, wanted: Wanted[R]
    ) -> R | ModelFailed:
        """What one provider of the chain came to. It is counted under its own name."""
        begun = self._clock.monotonic()
        model = wanted.model_of(spec)
        if model is None:
            return ModelFailed("model_not_found", f"the provider {name} has no model for this")
        target: Target = (name, model)
        half = self._half_here()
        call = Call(
            id=call_id, owner=owner, agent=agent, target=target, spec=spec, wanted=wanted,
            factor=self._standing.factor(target),
        )  # fmt: skip
        try:
            answer = await self._caller.ask(half, call)
        except ModelFailed as refused:  # by the ledger: nothing was sent
            return refused
        if call.sent_at < inf:
            self._count(target, answer, self._clock.monotonic() - begun)
        elif isinstance(answer, Diagnosis):
            self._tally.add("llm_calls_not_sent_total", (*target, answer.kind))
        if not isinstance(answer, Diagnosis):
            self._standing.answered(target, owner.item)
            return answer
        blame = self._standing.blame(target, owner.item, answer.kind, call.sent_at)
        return ModelFailed(
            answer.kind,
            f"{':'.join(target)}: {answer.message}",
            retry_after=self._again_in(target, answer),
            circuit_open=blame.circuit_open,
            target_answered=blame.target_answered,
        )

    def _again_in(self, target: Target, failed: Diagnosis) -> float | None:
        """Seconds after which its item may ask again: as it was told, but not while its provider is left alone."""
        if failed.retry_after is None:
            return self._standing.opens_in(target)
        return max(failed.retry_after, self._standing.held_back(target[0]))

    # --- small things -----------------------------------------------------------------------------------------------

    def _half_here(self) -> LoopHalf:
        """The half of the running loop. An earlier loop's is let go: it ends there, once that loop comes to it."""
        loop = asyncio.get_running_loop()
        half = self._halves.get(loop)
        if half is None:
            if self._half is not None:
                self._standing.let_go()
            half = self._half = self._halves[loop] = LoopHalf.here(self._config.max_in_flight)
        return half

    def _fell_back(self, provider: str, to: str, kind: str) -> None:
        self._tally.add("llm_fallbacks_total", (provider, to))
        self._standing.fell_back(provider, to, kind)

    def _count(self, target: Target, answer: ModelReply | Embeddings | Diagnosis, seconds: float) -> None:
        outcome = answer.kind if isinstance(answer, Diagnosis) else "ok"
        self._tally.add("llm_calls_total", (*target, outcome))
        self._tally.observe(DURATION, seconds, target)
        if isinstance(answer, Diagnosis):
            return
        self._tally.observe(TOKENS, answer.usage.input_tokens, (*target, "input"))
        self._tally.observe(TOKENS, answer.usage.output_tokens, (*target, "output"))
        if answer.usage.nano_usd is None:
            self._tally.add("llm_calls_without_price_total", target)
        else:
            self._tally.add("llm_cost_usd_total", target, answer.usage.nano_usd / 1e9)


def _wrong_with(answer: ModelReply | Embeddings | ModelFailed) -> tuple[str, float | None] | None:
    """The kind for which another may be asked, and the seconds asked for; None when there is an answer.

    A refusal is both: what the last of a chain declined is told to the agent as the answer that it is.
    """
    if isinstance(answer, ModelFailed):
        return answer.kind, answer.retry_after
    return ("refusal", None) if isinstance(answer, ModelReply) and answer.stop == "refusal" else None
