"""What may be wanted of a model: an answer, or the vectors of texts. The broker treats both alike."""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from darumad.agents.providers.client import Client
from darumad.agents.providers.config import ProviderSpec
from darumad.agents.providers.limiter import Amounts, Measure
from darumad.agents.providers.prices import cost, likely_tokens, request_bytes, upper_bound
from darumad.agents.providers.reply import without_keys
from darumad.agents.providers.watch import AttemptWatch
from darumad.names import CallId
from darumad.values import Value, changed
from darumad.work.model import Embeddings, ModelReply, ModelRequest
from darumad.work.result import Usage

R = TypeVar("R", ModelReply, Embeddings)
R_co = TypeVar("R_co", covariant=True)
_MARGIN = 1.15
"""By how much a guess at tokens is raised before it is held against a limit."""
_BYTES_A_TOKEN = 3.2


class Wanted(Protocol[R_co]):
    """One thing that is wanted, whichever provider gives it."""

    def model_of(self, spec: ProviderSpec) -> str | None:
        """The model of a provider that gives it; None when it has none."""
        ...

    def estimate(self, spec: ProviderSpec) -> Usage:
        """The most that it can use there."""
        ...

    def likely(self) -> int:
        """A guess at the tokens that a server will read of it."""
        ...

    def needs(self, factor: float) -> Amounts:
        """What it will probably take of a provider's limits, whose server reads `factor` tokens for each guessed."""
        ...

    async def counted(self, client: Client, call: CallId) -> int | None:
        """How many tokens its server says that it would read of it; None where none says."""
        ...

    async def ask(self, client: Client, call: CallId, watch: AttemptWatch, provider: str) -> R_co:
        """One attempt to get it, as a part of `call`."""
        ...


@dataclass(slots=True)
class Answer:
    """The answer to a request, whose bytes are counted once, and its tokens guessed at once."""

    request: ModelRequest
    size: int = field(init=False)
    guess: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = request_bytes(self.request)
        self.guess = likely_tokens(self.request, self.size)

    def model_of(self, spec: ProviderSpec) -> str | None:
        """See `Wanted`."""
        return spec.model

    def estimate(self, spec: ProviderSpec) -> Usage:
        """See `Wanted`."""
        return upper_bound(spec.price_of(spec.model or ""), self.request, self.size)

    def likely(self) -> int:
        """See `Wanted`."""
        return self.guess

    def needs(self, factor: float) -> Amounts:
        """See `Wanted`."""
        read = int(self.guess * factor * _MARGIN)
        return {Measure.REQUESTS: 1, Measure.INPUT: read, Measure.OUTPUT: self.request.max_tokens}

    async def counted(self, client: Client, call: CallId) -> int | None:
        """See `Wanted`."""
        return await client.count(call, self.request)

    async def ask(self, client: Client, call: CallId, watch: AttemptWatch, provider: str) -> ModelReply:
        """See `Wanted`."""
        reply = await client.complete(call, self.request, watch)
        return without_keys(reply, provider)


class Vectors(Value):
    """The vectors of texts."""

    texts: tuple[str, ...]

    def model_of(self, spec: ProviderSpec) -> str | None:
        """See `Wanted`."""
        return spec.embedding_model

    def estimate(self, spec: ProviderSpec) -> Usage:
        """See `Wanted`: one token a byte at most."""
        tokens = sum(len(text.encode()) for text in self.texts)
        price = spec.price_of(spec.embedding_model or "")
        return Usage(input_tokens=tokens, calls=1, nano_usd=cost(price, fresh=tokens, cached=0, written=0, output=0))

    def likely(self) -> int:
        """See `Wanted`."""
        return int(sum(len(text.encode()) for text in self.texts) / _BYTES_A_TOKEN)

    def needs(self, factor: float) -> Amounts:
        """See `Wanted`."""
        return {Measure.REQUESTS: 1, Measure.INPUT: int(self.likely() * factor * _MARGIN)}

    async def counted(self, client: Client, call: CallId) -> None:
        """See `Wanted`: nobody counts these."""

    async def ask(self, client: Client, call: CallId, watch: AttemptWatch, provider: str) -> Embeddings:
        """See `Wanted`."""
        found = await client.embed(call, self.texts, watch)
        return changed(found, model=f"{provider}:{found.model}")


def used_of(usage: Usage) -> Amounts:
    """What a call took of its provider's limits."""
    fresh = usage.input_tokens - usage.cached_tokens
    return {Measure.REQUESTS: min(1, usage.calls), Measure.INPUT: fresh, Measure.OUTPUT: usage.output_tokens}
