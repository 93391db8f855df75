"""Ollama through its own client, with aiohttp beneath it: its own pool looks at every connection for each call.

A chat ends with `done`. Its context window is always named, for the server's default truncates in silence.
"""

import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import httpx
import httpx_aiohttp
import ollama  # noqa: TID251 - the vendor's client, behind this door

from darumad.agents.providers.bounded import bound
from darumad.agents.providers.client import headers
from darumad.agents.providers.config import OLLAMA, ProviderSpec
from darumad.agents.providers.counted import count_of, usage_of
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.ollama_wire import Assembly, body_of, refuse_if_too_long
from darumad.agents.providers.prices import Price
from darumad.agents.providers.reply import vectors_of
from darumad.agents.providers.tls import tls
from darumad.agents.providers.watch import AttemptWatch
from darumad.names import CallId
from darumad.work.model import Embeddings, ModelReply, ModelRequest

_WRITE = 30.0
_POOL_OVER_CONNECT = 5.0
_SPARE_CONNECTIONS = 16
_KEEPALIVE = 4.0
_WATCH, _STREAMED = "watch", "streamed"
"""What a request's watch is called among its extensions, and that its answer is read line by line."""


class OllamaClient:
    """One Ollama instance on one loop."""

    def __init__(self, spec: ProviderSpec, key: Credential | None, *, price: Price | None, connections: int) -> None:
        timeouts = spec.timeouts
        self._model = spec.model or ""
        self._embedding_model = spec.embedding_model or ""
        self._embedding_price = spec.price_of(self._embedding_model)
        self._num_ctx = spec.num_ctx
        self._stream = spec.stream
        self._price = price
        self._client = ollama.AsyncClient(
            host=spec.base_url or OLLAMA.base_url,
            follow_redirects=False,
            trust_env=False,
            transport=httpx_aiohttp.AiohttpTransport(
                verify=tls(),
                trust_env=False,
                limits=httpx.Limits(max_connections=connections + _SPARE_CONNECTIONS, keepalive_expiry=_KEEPALIVE),
            ),
            headers={"authorization": f"Bearer {key.reveal()}"} if key else None,
            auth=None if key else _unkeyed,
            timeout=httpx.Timeout(
                timeouts.total, connect=timeouts.connect, pool=timeouts.connect + _POOL_OVER_CONNECT, write=_WRITE
            ),
            event_hooks={"response": [bound(httpx.AsyncByteStream, _is_streamed), _watched]},
        )
        # The public methods take no header for one call, and `chat` drops most of a tool's schema on the way; the
        # request below them does neither.
        self._ask = cast("Any", self._client._request)  # noqa: SLF001 - held by tests against the wire

    async def complete(self, call: CallId, request: ModelRequest, watch: AttemptWatch) -> ModelReply:
        """See `client.Client`."""
        refuse_if_too_long(request, self._num_ctx)
        body = body_of(self._model, request, self._num_ctx, stream=self._stream)
        assembly = Assembly(request, self._price, self._model)
        ask = functools.partial(self._ask, ollama.ChatResponse, "POST", "/api/chat", json=body, headers=headers(call))
        if not self._stream:
            assembly.add(await ask(extensions={_WATCH: watch}))
            return assembly.reply()
        chunks = await ask(stream=True, extensions={_STREAMED: True})
        try:
            async for chunk in chunks:
                watch.event()
                assembly.add(chunk)
        finally:
            await chunks.aclose()
        return assembly.reply()

    async def count(self, call: CallId, request: ModelRequest) -> None:
        """See `client.Client`: Ollama counts none before it reads them."""

    async def embed(self, call: CallId, texts: Sequence[str], watch: AttemptWatch) -> Embeddings:
        """See `client.Client`. A text that does not fit is refused, never cut."""
        body = {"model": self._embedding_model, "input": list(texts), "truncate": False}
        found = await self._ask(ollama.EmbedResponse, "POST", "/api/embed", json=body, headers=headers(call))
        watch.event()
        usage = usage_of(self._embedding_price, fresh=count_of(found.prompt_eval_count), output=0)
        return Embeddings(vectors=vectors_of(found.embeddings, texts), model=found.model or "", usage=usage)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the vendor left it without


def _unkeyed(request: httpx.Request) -> httpx.Request:
    """Where the settings name no key, the client would send OLLAMA_API_KEY to whatever host is configured."""
    request.headers.pop("authorization", None)
    return request


def _is_streamed(response: httpx.Response) -> bool:
    return _STREAMED in response.request.extensions


async def _watched(response: httpx.Response) -> None:
    """Have a request's watch told of each piece of its answer: the client hands on a whole one only at its end."""
    watch = response.request.extensions.get(_WATCH)
    if watch is not None and response.is_success:
        response.stream = _Watched(cast("httpx.AsyncByteStream", response.stream), watch)


class _Watched(httpx.AsyncByteStream):
    def __init__(self, body: httpx.AsyncByteStream, watch: AttemptWatch) -> None:
        self._body = body
        self._watch = watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._watch.event()
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()
