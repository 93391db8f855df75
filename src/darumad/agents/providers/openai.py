"""OpenAI through its own client, on its aiohttp transport; and every other server that speaks the same protocol.

A completion ends with its `finish_reason` or not at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import httpx2
import openai  # noqa: TID251 - the vendor's client, behind this door

from darumad.agents.providers.body import document, events
from darumad.agents.providers.bounded import MAX_VECTORS_BYTES, bound
from darumad.agents.providers.client import headers
from darumad.agents.providers.config import OPENAI_URL, ProviderSpec
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.openai_wire import Assembly, body_of, embeddings_of
from darumad.agents.providers.prices import Price
from darumad.agents.providers.tls import tls
from darumad.agents.providers.watch import AttemptWatch
from darumad.names import CallId
from darumad.work.model import Embeddings, ModelReply, ModelRequest

_WRITE = 30.0
_POOL_OVER_CONNECT = 5.0
_SPARE_CONNECTIONS = 16
_KEEPALIVE = 4.0


class OpenAIClient:
    """One instance on one loop. Retries nothing, follows no redirect, reads nothing from the environment."""

    def __init__(self, spec: ProviderSpec, key: Credential | None, *, price: Price | None, connections: int) -> None:
        timeouts = spec.timeouts
        # As with Anthropic's: the transport's read limit lies behind ours.
        timeout = httpx2.Timeout(
            timeouts.total, connect=timeouts.connect, pool=timeouts.connect + _POOL_OVER_CONNECT, write=_WRITE
        )
        http = openai.DefaultAioHttpClient(
            trust_env=False,
            verify=tls(),
            follow_redirects=False,
            timeout=timeout,
            event_hooks={"response": [bound(httpx2.AsyncByteStream)]},
            limits=httpx2.Limits(max_connections=connections + _SPARE_CONNECTIONS, keepalive_expiry=_KEEPALIVE),
        )
        self._model = spec.model or ""
        self._embedding_model = spec.embedding_model or ""
        self._embedding_price = spec.price_of(self._embedding_model)
        self._stream = spec.stream
        self._theirs = spec.base_url in {None, OPENAI_URL}
        self._price = price
        self._unkeyed: Mapping[str, openai.Omit] = {} if key else {"authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            api_key=key.reveal() if key else "none",  # which is not sent
            base_url=spec.base_url or OPENAI_URL,
            http_client=http,
            timeout=timeout,
            max_retries=0,
        )
        # OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS, which may replace the key, go to whatever server.
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}  # noqa: SLF001 - held by a test against the wire
        # Each costs more than it looks, so it is taken once.
        self._create = cast("Any", self._client.chat.completions.with_streaming_response.create)
        self._embed = cast("Any", self._client.embeddings.with_streaming_response.create)

    async def complete(self, call: CallId, request: ModelRequest, watch: AttemptWatch) -> ModelReply:
        """See `client.Client`."""
        body = body_of(self._model, request, stream=self._stream, theirs=self._theirs)
        async with self._create(**body, extra_headers=self._headers(call)) as response:
            watch.heard(response.headers)
            assembly = Assembly(self._price)
            if self._stream:
                async for event in events(response.http_response, watch):
                    assembly.add(event)
            else:
                assembly.whole(await document(response.http_response, watch))
            return assembly.reply()

    async def count(self, call: CallId, request: ModelRequest) -> None:
        """See `client.Client`: few that speak this protocol count."""

    async def embed(self, call: CallId, texts: Sequence[str], watch: AttemptWatch) -> Embeddings:
        """See `client.Client`."""
        async with self._embed(
            model=self._embedding_model, input=list(texts), encoding_format="float", extra_headers=self._headers(call)
        ) as response:
            watch.heard(response.headers)
            found = await document(response.http_response, watch, most=MAX_VECTORS_BYTES)
            return embeddings_of(found, texts, self._embedding_price)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    def _headers(self, call: CallId) -> Mapping[str, str | openai.Omit]:
        return {**headers(call), **self._unkeyed}
