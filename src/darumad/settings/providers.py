"""The settings of model providers and of what they may cost: who is asked, how long, and for how much money."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from darumad.names import NanoUsd, Seconds
from darumad.settings.fields import ONE_UP, POSITIVE, Bounds, named, setting
from darumad.settings.units import parse_money
from darumad.values import Value

ProviderKind = Literal["anthropic", "ollama", "openai"]


class Provider(Value, kw_only=True):
    """Which model provider serves an agent that names none."""

    use: str = setting(
        "auto",
        "A name from `providers`, `offline` for no model at all, or `auto`: Anthropic if there is a key, "
        "Ollama if it answers, otherwise offline.",
    )


class ProviderSettings(Value, kw_only=True):
    """One model provider; several may be of one kind."""

    kind: ProviderKind = setting(
        "anthropic",
        "Which protocol it speaks; many servers speak `openai`, which takes `pip install 'darumad[openai]'`.",
    )
    base_url: str = setting("https://api.anthropic.com", "Where it answers; without credentials in it.")
    model: str | None = setting(
        "claude-sonnet-5-5", "Which model is asked; null takes the first that the server lists (Ollama), or none."
    )
    key_file: Path | None = setting(
        None,
        "A file with the key, readable by its owner only; a systemd credential is found by its name: see `secret`.",
    )
    key_env: str | None = setting("ANTHROPIC_API_KEY", "The environment variable that holds the key when no file does.")
    secret: str | None = setting(
        None,
        "What its key is called among the systemd credentials and the kept secrets; null is `NAME-api-key`. "
        "Providers that name the same one share a key.",
    )
    embedding_model: str | None = setting(
        None,
        "Which model makes vectors of texts; null makes none. Nothing in Daruma asks for vectors yet: today "
        "`daruma providers check` looks whether the server has this model too.",
    )
    fallback: str | None = setting(
        None, "A name from `providers`: who is asked when this one cannot answer; it may name another in turn."
    )
    fallback_when_useless: bool = setting(
        default=False,
        says="Whether the fallback is asked too when the answer is a refusal, or of no use after all repairs; "
        "not for what a template of your own makes of answers, unless it asks by `ask_for_json`.",
    )
    requests_per_minute: int | None = setting(None, "How many calls are sent in any minute at most.", ONE_UP)
    input_tokens_per_minute: int | None = setting(None, "How many tokens are sent in any minute.", ONE_UP)
    output_tokens_per_minute: int | None = setting(None, "How many tokens are answered in any minute.", ONE_UP)
    stream: bool = setting(
        default=True,
        says="Whether answers are asked for piece by piece; without, only `total` bounds the wait until one begins.",
    )
    concurrency: int = setting(
        16,
        "How many calls are open at once; an answer of up to 2 MiB is read of each, a streamed one of up to 48, "
        "vectors of up to 32.",
        Bounds(at_least=1, at_most=1024),
    )
    connect_timeout: Seconds = setting(Seconds(5), "How long connecting may take.", POSITIVE)
    first_token: Seconds = setting(
        Seconds(30),
        "How long until the first token of one try, whatever comes before it; a cold local model takes its time.",
        POSITIVE,
    )
    idle: Seconds = setting(
        Seconds(15), "The longest silence within a reply; keep-alive pings are silence too.", POSITIVE
    )
    total: Seconds = setting(
        Seconds(600),
        "How long one call may take in all, its retries included; a fallback asked after it has its own.",
        POSITIVE,
    )
    num_ctx: int | None = setting(
        None, "Ollama only: the context window that is asked for, in tokens.", Bounds(at_least=512)
    )
    context_window: int | None = setting(
        None,
        "How many tokens fit the model, if it is not Ollama's; null takes what is known of it. "
        "A prompt near it is counted by the server first, where it counts, and refused when it does not fit.",
        Bounds(at_least=512),
    )


def secret_of(name: str, provider: ProviderSettings) -> str:
    """What the key of the provider called `name` is called, where it lies under a name of its own."""
    return provider.secret or f"{name}-api-key"


BY_KIND: Mapping[str, ProviderSettings] = MappingProxyType(
    {
        "anthropic": ProviderSettings(),
        "ollama": ProviderSettings(
            kind="ollama",
            base_url="http://127.0.0.1:11434",
            model=None,
            key_env=None,
            concurrency=1,
            first_token=Seconds(300),
            num_ctx=8192,
        ),
        "openai": ProviderSettings(
            kind="openai", base_url="https://api.openai.com/v1", model=None, key_env="OPENAI_API_KEY"
        ),
    }
)
"""What a provider of each kind is like unless it says otherwise; those that are always there are named like them."""


class CapSettings(Value, kw_only=True):
    """What one agent or one provider may use, each day and in total; null sets no limit."""

    daily: NanoUsd | None = setting(None, "The most that it may cost in one day.", Bounds(at_least=0))
    daily_tokens: int | None = setting(None, "The most tokens in one day, in and out.", Bounds(at_least=0))
    daily_calls: int | None = setting(None, "The most model calls in one day.", Bounds(at_least=0))
    total: NanoUsd | None = setting(None, "The most that it may ever cost.", Bounds(at_least=0))
    total_tokens: int | None = setting(None, "The most tokens ever.", Bounds(at_least=0))
    total_calls: int | None = setting(None, "The most model calls ever.", Bounds(at_least=0))


class Budget(Value, kw_only=True):
    """What may be spent on models. What does not fit is not called: its item waits, parked, until there is room."""

    daily: NanoUsd = setting(
        parse_money("5.00 USD"), "The most that all items together may cost in one day.", Bounds(at_least=0)
    )
    daily_tokens: int | None = setting(None, "The most tokens in one day, in and out.", Bounds(at_least=0))
    daily_calls: int | None = setting(None, "The most model calls in one day.", Bounds(at_least=0))
    total: NanoUsd | None = setting(None, "The most that all items together may ever cost.", Bounds(at_least=0))
    total_tokens: int | None = setting(None, "The most tokens ever.", Bounds(at_least=0))
    total_calls: int | None = setting(None, "The most model calls ever.", Bounds(at_least=0))
    item: NanoUsd | None = setting(
        None, "The most that one item may cost over all its attempts, unless it says.", Bounds(at_least=0)
    )
    item_tokens: int | None = setting(None, "The most tokens of one item, unless it says.", Bounds(at_least=0))
    item_calls: int | None = setting(None, "The most model calls of one item, unless it says.", Bounds(at_least=0))
    agents: Mapping[str, CapSettings] = named("Limits of an agent definition, by its name.")
    providers: Mapping[str, CapSettings] = named("Limits of a provider, by its name in `providers`.")
    unknown_price: Literal["allow", "refuse"] = setting(
        "allow",
        "What becomes of a call whose price nobody knows: `allow` makes it, and its cost is in no sum; `refuse` parks "
        "its item.",
    )
    time_zone: str = setting("UTC", "The time zone in whose midnight a day begins.")

    @property
    def zone(self) -> tzinfo:
        """The time zone itself; UTC also on a machine that knows no zones."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


class PriceSettings(Value, kw_only=True):
    """What a model costs, per million tokens."""

    input: NanoUsd | None = setting(None, "A million tokens that it reads; must be said.", Bounds(at_least=0))
    output: NanoUsd | None = setting(None, "A million tokens that it writes; must be said.", Bounds(at_least=0))
    cache_read: NanoUsd | None = setting(
        None, "A million tokens that it reads from its cache; null is as `input`.", Bounds(at_least=0)
    )
    cache_write: NanoUsd | None = setting(
        None, "A million tokens that it reads into its cache; null is as `input`.", Bounds(at_least=0)
    )
