"""Servers that send without end, and answers that unfold to more than any is: read so far, and no further.

The server falls silent in the end, so whoever reads on is told of a time limit and not of the answer.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from darumad.agents.providers import ProviderSpec
from darumad.agents.providers.choose import ollama_models
from darumad.agents.providers.validation import validated
from darumad.names import Seconds
from darumad.values import changed
from darumad.work.model import ModelFailed
from tests.agents.providers.desk import OWNER, SLOW, Desk, ask

TYPES = {"anthropic": "text/event-stream", "ollama": "application/x-ndjson", "openai": "text/event-stream"}
MIB = b" " * (1 << 20)
MOST = 128
"""MiB that are sent at the most: enough, and no machine falls over when nobody stops reading."""
WAITS = changed(SLOW, first_token=Seconds(3), idle=Seconds(3), total=Seconds(9))


def plain() -> Iterator[bytes]:
    yield from (MIB for _ in range(MOST))


def packed() -> Iterator[bytes]:
    squeeze = zlib.compressobj(wbits=31)
    yield from (squeeze.compress(MIB) + squeeze.flush(zlib.Z_SYNC_FLUSH) for _ in range(MOST))


@asynccontextmanager
async def sending(pieces: Callable[[], Iterator[bytes]], *, status: int, content_type: str) -> AsyncIterator[str]:
    """A server that answers everything with these pieces and no end; its address."""
    coding = "content-encoding: GZip\r\n" if pieces is packed else ""
    head = f"HTTP/1.1 {status} So\r\ncontent-type: {content_type}\r\n{coding}transfer-encoding: chunked\r\n\r\n"
    over = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        for each in pieces():
            if writer.is_closing():
                break
            writer.write(b"%x\r\n%s\r\n" % (len(each), each))
            await writer.drain()
        await over.wait()
        writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            over.set()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("pieces", [plain, packed])
@pytest.mark.parametrize(("status", "kind"), [(200, "malformed_response"), (500, "server_error")])
async def test_a_call_ends_where_its_answer_is_longer_than_any(  # noqa: PLR0917 - six ways to be long
    desk: Desk, vendor: str, stream: bool, pieces: Callable[[], Iterator[bytes]], status: int, kind: str
) -> None:
    desk.keys["openai"] = desk.keys["anthropic"]
    async with sending(pieces, status=status, content_type=TYPES[vendor] if stream else "application/json") as url:
        desk.change(base_url=url, stream=stream, timeouts=WAITS)
        with pytest.raises(ModelFailed) as failed:
            await desk.complete(OWNER)(ask())
        await desk.broker.close()
    assert failed.value.kind == kind


@pytest.mark.parametrize("pieces", [plain, packed])
async def test_who_is_asked_for_its_models_is_read_no_further_either(pieces: Callable[[], Iterator[bytes]]) -> None:
    async with sending(pieces, status=200, content_type="application/json") as url:
        spec = ProviderSpec(kind="ollama", base_url=url)
        assert (await validated(spec, None, within=3.0)).reason == f"what answers at {url} is no ollama server"
        assert await ollama_models(spec, within=3.0) is None
