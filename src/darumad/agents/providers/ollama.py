"""Ollama through its own client.

A chat ends with `done`. Its context window is always named, for the server's default truncates in silence.
"""

from typing import Any, cast

import httpx
import ollama  # noqa: TID251 - the vendor's client, behind this door

from darumad.agents.providers.config import OLLAMA, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.ollama_wire import Assembly, body_of, refuse_if_too_long
from darumad.agents.providers.prices import Price
from darumad.agents.providers.tls import tls
from darumad.agents.providers.watch import Watch
from darumad.work.model import ModelReply, ModelRequest

_WRITE = 30.0
_POOL_OVER_CONNECT = 5.0
_KEEPALIVE = 4.0


class OllamaClient:
    """One Ollama instance on one loop."""

    def __init__(self, spec: ProviderSpec, key: Credential | None, *, price: Price | None, connections: int) -> None:
        limits = spec.limits
        self._model = spec.model or ""
        self._num_ctx = spec.num_ctx
        self._price = price
        # Without a header of ours, the client would send OLLAMA_API_KEY to whatever host is configured.
        self._client = ollama.AsyncClient(
            host=spec.base_url or OLLAMA.base_url,
            follow_redirects=False,
            trust_env=False,
            verify=tls(),
            headers={"authorization": f"Bearer {key.reveal() if key else 'none'}"},
            timeout=httpx.Timeout(
                limits.total, connect=limits.connect, pool=limits.connect + _POOL_OVER_CONNECT, write=_WRITE
            ),
            limits=httpx.Limits(max_connections=connections, keepalive_expiry=_KEEPALIVE),
        )

    async def complete(self, request: ModelRequest, watch: Watch) -> ModelReply:
        """See `client.Client`."""
        refuse_if_too_long(request, self._num_ctx)
        body = body_of(self._model, request, self._num_ctx)
        # The public `chat` drops most of a tool's schema on the way; the request below it does not.
        ask = cast("Any", self._client._request)  # noqa: SLF001 - held by a test against the wire
        chunks = await ask(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)
        assembly = Assembly(request, self._price)
        try:
            async for chunk in chunks:
                watch.event(len(chunk.message.content or "") + 1)
                assembly.add(chunk)
        finally:
            await chunks.aclose()
        return assembly.reply()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the vendor left it without
