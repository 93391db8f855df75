"""What an operator says of the providers: values only, checked at the border before they come here."""

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Literal

from darumad.agents.providers.limiter import Amounts
from darumad.agents.providers.price_seed import seeded, seeded_window
from darumad.agents.providers.prices import FREE, Price
from darumad.names import Seconds
from darumad.values import Value, changed, field

Kind = Literal["anthropic", "ollama", "openai"]
OPENAI_URL = "https://api.openai.com/v1"
OFFLINE = "offline"
"""The name that stands for: no model at all."""


class Timeouts(Value, kw_only=True):
    """How long a call may take; each expiry ends it as `timeout`, but `queue`'s, which is `local_saturation`.

    `first_token` runs from the request to the first event of the answer, `idle` between two events (pings are
    none), `total` over the whole call with its queueing and its retries, `queue` over the wait for a free slot. Each
    provider of a chain has its own. What the client's library takes to load the first time counts in none.
    """

    connect: Seconds = Seconds(5.0)
    first_token: Seconds = Seconds(30.0)
    idle: Seconds = Seconds(15.0)
    total: Seconds = Seconds(600.0)
    queue: Seconds = Seconds(60.0)


class KeySource(Value, kw_only=True):
    """Where a key may lie, in the order looked at: a systemd credential, a file of mode 0600, the environment."""

    credential: str | None = None
    file: Path | None = None
    env: str | None = None


class ProviderSpec(Value, kw_only=True):
    """One provider instance: a failure domain of its own, with its own slots and circuits.

    `base_url` None is the vendor's own address. `stream` False asks for answers in one piece, of servers that stream
    badly; until one begins only `timeouts.total` holds. `fallback` is asked when this one cannot answer, and
    with `fallback_when_useless` also when its answer is a refusal or of no use. `per_minute`
    limits what is sent, `concurrency` is how many calls are open at once; for Ollama it
    must equal OLLAMA_NUM_PARALLEL, or the limits measure its queue. `num_ctx` is the context window asked of
    Ollama, in tokens: it is always sent, for the server's default truncates silently. `context_window` is that of
    another vendor's model; None takes what is known of it. `prices` are an operator's own,
    by model; they stand before those that ship.
    """

    kind: Kind
    base_url: str | None = None
    model: str | None = None
    key: KeySource = field(default_factory=KeySource)
    embedding_model: str | None = None
    fallback: str | None = None
    fallback_when_useless: bool = False
    stream: bool = True
    per_minute: Amounts = field(default_factory=dict)
    concurrency: int = 16
    timeouts: Timeouts = field(default_factory=Timeouts)
    num_ctx: int = 8_192
    context_window: int | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def window(self) -> float:
        """The most tokens that fit; a window that nobody knows is taken for larger than any that is."""
        if self.kind == "ollama":
            return self.num_ctx
        return self.context_window or seeded_window(self.kind, self.model or "") or inf

    @property
    def needs_key(self) -> bool:
        """Whether it is asked by nobody without a key: it would not answer, or the settings name a file with one."""
        answers = self.kind == "ollama" or (self.kind == "openai" and self.base_url not in {None, OPENAI_URL})
        return not answers or self.key.file is not None

    def price_of(self, model: str) -> Price | None:
        """What a call of `model` costs here; None when nobody knows."""
        if model in self.prices:
            return self.prices[model]
        return FREE if self.kind == "ollama" else seeded(self.kind, model)


ANTHROPIC = ProviderSpec(
    kind="anthropic",
    model="claude-sonnet-5-5",
    key=KeySource(credential="anthropic-api-key", env="ANTHROPIC_API_KEY"),
)
"""Anthropic as it is used when nothing but a key is there."""

OLLAMA = ProviderSpec(
    kind="ollama",
    base_url="http://127.0.0.1:11434",
    concurrency=1,
    timeouts=Timeouts(first_token=Seconds(300)),
)
"""Ollama on this machine. A cold model loads for minutes, so its first token may take five."""

OPENAI = ProviderSpec(kind="openai", key=KeySource(credential="openai-api-key", env="OPENAI_API_KEY"))
"""OpenAI, or whoever speaks its protocol at another `base_url`. Which model is asked must be said."""

SHIPPED: Mapping[str, ProviderSpec] = {"anthropic": ANTHROPIC, "ollama": OLLAMA, "openai": OPENAI}
"""What stands without any setting; a provider of the same name in the settings takes its place."""


class ProviderConfig(Value, kw_only=True):
    """All providers by name, and who uses which.

    `use` is a provider's name, `offline`, or `auto` until `choose` has chosen. `by_agent` names the provider of
    an agent definition that does not take the chosen one. `max_in_flight` bounds the open calls of the daemon.
    """

    use: str = "auto"
    providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    by_agent: Mapping[str, str] = field(default_factory=dict)
    max_in_flight: int = 256

    def spec(self, name: str) -> ProviderSpec | None:
        """The provider of that name; None when there is none, and for `offline`."""
        return self.providers.get(name) or SHIPPED.get(name)

    def chain(self, name: str) -> tuple[tuple[str, ProviderSpec], ...]:
        """The provider `name` and those that are asked when it cannot answer, in order, each once."""
        found: dict[str, ProviderSpec] = {}
        while name not in found and (spec := self.spec(name)) is not None:
            found[name] = spec
            name = spec.fallback or ""
        return tuple(found.items())

    @property
    def used(self) -> Sequence[str]:
        """The providers that some agent may ask, each once: the chosen one, the agents' own, and who stands in."""
        named = (self.use, *self.by_agent.values())
        return tuple(dict.fromkeys(provider for name in named for provider, _ in self.chain(name)))

    def asked_for(self, agent: str) -> Sequence[str]:
        """The providers that are asked for `agent`, each where the one before it cannot answer."""
        return tuple(name for name, _ in self.chain(self.provider_of(agent)))

    def provider_of(self, agent: str) -> str:
        """The name of the provider that `agent` uses."""
        return self.by_agent.get(agent, self.use)

    def using(self, provider: str, model: str | None) -> "ProviderConfig":
        """This configuration once `provider` and its model have been chosen."""
        spec = self.spec(provider)
        if spec is None:
            return changed(self, use=provider)
        return changed(self, use=provider, providers={**self.providers, provider: changed(spec, model=model)})
