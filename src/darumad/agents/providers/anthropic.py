"""Anthropic through its own client, on its aiohttp transport.

A message ends at `message_stop` or not at all; one that comes whole has its stop reason or is none.
"""

from collections.abc import Sequence
from typing import Any, cast

import anthropic  # noqa: TID251 - the vendor's client, behind this door
import httpx2

from darumad.agents.providers.anthropic_wire import Assembly, body_of
from darumad.agents.providers.body import document, events
from darumad.agents.providers.bounded import bound
from darumad.agents.providers.classify import AttemptFailed
from darumad.agents.providers.client import headers
from darumad.agents.providers.config import ProviderSpec
from darumad.agents.providers.counted import count_of
from darumad.agents.providers.credential import Credential
from darumad.agents.providers.prices import Price
from darumad.agents.providers.tls import tls
from darumad.agents.providers.watch import AttemptWatch
from darumad.names import CallId
from darumad.work.model import Embeddings, ModelReply, ModelRequest

_WRITE = 30.0
_POOL_OVER_CONNECT = 5.0
_SPARE_CONNECTIONS = 16
_KEEPALIVE = 4.0


class AnthropicClient:
    """One Anthropic instance on one loop. Retries nothing, follows no redirect, reads nothing from the environment."""

    def __init__(self, spec: ProviderSpec, key: Credential, *, price: Price | None, connections: int) -> None:
        timeouts = spec.timeouts
        # The transport's read limit lies behind ours: on aiohttp it does not hold, so the watch ends every call.
        timeout = httpx2.Timeout(
            timeouts.total, connect=timeouts.connect, pool=timeouts.connect + _POOL_OVER_CONNECT, write=_WRITE
        )
        http = anthropic.DefaultAioHttpClient(
            trust_env=False,
            verify=tls(),
            follow_redirects=False,
            timeout=timeout,
            event_hooks={"response": [bound(httpx2.AsyncByteStream)]},
            limits=httpx2.Limits(max_connections=connections + _SPARE_CONNECTIONS, keepalive_expiry=_KEEPALIVE),
        )
        self._model = spec.model or ""
        self._stream = spec.stream
        self._price = price
        self._client = anthropic.AsyncAnthropic(
            api_key=key.reveal(),
            base_url=spec.base_url or "https://api.anthropic.com",
            http_client=http,
            timeout=timeout,
            max_retries=0,
            open_telemetry=False,
        )
        # ANTHROPIC_CUSTOM_HEADERS, which may replace the key, go to whatever server.
        self._client._custom_headers = {}  # noqa: SLF001 - held by a test against the wire
        streaming = self._client.messages.with_streaming_response  # costs more than it looks
        self._create, self._count = cast("Any", streaming.create), cast("Any", streaming.count_tokens)
        self._timeouts = timeouts

    async def complete(self, call: CallId, request: ModelRequest, watch: AttemptWatch) -> ModelReply:
        """See `client.Client`."""
        async with self._create(
            **_body(self._model, request), stream=self._stream, extra_headers=headers(call)
        ) as response:
            watch.heard(response.headers)
            assembly = Assembly(self._price, self._model)
            if not self._stream:
                assembly.whole(await document(response.http_response, watch))
                return assembly.reply()
            async for event in events(response.http_response, watch):
                assembly.add(event)
                if assembly.stopped:
                    break
            return assembly.reply()

    async def count(self, call: CallId, request: ModelRequest) -> int:
        """See `client.Client`. It costs nothing and takes of no limit but one of its own."""
        body = _body(self._model, request)
        del body["max_tokens"]
        async with AttemptWatch(self._timeouts) as watch, self._count(**body, extra_headers=headers(call)) as response:
            said = count_of((await document(response.http_response, watch)).get("input_tokens"))
        if said is None:
            raise AttemptFailed("malformed_response", "the count is no number")
        return said

    async def embed(self, call: CallId, texts: Sequence[str], watch: AttemptWatch) -> Embeddings:  # noqa: ARG002 - whatever is asked
        """See `client.Client`: Anthropic makes none."""
        raise AttemptFailed("model_not_found", "Anthropic makes no embeddings")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


def _body(model: str, request: ModelRequest) -> dict[str, Any]:
    body = body_of(model, request)
    if request.output_schema is not None:
        schema = anthropic.transform_schema(dict(request.output_schema))
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return body
