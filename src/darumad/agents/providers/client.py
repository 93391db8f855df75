"""What the broker needs of a vendor's client: one attempt at one call, no retry, no patience of its own."""

import gc
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.config import Kind, ProviderConfig, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.tls import tls
from darumad.agents.providers.watch import AttemptWatch
from darumad.names import CallId
from darumad.work.model import Embeddings, ModelReply, ModelRequest


def headers(call: CallId) -> Mapping[str, str]:
    """What tells, on every request, which call it is a try of: whoever stands on the way can put them together."""
    return {"x-daruma-call": call}


class Client(Protocol):
    """One provider instance on one loop."""

    async def complete(self, call: CallId, request: ModelRequest, watch: AttemptWatch) -> ModelReply:
        """The answer, complete, with its end seen. `watch` is told of each piece as it comes.

        Raises:
            AttemptFailed: what came is no answer.
            Exception: whatever the vendor's client raises; `classify` knows it.
        """
        ...

    async def count(self, call: CallId, request: ModelRequest) -> int | None:
        """How many tokens the server would read of `request`, as it counts them; None where no server is asked that.

        Raises:
            AttemptFailed: what came is no count.
            Exception: as `complete`.
        """
        ...

    async def embed(self, call: CallId, texts: Sequence[str], watch: AttemptWatch) -> Embeddings:
        """The vectors of `texts`, one each, in order.

        Raises:
            AttemptFailed: what came are none, or this vendor makes none.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def load(kind: Kind) -> None:
    """Import the vendor's package, and what stands on it here: up to seconds and 70 MiB.

    So it is done once, when wanted, and never on a loop. What it brought stays to the end: each look through it for
    garbage would hold every thread, and cost a thousand calls at once a tenth of their time.

    Raises:
        AttemptFailed: `model_not_found`: part of it is not installed, as an extra that nobody asked for.
    """
    name = f"{__package__}.{kind}"
    fresh = name not in sys.modules
    try:
        importlib.import_module(name)
    except ImportError as missing:
        raise AttemptFailed("model_not_found", _to_install(kind, missing.name)) from None
    tls()
    if fresh:
        gc.freeze()


def clients_missing(config: ProviderConfig, used: Iterable[str]) -> Mapping[str, str]:
    """Those of the providers in `used` whose vendor's package is not installed, and what to do. It imports none."""
    specs = {name: spec for name in used if (spec := config.spec(name)) is not None}
    return {name: said for name, spec in specs.items() if (said := not_installed(spec.kind)) is not None}


def not_installed(kind: Kind) -> str | None:
    """That the vendor's package, called as its kind is, is not installed, and how it would be; None where it is."""
    return _to_install(kind, kind) if importlib.util.find_spec(kind) is None else None


def _to_install(kind: Kind, missing: str | None) -> str:
    wanted = "darumad[openai]" if kind == "openai" else "darumad"
    return f"{kind} cannot be used, for {missing} is not installed: pip install --upgrade '{wanted}'"


def build(name: str, spec: ProviderSpec, key: Credential | None, max_in_flight: int) -> Client:
    """A client for the provider `name`, on the running loop; `load` came before.

    Raises:
        AttemptFailed: `auth` without the key it needs, `model_not_found` without a model.
    """
    if not spec.model:
        raise AttemptFailed("model_not_found", f"no model is set for {name}: set `providers.{name}.model`")
    if key is None and spec.needs_key:
        said = f"{name} has no key that can be used: set `providers.{name}.key_file`, or its variable"
        raise AttemptFailed("auth", f"{said}; `daruma providers check {name}` says why the one there is cannot")
    price = spec.price_of(spec.model)
    connections = min(spec.concurrency, max_in_flight)
    if spec.kind == "ollama":
        from darumad.agents.providers.ollama import OllamaClient  # noqa: PLC0415 - imports the vendor's package

        return OllamaClient(spec, key, price=price, connections=connections)
    if spec.kind == "openai":
        from darumad.agents.providers.openai import OpenAIClient  # noqa: PLC0415 - imports the vendor's package

        return OpenAIClient(spec, key, price=price, connections=connections)
    from darumad.agents.providers.anthropic import AnthropicClient  # noqa: PLC0415 - imports the vendor's package

    assert key is not None
    return AnthropicClient(spec, key, price=price, connections=connections)
