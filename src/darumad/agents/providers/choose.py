"""Which provider is used when nobody said, and why. The choice is pure; `discover` looks around and makes it."""

import asyncio
from collections.abc import Collection

import orjson

from darumad.agents.providers.bounded import bound
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.config import OFFLINE, OLLAMA, SHIPPED, Kind, ProviderConfig, ProviderSpec
from darumad.agents.providers.tls import tls
from darumad.redaction import redact
from darumad.values import Value

PROBE_WITHIN = 2.0
"""Seconds that Ollama has to answer: nobody there is known at once, and a machine that is booting is slow."""


class Chosen(Value):
    """The provider to use by name (`offline` for none), its model, and the reason as a sentence."""

    provider: str
    model: str | None
    why: str


def choose(
    config: ProviderConfig, *, key_present: bool, ollama_answers: bool, ollama_model: str | None = None
) -> Chosen:
    """What the settings name; with `auto`, Anthropic if there is a key, Ollama if it answers, else offline.

    `ollama_model` is a model that Ollama has, for when none is configured.
    """
    if config.use != "auto":
        return _named(config, ollama_model)
    if key_present:
        name, spec = first_of(config, "anthropic")
        return Chosen(name, spec.model or SHIPPED["anthropic"].model, "an Anthropic key was given")
    name, spec = first_of(config, "ollama")
    model = spec.model or ollama_model
    if ollama_answers and model:
        address = redact(spec.base_url or OLLAMA.base_url or "")
        return Chosen(name, model, f"no Anthropic key, and Ollama answers at {address}")
    if ollama_answers:
        return Chosen(OFFLINE, None, "no Anthropic key, and Ollama answers but has no model: `ollama pull` one")
    return Chosen(OFFLINE, None, "no Anthropic key, and no Ollama answers")


def _named(config: ProviderConfig, ollama_model: str | None) -> Chosen:
    if config.use == OFFLINE:
        return Chosen(OFFLINE, None, "the settings say offline")
    spec = config.spec(config.use)
    if spec is None:
        return Chosen(OFFLINE, None, f"the settings name {config.use}, which `providers` does not have")
    model = spec.model or (ollama_model if spec.kind == "ollama" else SHIPPED["anthropic"].model)
    return Chosen(config.use, model, f"the settings name {config.use}")


def first_of(config: ProviderConfig, kind: Kind) -> tuple[str, ProviderSpec]:
    """The first configured provider of a kind, or the one that ships."""
    found = ((name, spec) for name, spec in config.providers.items() if spec.kind == kind)
    return next(found, (kind, SHIPPED[kind]))


async def discover(config: ProviderConfig, credentials: Collection[str]) -> Chosen:
    """See whether Ollama answers (here, unless another is configured), and choose.

    `credentials` are the providers that were given a key.
    """
    name, _ = first_of(config, "anthropic")
    key_present = name in credentials
    probed = _to_probe(config, key_present=key_present)
    models = None if probed is None else await ollama_models(probed)
    return choose(
        config,
        key_present=key_present,
        ollama_answers=models is not None,
        ollama_model=models[0] if models else None,
    )


def _to_probe(config: ProviderConfig, *, key_present: bool) -> ProviderSpec | None:
    """The Ollama whose answer would change the choice; None when none would."""
    if config.use == "auto":
        return None if key_present else first_of(config, "ollama")[1]
    spec = config.spec(config.use)
    return spec if spec is not None and spec.kind == "ollama" and not spec.model else None


async def ollama_models(spec: ProviderSpec, within: float = PROBE_WITHIN) -> tuple[str, ...] | None:
    """The models that an Ollama has; None when it does not answer as one `within` seconds."""
    context = await asyncio.to_thread(tls)
    import httpx  # noqa: PLC0415 - only a daemon that must look around pays for it

    try:
        async with (
            asyncio.timeout(within),
            httpx.AsyncClient(
                trust_env=False,
                verify=context,
                timeout=within,
                event_hooks={"response": [bound(httpx.AsyncByteStream)]},
            ) as client,
        ):
            answer = await client.get(f"{(spec.base_url or OLLAMA.base_url or '').rstrip('/')}/api/tags")
            names = tuple(each["name"] for each in orjson.loads(answer.raise_for_status().content)["models"])
            return names if all(isinstance(each, str) for each in names) else None
    except (AttemptFailed, TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None
